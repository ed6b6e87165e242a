#!/usr/bin/env bash
# Assembles images from Debian's packages, as docker archives.
# usage: images.sh DIRECTORY   writes busybox.tar and nginx.tar there
set -euo pipefail
out=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# unpack PACKAGE ROOT: the package's files, without installing it.
unpack() {
    (cd "$work" && { ls "$1"_*.deb >/dev/null 2>&1 || apt-get download -qq "$1" >/dev/null 2>&1; })
    dpkg-deb -x "$work"/"$1"_*.deb "$2"
}

# archive NAME TAG ROOT CONFIG: one layer, as `docker save` writes it.
archive() {
    local name=$1 tag=$2 root=$3 config=$4 dir=$work/$1.archive layer
    mkdir -p "$dir"
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$root" -cf "$dir/layer.tar" .
    layer=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"amd64","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$config" "$layer" > "$dir/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$tag" > "$dir/manifest.json"
    tar -C "$dir" -cf "$out/$name.tar" manifest.json config.json layer.tar
}

# program NAME TARGET ROOT: a program of the machine's own packages, with the libraries that it needs.
program() {
    local source library
    source=$(command -v "$1" || echo "/usr/sbin/$1")
    cp "$source" "$2"
    ldd "$source" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$3$(dirname "$library")"
        cp -L "$library" "$3$library"
    done
}

busybox=$work/busybox
mkdir -p "$busybox"/{bin,etc,tmp,proc,sys,dev,root}
chmod 1777 "$busybox/tmp"
unpack busybox-static "$busybox"
for applet in $("$busybox/bin/busybox" --list); do
    [ -e "$busybox/bin/$applet" ] || ln -s busybox "$busybox/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' > "$busybox/etc/passwd"
echo 'nobody:x:65534:65534:nobody:/:/bin/false' >> "$busybox/etc/passwd"
echo 'root:x:0:' > "$busybox/etc/group"
# Debian's static busybox cannot look names up, curl can.
program curl "$busybox/bin/curl" "$busybox"
echo 'hosts: files dns' > "$busybox/etc/nsswitch.conf"
archive busybox localhost/busybox:1 "$busybox" '{"Env":["PATH=/bin"],"Cmd":["sh"]}'

nginx=$work/nginx
mkdir -p "$nginx"/{etc/nginx,var/log/nginx,var/lib/nginx,run,tmp,proc,sys,dev,usr/sbin,srv,lib64}
program nginx "$nginx/usr/sbin/nginx" "$nginx"
echo 'root:x:0:0:root:/root:/bin/sh' > "$nginx/etc/passwd"
echo 'root:x:0:' > "$nginx/etc/group"
cat > "$nginx/etc/nginx/nginx.conf" <<'CONF'
user root;
worker_processes 1;
daemon off;
pid /run/nginx.pid;
error_log /dev/stderr;
events {}
http {
    access_log off;
    # A pod that is asked to end still answers what comes in meanwhile.
    server { listen 80; location / { return 200 "$hostname\n"; } }
}
CONF
archive nginx localhost/nginx:1 "$nginx" '{"Entrypoint":["/usr/sbin/nginx"],"StopSignal":"SIGQUIT","ExposedPorts":{"80/tcp":{}}}'
