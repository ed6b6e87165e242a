#!/usr/bin/env bash
# A cluster with default security in a network namespace without a way out, with the suite's images in it; runs a
# command against it ($KUBECONFIG) and takes everything away again, however the command ended.
# usage: unshare --net cluster.sh IRONCLAD IMAGES REGISTRY COMMAND...
set -euo pipefail
ironclad=$1 images=$2 registry=$3; shift 3
here=$(dirname "$0")
data=$(mktemp -d)
export KUBECONFIG=$data/admin.conf
clean() {
    local code=$?
    trap '' INT TERM
    [ -z "${IRONCLAD_KEEP_LOG:-}" ] || cp "$data/ironclad.log" "$IRONCLAD_KEEP_LOG" || true
    "$ironclad" down --purge --data-dir "$data" >/dev/null || true
    kill $(jobs -p) 2>/dev/null || true
    rm -rf "$data"
    exit $code
}
# With a handler, Ctrl-C ends the command first and then comes here.
trap ':' INT TERM
trap clean EXIT

ip link set lo up
# The suite takes it for granted that a runtime can be called `test-handler`, too.
"$ironclad" up --detach --data-dir "$data" --node-name node-1 --no-kubeconfig --eviction-hard 'memory.available<100Mi' \
    --runtime-handlers test-handler
"$ironclad" image import "$images" --data-dir "$data" >/dev/null

# One spec wants an image to be pulled: a registry on loopback has it. The others are there already, under the
# same registry's name.
cat > "$data/registry.yml" <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $data/registry}}
http: {addr: "$registry"}
YAML
docker-registry serve "$data/registry.yml" > "$data/registry.log" 2>&1 &
until curl -sf "http://$registry/v2/" >/dev/null; do read -rt 0.1 <> <(:) || true; done
bash "$here/../cluster/push.sh" "$images" "$registry" e2e-test-images/kitten 1.8
cat > "$data/registries.yaml" <<YAML
promoterE2eRegistry: $registry/e2e-test-images
gcRegistry: $registry
gcEtcdRegistry: $registry
YAML
export KUBE_TEST_REPO_LIST=$data/registries.yaml
"$@"
