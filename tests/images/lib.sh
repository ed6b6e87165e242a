# Images out of Debian's packages, without a container tool. Sourced by what assembles images, after it has set
# `out` (a directory, which becomes a docker archive with all images in it) and `work` (for what comes between).

# debian ROOT PACKAGE...: a root file system of the packages and all that they
# depend on, unpacked and not configured.
debian() {
    local root=$1 debs=$work/debs-$(basename "$1") deb; shift
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$debs/partial"
    for link in bin sbin lib lib64; do [ -e "$root/$link" ] || ln -s "usr/$link" "$root/$link"; done
    # As on a machine that has nothing installed: the whole closure is fetched.
    apt-get -qq -y --no-install-recommends -o Dir::State::status=/dev/null -o Dir::Cache::archives="$debs" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root \
        --download-only install "$@" >/dev/null
    for deb in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar --keep-directory-symlink -x -C "$root"
    done
    rm -rf "$debs" "$root"/usr/share/{doc,man,info,locale,lintian,bash-completion} "$root"/var/cache/*
    mkdir -p "$root"/{etc,proc,sys,dev,run,tmp,root}
    chmod 1777 "$root/tmp"
    printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n' > "$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
    echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
}

# layer NAME ROOT: the tree becomes a layer; all of it belongs to root, and its bytes depend on its content alone.
layer() {
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$2" -cf "$out/$1.layer" .
}

# image NAME CONFIG LAYER...: an image of these layers, the lowest first. CONFIG is the `config` of an OCI image.
image() {
    local name=$1 config=$2 file=$(tr '/:' '--' <<<"$1").json layer ids='' files=''; shift 2
    for layer in "$@"; do
        [ -e "$out/$layer.id" ] || sha256sum "$out/$layer.layer" | cut -d' ' -f1 > "$out/$layer.id"
        ids+="${ids:+,}\"sha256:$(cat "$out/$layer.id")\""
        files+="${files:+,}\"$layer.layer\""
    done
    printf '{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' \
        "$config" "$ids" > "$out/$file"
    printf '{"Config":"%s","RepoTags":["%s"],"Layers":[%s]}\n' "$file" "$name" "$files" >> "$out/images"
}

# archive: what `image` collected becomes a docker archive.
archive() {
    printf '[%s]' "$(paste -sd, "$out/images")" > "$out/manifest.json"
    rm -f "$out/images" "$out"/*.id
}
