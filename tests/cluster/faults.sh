#!/usr/bin/env bash
# Faults of the machine and of the program itself: a log that cannot be written, a full disk, a killed process, rights that
# were too wide. None of them stops the cluster, and none is hidden.
# usage: faults.sh IRONCLAD
set -euo pipefail

# A namespace of our own for network and mounts: other clusters on the machine are not disturbed.
if [ -z "${IRONCLAD_FAULTS:-}" ]; then
    export IRONCLAD_FAULTS=1
    exec unshare --net --mount bash "$0" "$@"
fi
ip link set lo up

ironclad=$1
work=$(mktemp -d)
data=$work/data
export HOME=$work
source "$(dirname "$0")/../functions.sh"
k() { "$ironclad" kubectl --kubeconfig "$data/admin.conf" "$@"; }
clean() {
    local code=$?
    [ $code = 0 ] || tail -20 "$data/ironclad.log" 2>/dev/null || true
    kill ${crowd:-} 2>/dev/null || true
    "$ironclad" down --purge --data-dir "$data" >/dev/null 2>&1 || true
    umount "$data" 2>/dev/null || true
    rm -rf "$work"
    exit $code
}
trap clean EXIT
health() { curl -s -m 5 --cacert "$work/ca" --cert "$work/cert" --key "$work/key" "https://127.0.0.1:6443/$1"; }
is_ready() { [ "$(health readyz)" = ok ]; }
# From the administrator's kubeconfig.
credentials() {
    for pair in certificate-authority-data:ca client-certificate-data:cert client-key-data:key; do
        sed -n "s/.*\"\?${pair%:*}\"\?: *\"\?\([A-Za-z0-9+\/=]*\).*/\1/p" "$data/admin.conf" | head -1 | base64 -d >"$work/${pair#*:}"
    done
}

# 1. A log that never takes a line, and nobody who reads what is printed.
RUST_LOG=debug "$ironclad" up --data-dir "$data" --node-name n1 >/dev/full 2>/dev/full &
pid=$!
within 60 test -s "$data/admin.conf" || fail "no admin.conf"
credentials
within 60 is_ready || fail "not ready"
ok "ready with a log that always fails"
does "writes with a log that always fails" k create configmap one --from-literal=a=b
does "and reads" k get configmap one
kill "$pid"
wait "$pid" || fail "the exit code is not 0"
ok "ends in good order"

# 2. Rights that an older version left.
chmod 755 "$data" "$data/store"
chmod 644 "$data"/store/*.log
"$ironclad" up --detach --data-dir "$data" --node-name n1 >"$work/out" || { cat "$work/out"; fail "up --detach"; }
grep -q "other users could reach store in $data" "$work/out" || { cat "$work/out"; fail "the repair is not told"; }
ok "rights that were too wide are repaired, and told"
[ "$(stat -c %a "$data")" = 711 ] || fail "the data directory has mode $(stat -c %a "$data")"
wide=$(find "$data" -mindepth 1 -maxdepth 1 -perm /077)
[ -z "$wide" ] || fail "open to others: $wide"
ok "nobody else can reach what is in the data directory"

# 3. What is looked at.
credentials
for check in etcd watch-cache informer-sync start tasks; do
    health 'readyz?verbose' | grep -qx "\[+\]$check ok" || { health 'readyz?verbose'; fail "no check $check"; }
done
ok "/readyz looks at store, caches, informers and tasks"
[ "$(health livez/etcd)" = ok ] || fail "/livez/etcd"
ok "/livez has the check of the store"

# 4. The program is killed: its supervisor starts it again.
program() { pgrep -f "^/proc/self/exe up --data-dir $data"; }
first=$(program)
kill -9 "$first"
within 30 is_ready || fail "not started again"
[ "$(program)" != "$first" ] || fail "it is the same process"
ok "killed and started again by its supervisor"
grep -q "Ironclad has ended (signal: 9 (SIGKILL)) and is started again" "$data/ironclad.log" || fail "the log does not say so"
ok "the log says so"
does "what was stored is there" k get configmap one
# A new start would be refused because of this; who was up goes on.
ip link add late type bridge && ip address add 10.97.1.2/24 dev late
kill -9 "$(program)"
within 30 is_ready || fail "not started again beside a link that has come since"
ip link del late
ok "also beside a link that has an address of its ranges since"
refused=$("$ironclad" up --detach --data-dir "$data" --node-name n1 2>&1) && fail "a second cluster came up"
grep -q "already running\|being started again" <<<"$refused" || fail "$refused"
ok "no second one comes up beside it"
began=$SECONDS
"$ironclad" down --data-dir "$data" >"$work/out"
[ $((SECONDS - began)) -lt 20 ] || fail "the program did not end when it was told to"
[ -z "$(pgrep -f "$data" || true)" ] || fail "down has left $(pgrep -fa "$data")"
ok "down ends the program and its supervisor"

# 5. A disk that is full, and is not any more.
rm -rf "$data"
mkdir "$data"
mount -t tmpfs -o size=24m,mode=711 tmpfs "$data"
"$ironclad" up --detach --data-dir "$data" --node-name n1 >"$work/out" || { cat "$work/out"; fail "up on a small disk"; }
credentials
head -c 200000 /dev/urandom | base64 -w 0 >"$work/value"
write() { k create configmap "full-$1" --from-file=value="$work/value" 2>&1; }
fallocate -l 100M "$data/filler" 2>/dev/null || dd if=/dev/zero of="$data/filler" bs=4k 2>/dev/null || true
n=0
until refusal=$(write $n 2>&1) && false || grep -q "No space left" <<<"${refusal:-}"; do
    n=$((n + 1))
    [ $n -lt 40 ] || fail "the disk was never full: $refusal"
done
ok "a full disk: $(cut -c1-120 <<<"$refusal")"
health readyz/etcd | grep -q "No space left" || fail "/readyz/etcd: $(health readyz/etcd)"
ok "/readyz says what is wrong"
rm "$data/filler"
does "with space again, it writes" k create configmap after --from-literal=a=b
within 10 is_ready || fail "not ready again"
ok "and is ready again"
[ -z "$(k get configmap "full-$n" --ignore-not-found -o name)" ] || fail "what was refused is there"
kill -9 "$(program)"
# It waits for the supervisor, or finds that it has done its work.
again=$("$ironclad" up --detach --data-dir "$data" --node-name n1 2>&1) || grep -q "already running" <<<"$again" || fail "$again"
within 30 is_ready || fail "not started again"
[ -z "$(k get configmap "full-$n" --ignore-not-found -o name)" ] || fail "what was refused has appeared"
ok "what was refused never appears"
does "what was acknowledged is there" k get configmap after
"$ironclad" down --purge --data-dir "$data" >/dev/null 2>&1 || true
umount "$data"
rmdir "$data" 2>/dev/null || true

# 6. Few descriptors, and a crowd that connects everywhere and says nothing.
(ulimit -n 300; exec "$ironclad" up --detach --data-dir "$data" --node-name n1 --demo --eviction-hard 'memory.available<100Mi') >"$work/out" || { cat "$work/out"; fail "up with 300 descriptors"; }
grep -q "^Max open files  *300  *300 " "/proc/$(program)/limits" || fail "it has more descriptors: $(grep open "/proc/$(program)/limits")"
credentials
lease() { k get lease n1 -n kube-node-lease -o jsonpath='{.spec.renewTime}'; }
python3 - 127.0.0.1:6443 127.0.0.1:10250 10.96.0.10:53 >"$work/crowd" <<'PY' &
import select, socket, sys
held = []
for target in sys.argv[1:]:
    host, port = target.split(":")
    for _ in range(1000):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((host, int(port)))
        held.append(s)
# Those that the server does not take wait in the kernel, or are tried again by it.
print(len(held), flush=True)
select.select([], [], [])
PY
crowd=$!
within 20 test -s "$work/crowd" || fail "no crowd"
before=$(lease) || fail "no lease"
does "with a crowd of 3,000 and 300 descriptors, the administrator is served" k get nodes
renewed() { local now; now=$(lease) && [ "$now" != "$before" ]; }
does "the node renews its lease" within 15 renewed
k create -f - >/dev/null <<'YAML' || fail "create a pod"
apiVersion: v1
kind: Pod
metadata: {name: late}
spec: {containers: [{name: c, image: "ironclad.local/demo:v1", imagePullPolicy: IfNotPresent}]}
YAML
late_runs() { [ "$(k get pod late -o jsonpath='{.status.phase}')" = Running ]; }
does "a pod starts" within 30 late_runs
does "its logs can be read" k logs late
is_resolved() { [ "$(dig +short +tries=1 +time=2 @10.96.0.10 kubernetes.default.svc.cluster.local)" = 10.96.0.1 ]; }
does "and names are resolved" within 10 is_resolved
[ "$(ls "/proc/$(program)/fd" | wc -l)" -lt 300 ] || fail "no descriptor is left"
ok "descriptors are left"
kill $crowd

# 7. What became of the demo does not matter to a program that is started again.
k scale deployment demo --replicas=4 >/dev/null
four() { [ "$(k get deployment demo -o jsonpath='{.status.availableReplicas}')" = 4 ]; }
does "the demo is scaled" within 30 four
kill -9 "$(program)"
is_up() {
    local pid lock
    pid=$(program) && lock=$(readlink "/proc/$pid/fd/"* | grep -m1 'ironclad.lock$') || return 1
    grep -q "\"pid\":$pid,.*\"ready\":true" "${lock%ironclad.lock}settings.json"
}
does "and the program, killed, is up again" within 30 is_up
[ "$(k get deployment demo -o jsonpath='{.spec.replicas}')" = 4 ] || fail "the demo has another size"
ok "the demo has the size that it was given"

echo "faults: $passed passed, 0 failed"
