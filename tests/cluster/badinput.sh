#!/usr/bin/env bash
# Bad input: each gets one clear sentence with what to do and a non-zero exit, and loses nothing.
# usage: badinput.sh IRONCLAD
set -euo pipefail

# A namespace of our own for network and mounts: other clusters on the machine are not disturbed.
if [ -z "${IRONCLAD_BAD_INPUT:-}" ]; then
    export IRONCLAD_BAD_INPUT=1
    exec unshare --net --mount bash "$0" "$@"
fi
ip link set lo up

work=$(mktemp -d)
export HOME=$work
chmod 755 "$work"
# Where others than root can read it too.
install -m 755 "$1" "$work/ironclad"
ironclad=$work/ironclad data=$work/data small=$work/small
source "$(dirname "$0")/../functions.sh"
up() { "$ironclad" up --detach --data-dir "$1" --node-name n1 "${@:2}"; }
k() { "$ironclad" kubectl --kubeconfig "$data/admin.conf" "$@"; }
clean() {
    local code=$?
    for dir in "$data" "$work/data"; do "$ironclad" down --purge --data-dir "$dir" >/dev/null 2>&1 || true; done
    umount "$small" 2>/dev/null || true
    rm -rf "$work"
    exit $code
}
trap clean EXIT

# refused NAME PATTERN COMMAND...: fails with one line on standard error that has the pattern.
refused() {
    local name=$1 pattern=$2 code=0; shift 2
    "$@" >"$work/out" 2>"$work/err" || code=$?
    [ $code != 0 ] || fail "$name: the exit code is 0"
    [ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "$name: not one line"; }
    grep -Eq -- "$pattern" "$work/err" || { cat "$work/err" >&2; fail "$name: $pattern"; }
    ok "$name: $(cut -c1-150 "$work/err")"
}

refused "unknown flag" 'unknown flag --nonsense: .*--help' "$ironclad" up --nonsense
refused "unknown command" 'unknown command "upp": .*--help' "$ironclad" upp
refused "wrong value" '"x" .*--apiserver-bind-port' "$ironclad" up --apiserver-bind-port x
refused "networks that overlap" 'overlap: choose others' up "$data" --pod-network-cidr 10.96.0.0/16
refused "not root" 'run it as root' setpriv --reuid 65534 --clear-groups "$ironclad" up --data-dir "$data"
refused "not root, down" 'run it as root' setpriv --reuid 65534 --clear-groups "$ironclad" down --data-dir "$data"
for address in ::1 0.0.0.0 127.0.0.1 224.0.0.1 198.51.100.7; do
    refused "the address $address" "$address .*--apiserver-advertise-address" up "$data" --apiserver-advertise-address $address
done
refused "loopback addresses for pods" '127.1.0.0/16 has loopback addresses: .*--pod-network-cidr' up "$data" --pod-network-cidr 127.1.0.0/16
refused "multicast addresses for services" 'has multicast addresses: .*--service-cidr' up "$data" --service-cidr 224.0.0.0/8
ip link add d0 type bridge && ip address add 10.97.1.2/24 dev d0
refused "a range that the machine is in" '10.96.0.0/12 is in use by the link d0 with the address 10.97.1.2: .*--service-cidr 10.112.0.0/12' up "$data"
ip link del d0
refused "one port for two" 'both have port 7000' up "$data" --apiserver-bind-port 7000 --kubelet-port 7000
refused "ports that are none" 'service-node-port-range.*ports as in' up "$data" --service-node-port-range 9-1
refused "rights that are none" 'write-kubeconfig-mode.*octal' up "$data" --write-kubeconfig-mode rw
for kind in DGRAM STREAM; do
    python3 -c "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_$kind)
s.bind(('0.0.0.0', 53))
$([ $kind = DGRAM ] || echo 's.listen()')
print('bound', flush=True)
sys.stdin.read()" < <(sleep 60) >"$work/bound" &
    dns=$!
    until [ -s "$work/bound" ]; do read -rt 0.05 <> <(:) || true; done
    refused "port 53 taken by $kind" "port 53 of the pods' gateway 10.244.0.1: it is in use by python3 \(process $dns\)" up "$data"
    kill $dns
    wait $dns 2>/dev/null || true
    rm "$work/bound"
done
mkdir -p /run/netns
touch "/run/netns/ironclad-$$"
mount --bind /proc/self/ns/net "/run/netns/ironclad-$$"
refused "no cgroups in sight" "nsenter --net=/run/netns/ironclad-$$ ironclad" ip netns exec "ironclad-$$" "$ironclad" up --data-dir "$data"
umount "/run/netns/ironclad-$$"
rm "/run/netns/ironclad-$$"
grep -v overlay /proc/filesystems >"$work/filesystems"
mount --bind "$work/filesystems" /proc/filesystems
refused "a kernel without overlayfs" 'modprobe overlay' up "$data"
umount /proc/filesystems
touch "$work/file"
refused "a data directory that is a file" "$work/file" up "$work/file"
[ ! -e "$data" ] || fail "what was refused has left something: $(ls "$data")"

up "$data" >/dev/null
k create configmap kept --from-literal=a=b >/dev/null
refused "port in use" 'port 6443 is in use .*--apiserver-bind-port' up "$work/other"
refused "the other port in use" 'port 10250 is in use .*--kubelet-port' up "$work/other" --apiserver-bind-port 7443
[ ! -e "$work/other" ] || fail "what was refused has left something: $(ls "$work/other")"
refused "a second up" 'already running' up "$data"

printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n' >"$work/broken.yaml"
refused "broken YAML" 'error parsing .*broken.yaml: .*line 3' k apply -f "$work/broken.yaml"
refused "an image that is no image" 'error: ' "$ironclad" image import "$work/broken.yaml" --data-dir "$data"
head -c 100000 /dev/urandom >"$work/noise.tar"
refused "noise as an image" 'error: ' "$ironclad" image import "$work/noise.tar" --data-dir "$data"
refused "no file as an image" 'error: ' "$ironclad" image import "$work/none.tar" --data-dir "$data"
[ "$(k get configmap kept -o jsonpath='{.data.a}')" = b ] || fail "bad input has lost something"

"$ironclad" down --data-dir "$data" >/dev/null
log=$(ls "$data"/store/*.log | tail -1)
cp "$log" "$work/good"
printf 'damage' | dd of="$log" bs=1 seek=$(($(stat -c %s "$log") / 2)) conv=notrunc status=none
refused "a corrupt database file" 'is damaged at byte [0-9]+; restore' up "$data"
cp "$work/good" "$log"
up "$data" >/dev/null
[ "$(k get configmap kept -o jsonpath='{.data.a}')" = b ] || fail "the repaired database has lost something"
ok "the restored database has everything"
"$ironclad" down --data-dir "$data" --purge >/dev/null

# A full disk: what was acknowledged is there when there is room again.
mkdir "$small"
mount -t tmpfs -o size=24m tmpfs "$small"
data=$small/data
up "$data" >/dev/null
head -c 500000 /dev/zero | tr '\0' x >"$work/blob"
kept=0
while [ $kept -lt 100 ]; do
    k create configmap "blob-$kept" --from-file=blob="$work/blob" >"$work/out" 2>"$work/err" || break
    kept=$((kept + 1))
done
[ $kept -lt 100 ] || fail "the disk does not become full"
[ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "a full disk: not one line"; }
grep -Eq 'No space left on device.*free' "$work/err" || { cat "$work/err" >&2; fail "a full disk is not named"; }
ok "a full disk: $(cut -c1-150 "$work/err")"
"$ironclad" down --data-dir "$data" >/dev/null
cp "$work/blob" "$small/rest" 2>/dev/null || true
head -c 24000000 /dev/zero >"$small/rest" 2>/dev/null || true
refused "up on a full disk" 'No space left on device' up "$data"
rm "$small/rest"
mount -o remount,size=64m "$small"
up "$data" >/dev/null
[ "$(k get configmaps -o name | grep -c blob-)" -ge $kept ] || fail "a full disk has lost acknowledged writes"
k create configmap after --from-literal=a=b >/dev/null
ok "everything is there when there is room again"
"$ironclad" down --purge --data-dir "$data" >/dev/null
echo "bad input: $passed passed, 0 failed"
