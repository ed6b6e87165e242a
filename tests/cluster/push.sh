#!/usr/bin/env bash
# Pushes an image of a docker archive to a registry over plain HTTP, with curl alone.
# usage: push.sh ARCHIVE HOST:PORT NAME TAG   ARCHIVE is a file or a directory; of several images in it, the one that
# has the tag HOST:PORT/NAME:TAG is pushed
set -euo pipefail
dir=$1 tag=$4 name=$2/$3:$4 registry=http://$2/v2/$3
if [ ! -d "$dir" ]; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    tar -C "$dir" -xf "$1"
fi

# blob FILE TYPE: uploads it and prints its descriptor.
blob() {
    local digest place
    digest=sha256:$(sha256sum "$1" | cut -d' ' -f1)
    place=$(curl -sf -X POST -D - -o /dev/null "$registry/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' -T "$1" \
        "$place$([[ $place == *\?* ]] && echo '&' || echo '?')digest=$digest" >/dev/null
    printf '{"mediaType":"%s","size":%s,"digest":"%s"}' "$2" "$(stat -c %s "$1")" "$digest"
}

# The configuration's file and those of the layers, one a line.
files=$(python3 - "$dir/manifest.json" "$name" <<'PY'
import json, sys
images = json.load(open(sys.argv[1]))
image = next((i for i in images if sys.argv[2] in i["RepoTags"]), images[0])
print(image["Config"], *image["Layers"], sep="\n")
PY
)
{ read -r config; mapfile -t layers; } <<<"$files"
config=$(blob "$dir/$config" application/vnd.oci.image.config.v1+json)
descriptors=
for layer in "${layers[@]}"; do
    descriptors+=${descriptors:+,}$(blob "$dir/$layer" application/vnd.oci.image.layer.v1.tar)
done
type=application/vnd.oci.image.manifest.v1+json
curl -sf -X PUT -H "Content-Type: $type" "$registry/manifests/$tag" -o /dev/null --data-binary \
    "{\"schemaVersion\":2,\"mediaType\":\"$type\",\"config\":$config,\"layers\":[$descriptors]}"
