#!/usr/bin/env bash
# The default data directory, with logs where whoever knows Kubernetes looks for them, and static pods.
# usage: default.sh IRONCLAD KUBECTL
set -euo pipefail

# Namespaces of our own, in which the machine's directories are others.
if [ -z "${IRONCLAD_DEFAULT:-}" ]; then
    IRONCLAD_DEFAULT=$(mktemp -d)
    export IRONCLAD_DEFAULT
    exec unshare --net --mount bash "$0" "$@"
fi
ip link set lo up
ironclad=$1 kubectl=$2
mkdir -p "$IRONCLAD_DEFAULT"/{lib,log,static}
mount -t tmpfs none /run
mount --bind "$IRONCLAD_DEFAULT/lib" /var/lib
mount --bind "$IRONCLAD_DEFAULT/log" /var/log
export HOME=$IRONCLAD_DEFAULT KUBECONFIG=/var/lib/ironclad/admin.conf
static=$IRONCLAD_DEFAULT/static
source "$(dirname "$0")/../functions.sh"

k() { "$kubectl" "$@"; }
up() { "$ironclad" up --detach --node-name N1 --static-pod-path "$static" --eviction-hard 'memory.available<100Mi' "$@"; }
clean() {
    local code=$?
    if [ $code -ne 0 ]; then
        k get all -A -o wide || true
        k get events -A | tail -20 || true
        tail -20 /var/lib/ironclad/ironclad.log || true
    fi
    "$ironclad" down --purge >/dev/null 2>&1 || true
    umount /var/lib /var/log /run || true
    rm -rf "$IRONCLAD_DEFAULT"
    exit $code
}
trap clean EXIT

# manifest PORT: a pod that serves there, on the node's own network.
manifest() {
    cat <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: fixed
  labels: {app: fixed}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 2
  containers:
  - name: c
    image: ironclad.local/demo:v1
    env: [{name: PORT, value: "$1"}, {name: HASH, valueFrom: {fieldRef: {fieldPath: "metadata.uid"}}}]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
YAML
}
manifest 1 >"$static/fixed.yaml"
echo '{"kind": "Pod"' >"$static/broken.yaml"
up --demo >/dev/null
ok "up, in the default directory, with static pods"
says "the name of the node" '^n1 n1 n1$' k get node n1 \
    -o jsonpath='{.metadata.name} {.metadata.labels.kubernetes\.io/hostname} {.status.addresses[?(@.type=="Hostname")].address}'

pod=$(k get pods -l app=demo -o jsonpath='{.items[0].metadata.name}')
uid=$(k get pod "$pod" -o jsonpath='{.metadata.uid}')
container=$(k get pod "$pod" -o jsonpath='{.spec.containers[0].name}')
id=$(k get pod "$pod" -o jsonpath='{.status.containerStatuses[0].containerID}' | sed 's,.*//,,')
log=/var/log/pods/default_${pod}_$uid/$container/0.log
[ -f "$log" ] || fail "there is no $log"
[ "$(readlink "/var/log/containers/${pod}_default_$container-$id.log")" = "$log" ] || fail "no link leads to it: $(ls -l /var/log/containers)"
[ "$(stat -c %a "$log" "$(dirname "$(dirname "$log")")" | paste -sd' ')" = "640 750" ] || fail "others may read logs: $(stat -c "%a %n" "$log" "$(dirname "$(dirname "$log")")")"
ok "logs are where they are looked for, for root alone"
logs() { k get --raw "/api/v1/nodes/n1/proxy/logs/$1"; }
says "the node agent lists the machine's logs" '<a href="pods/">pods/</a>' logs ""
cmp <(logs "pods/default_${pod}_$uid/$container/0.log") "$log" || fail "a log of the machine is another"
ok "and shows them"

figures() { k get --raw /api/v1/nodes/n1/proxy/metrics/cadvisor | grep -F "pod=\"$pod\"" | grep -E '^container_network_(receive|transmit)_bytes_total.*interface="eth0".* [1-9]'; }
passes() { curl -sf -m 5 -o /dev/null "http://$(k get pod "$pod" -o jsonpath='{.status.podIP}'):8080/" && [ "$(figures | wc -l)" = 2 ]; }
does "what passes a pod's interface is counted" within 10 passes
says "in the summary, too" '"rxBytes":[1-9]' k get --raw /api/v1/nodes/n1/proxy/stats/summary

is_ready() { k wait --for=condition=Ready pod fixed-n1 --timeout=1s; }
does "a static pod has a mirror" within 40 is_ready
mirror() { k get pod fixed-n1 -o jsonpath="{$1}"; }
says "which its node owns" '^Node n1 true file$' mirror '.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].name} {.metadata.ownerReferences[0].controller} {.metadata.annotations.kubernetes\.io/config\.source'
says "a file that is wrong is told of" 'broken.yaml' k get events --field-selector reason=FailedValidation
first=$(mirror .metadata.uid) hash=$(mirror '.metadata.annotations.kubernetes\.io/config\.mirror') run=$(mirror '.status.containerStatuses[0].containerID')
[ "$(mirror .metadata.annotations.kubernetes\\.io/config\\.hash)" = "$hash" ] || fail "the mirror is of something else"
does "its log is read by the mirror's name" k logs fixed-n1
says "its events are described with the mirror" 'Started .*Container started' k describe pod fixed-n1
says "by Ironclad's kubectl, too" 'Started .*Container started' "$ironclad" kubectl describe pod fixed-n1
[ -d "/var/log/pods/default_fixed-n1_$hash/c" ] || fail "its log is not in its place"
k delete pod fixed-n1 --wait=false >/dev/null
again() { [ -n "$(mirror .metadata.uid)" ] && [ "$(mirror .metadata.uid)" != "$first" ] && is_ready; }
does "a mirror that was deleted comes back" within 20 again
[ "$(mirror '.status.containerStatuses[0].containerID')" = "$run" ] || fail "the static pod was started again"
ok "the static pod has run on"

# Without the program, and with it again.
kill -9 $(pgrep -f "^[^ ]+ supervise /var/lib/ironclad/") $(pgrep -f "^[^ ]+ up .*--static-pod-path $static") 2>/dev/null || true
mkdir "/var/log/pods/default_gone_00000000-0000-0000-0000-000000000000" /var/log/pods/default_foreign_1
cp "/var/log/pods/default_${pod}_$uid/.ironclad" /var/log/pods/default_gone_*/
up >/dev/null
does "it is taken over" within 20 is_ready
[ "$(mirror '.status.containerStatuses[0].containerID') $(mirror .metadata.annotations.kubernetes\\.io/config\\.hash)" = "$run $hash" ] || fail "it was started again"
ok "and was not started again"
swept() { [ ! -e /var/log/pods/default_gone_00000000-0000-0000-0000-000000000000 ]; }
does "leftovers of a pod are removed" within 20 swept
[ -d /var/log/pods/default_foreign_1 ] || fail "what is another's was removed"
ok "and nobody else's"

manifest 2 >"$static/fixed.yaml"
changed() { [ "$(mirror '.metadata.annotations.kubernetes\.io/config\.mirror')" != "$hash" ] && is_ready; }
does "a changed file is another pod" within 30 changed
[ "$(mirror '.status.containerStatuses[0].containerID')" != "$run" ] || fail "it runs as before"
rm "$static/fixed.yaml"
gone() { ! k get pod fixed-n1; }
does "without its file it ends" within 30 gone
[ -z "$(ls -d /var/log/pods/default_fixed* 2>/dev/null)" ] || fail "its logs are left"
ok "and its logs go with it"

"$ironclad" down >/dev/null
[ "$(ls /var/log/pods)" = default_foreign_1 ] || fail "down leaves $(ls /var/log/pods)"
[ ! -e /var/log/containers ] || fail "down leaves links: $(ls -l /var/log/containers)"
ok "down removes logs and links, and nobody else's"
echo "default: $passed passed, 0 failed"
