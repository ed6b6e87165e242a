#!/usr/bin/env bash
# Pushes a docker archive to a registry over plain HTTP, with curl alone.
# usage: push.sh ARCHIVE HOST:PORT NAME TAG
set -euo pipefail
archive=$1 registry=http://$2/v2/$3 tag=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tar -C "$dir" -xf "$archive"

# blob FILE: uploads it and prints its descriptor.
blob() {
    local digest place
    digest=sha256:$(sha256sum "$1" | cut -d' ' -f1)
    place=$(curl -sf -X POST -D - -o /dev/null "$registry/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary @"$1" \
        "$place$([[ $place == *\?* ]] && echo '&' || echo '?')digest=$digest" >/dev/null
    printf '{"mediaType":"%s","size":%s,"digest":"%s"}' "$2" "$(stat -c %s "$1")" "$digest"
}

config=$(blob "$dir/config.json" application/vnd.oci.image.config.v1+json)
layer=$(blob "$dir/layer.tar" application/vnd.oci.image.layer.v1.tar)
type=application/vnd.oci.image.manifest.v1+json
curl -sf -X PUT -H "Content-Type: $type" "$registry/manifests/$tag" -o /dev/null --data-binary \
    "{\"schemaVersion\":2,\"mediaType\":\"$type\",\"config\":$config,\"layers\":[$layer]}"
