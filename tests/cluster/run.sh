#!/usr/bin/env bash
# A real cluster, driven by upstream's unmodified kubectl, in a network namespace without a way out.
# usage: run.sh IRONCLAD KUBECTL
set -euo pipefail

# A namespace of our own for network and mounts, with nothing in it but loopback.
if [ -z "${IRONCLAD_INSIDE:-}" ]; then
    # Images are assembled where Debian's packages can still be reached.
    IRONCLAD_IMAGES=$(mktemp -d)
    export IRONCLAD_INSIDE=1 IRONCLAD_IMAGES
    bash "$(dirname "$0")/images.sh" "$IRONCLAD_IMAGES"
    exec unshare --net bash "$0" "$@"
fi
ip link set lo up

ironclad=$1 kubectl=$2
data=$(mktemp -d)
# What `up` does to the kubeconfig of who starts it, it does here.
export HOME=$IRONCLAD_IMAGES
export KUBECONFIG=$data/admin.conf
source "$(dirname "$0")/../functions.sh"

k() { "$kubectl" "$@"; }
# A disk that others fill is no reason to evict anything here.
up() { "$ironclad" up --detach --data-dir "$data" --node-name n1 --eviction-hard 'memory.available<100Mi' "$@"; }
clean() {
    local code=$?
    if [ $code -ne 0 ]; then
        k get all -A -o wide || true
        k get events -A | tail -30 || true
        tail -20 "$data/ironclad.log" || true
    fi
    "$ironclad" down --purge --data-dir "$data" >/dev/null 2>&1 || true
    kill $(jobs -p) 2>/dev/null || true
    rm -rf "$IRONCLAD_IMAGES"
    exit $code
}
trap clean EXIT

cgroups() { find /sys/fs/cgroup -maxdepth 2 -name 'ironclad*' | sort; }
cgroups_before=$(cgroups)
mounts_before=$(wc -l < /proc/self/mounts)
up --demo
ok "up"

[ "$(stat -c %a "$KUBECONFIG")" = 600 ] || fail "admin.conf can be read by others"
says "a second up says so and changes nothing" "already running" up
says "the node is Ready" '^n1 +Ready' k get nodes
says "version" 'Server Version: v1.36.3' k version
says "readyz" '^ok' k get --raw /readyz
does "the Service kubernetes" within 10 k get service kubernetes
[ "$(k get pods -l app=demo --no-headers | grep -c ' 1/1 *Running ')" = 3 ] || fail "three pods run"
ok "three pods run"

port=$(k get service demo -o jsonpath='{.spec.ports[0].nodePort}')
address=$(k get nodes -o jsonpath='{.items[0].status.addresses[0].address}')
cluster=$(k get service demo -o jsonpath='{.spec.clusterIP}')
says "a node port answers" '^demo-' curl -sf -m 5 "http://$address:$port/"
says "a cluster address answers" '^demo-' curl -sf -m 5 "http://$cluster/"
says "DNS over UDP" "^$cluster\$" dig +short +tries=1 @10.96.0.10 demo.default.svc.cluster.local
says "DNS over TCP" "^$cluster\$" dig +short +tries=1 +tcp @10.96.0.10 demo.default.svc.cluster.local

# A Corefile is in force as soon as it is written; one that is wrong changes nothing.
corefile() { k -n kube-system create configmap coredns --from-literal=Corefile="$1" --dry-run=client -o yaml | k apply -f -; }
named() { [ "$(dig +short +tries=1 @10.96.0.10 hello.test)" = 192.0.2.9 ]; }
refused() { k -n kube-system get events | grep -q "Corefile:2 - .*Unknown directive 'nonsense'"; }
again() { [ "$(dig +short +tries=1 @10.96.0.10 demo.default.svc.cluster.local)" = "$cluster" ]; }
does "a Corefile is written" corefile $'. {\n hosts {\n 192.0.2.9 hello.test\n }\n}\n'
does "it is in force" within 10 named
does "a wrong one is written" corefile $'. {\n nonsense\n}\n'
does "an event says which line is wrong" within 10 refused
does "the last good one stays in force" named
does "it is deleted" k -n kube-system delete configmap coredns
does "the built-in one is in force again" within 10 again

does "scaled to five" k scale deployment demo --replicas=5
does "five are there" k rollout status deployment demo --timeout=30s
does "scaled to three" k scale deployment demo --replicas=3
three() { [ "$(k get pods -l app=demo --no-headers | wc -l)" = 3 ]; }
does "three are left" within 60 three

pod=$(k get pods -l app=demo -o jsonpath='{.items[0].metadata.name}')
says "exec" '^Ironclad v' k exec "$pod" -- /ironclad version
does "logs" k logs "$pod"
says "describe" 'Successfully assigned' k describe pod "$pod"

does "a new version" k rollout restart deployment demo
does "is rolled out" k rollout status deployment demo --timeout=60s
does "and back" k rollout undo deployment demo
does "is rolled out too" k rollout status deployment demo --timeout=60s

manifest=$data/manifest.yaml
cat > "$manifest" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
YAML
says "apply" 'configmap/settings created' k apply -f "$manifest"
says "apply again" 'configmap/settings unchanged' k apply -f "$manifest"
says "patch" 'configmap/settings patched' k patch configmap settings --type=merge -p '{"data":{"colour":"green"}}'
says "apply repairs" 'configmap/settings configured' k apply -f "$manifest"
[ "$(k get configmap settings -o jsonpath='{.data.colour}')" = blue ] || fail "apply did not repair"
here=$(dirname "$0")
source "$here/turns.sh"
sed -i 's/settings/Bad_Name/' "$manifest"
says "a bad name is refused in upstream's words" 'is invalid: metadata.name: Invalid value' k create -f "$manifest"
says "not found" 'Error from server \(NotFound\): pods "none" not found' k get pods/none

source "$here/shown.sh"
source "$here/system.sh"
source "$here/workload.sh"
source "$here/streams.sh"
source "$here/pods.sh"
source "$here/resize.sh"
kill $registry
"$ironclad" image import "$images/busybox.tar" --data-dir "$data" >/dev/null
bash "$here/golden.sh" "$ironclad kubectl" "$kubectl" || fail "ironclad kubectl differs from kubectl"
ok "ironclad kubectl says what kubectl says"

does "three pods" within 60 three
pods() {
    k get pods -l app=demo -o jsonpath='{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID}{"\n"}{end}'
}
before=$(pods)
# The program's own process: its child processes are the pods' shims.
kill -9 "$(pgrep -f "up --data-dir $data")"
says "pods survive kill -9" '^demo-' curl -sf -m 5 "http://$cluster/"
does "its supervisor starts it again" within 10 k get --raw /readyz
does "the pods are Ready" k wait --for=condition=Ready pod -l app=demo --timeout=30s
[ "$before" = "$(pods)" ] || fail "the pods were restarted"
ok "the pods are adopted without a restart"

does "the Deployment is deleted" k delete deployment demo
gone() { [ -z "$(k get pods --no-headers 2>/dev/null)" ]; }
does "and its pods" within 60 gone
does "a namespace" k create namespace n
does "with content" k create configmap c -n n --from-literal=a=b
does "is deleted with it" k delete namespace n --timeout=60s

source "$here/beside.sh"
ends() { "$ironclad" down -v --purge --data-dir "$data" 2>"$IRONCLAD_IMAGES/errors"; }
says "down lists what it removed" '^removed link ' ends
[ ! -s "$IRONCLAD_IMAGES/errors" ] || fail "it did not end by itself: $(cat "$IRONCLAD_IMAGES/errors")"
beside_alone
says "a second down is no error" 'Nothing to do' "$ironclad" down --purge --data-dir "$data"
[ "$(ip -o link | wc -l)" = 1 ] || fail "links are left: $(ip -o link)"
[ -z "$(nft list tables)" ] || fail "nftables tables are left"
[ -z "$(ip route)" ] || fail "routes are left: $(ip route)"
[ "$(wc -l < /proc/self/mounts)" = "$mounts_before" ] || fail "mounts are left"
[ "$(cgroups)" = "$cgroups_before" ] || fail "cgroups are left: $(cgroups)"
! pgrep -f "ironclad.*$data" >/dev/null || fail "processes are left"
ok "nothing is left on the machine"
bash "$here/badinput.sh" "$ironclad"
bash "$here/faults.sh" "$ironclad"
bash "$here/firststeps.sh" "$ironclad"
bash "$here/default.sh" "$ironclad" "$kubectl"
echo "cluster: $passed passed, 0 failed"
