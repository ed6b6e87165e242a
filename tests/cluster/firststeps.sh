#!/usr/bin/env bash
# The first five minutes: where things lie, who may read them, what is printed where.
# usage: firststeps.sh IRONCLAD
set -euo pipefail

if [ -z "${IRONCLAD_FIRST_STEPS:-}" ]; then
    export IRONCLAD_FIRST_STEPS=1
    exec unshare --net --mount bash "$0" "$@"
fi
ip link set lo up

work=$(mktemp -d)
chmod 755 "$work"
install -m 755 "$1" "$work/ironclad"
ironclad=$work/ironclad data=$work/data
export HOME=$work/home
mkdir "$HOME"
unset KUBECONFIG NO_COLOR
source "$(dirname "$0")/../functions.sh"
clean() {
    local code=$?
    "$ironclad" down --purge --data-dir "$data" >/dev/null 2>&1 || true
    rm -rf "$work"
    exit $code
}
trap clean EXIT
nobody() { setpriv --reuid 65534 --clear-groups "$@"; }
context() { "$ironclad" kubectl --kubeconfig "$HOME/.kube/config" "$@"; }

# A relative data directory, in the background; a terminal at the other end.
cd "$work"
script -qec "'$ironclad' up --detach --data-dir data --write-kubeconfig-mode 644" /dev/null >"$work/out" || { cat "$work/out"; fail "up"; }
[ -s "$data/admin.conf" ] && [ ! -e /data ] || fail "a relative data directory lies elsewhere"
ok "a relative data directory lies where one is"
grep -q $'\033\[1;32mThe cluster is up' "$work/out" || fail "no colours on a terminal"
ok "colours on a terminal"
grep -q "ironclad down --data-dir $data " "$work/out" || fail "the hint for down does not name the data directory"
ok "the hint for down names the data directory"

# ~/.kube/config.
[ "$(stat -c %a "$HOME/.kube/config")" = 600 ] || fail "rights of ~/.kube/config"
says "a context of its own" '^n?.* Ready ' context --context ironclad get nodes
says "which is the current one, as there was none" 'Ready' context get nodes
[ "$(stat -c %a data/admin.conf)" = 644 ] || fail "rights of admin.conf"
says "who may read admin.conf needs not be root" ' Ready ' nobody "$ironclad" kubectl --kubeconfig data/admin.conf get nodes
chmod 600 data/admin.conf
says "who may not is told what to do" 'admin.conf: permission denied; .*--write-kubeconfig-mode 644' \
    nobody "$ironclad" kubectl --kubeconfig data/admin.conf get nodes
says "also by the environment" 'admin.conf: permission denied' nobody env KUBECONFIG=data/admin.conf "$ironclad" kubectl get nodes

# A reader that stops early.
for line in "kubectl --kubeconfig data/admin.conf get --raw /openapi/v2" "kubectl --kubeconfig data/admin.conf api-resources" \
    "kubectl --help" "up --help" "ls" "image ls --data-dir data"; do
    "$ironclad" $line 2>"$work/err" | head -c 1 >/dev/null || true
    [ ! -s "$work/err" ] || { cat "$work/err"; fail "ironclad $line | head"; }
done
ok "a reader that stops early is nobody's fault"

says "down sums up" "^removed 2 processes, .* 1 context of the cluster in $data \(-v lists them\)" "$ironclad" down --data-dir data
[ ! -e "$HOME/.kube/config" ] || fail "~/.kube/config is left"
ok "and takes the context out of ~/.kube/config"

# Beside what others have in the file; no terminal anywhere.
printf '%s\n' 'apiVersion: v1' 'kind: Config' 'current-context: work' 'clusters: [{name: work, cluster: {server: "https://work"}}]' \
    'users: [{name: me, user: {token: t}}]' 'contexts: [{name: work, context: {cluster: work, user: me}}]' >"$HOME/.kube/config"
RUST_LOG=info "$ironclad" up --detach --data-dir data >"$work/out"
grep -q "kubectl --context ironclad get nodes" "$work/out" || fail "the context is not named: $(cat "$work/out")"
grep -q '^current-context: work' "$HOME/.kube/config" || fail "the current context has changed"
ok "the current context stays"
! grep -q $'\033' "$work/out" "$data/ironclad.log" || fail "colours in a file"
ok "no colours in files"
says "-v lists" '^removed context ironclad in ' "$ironclad" down --data-dir data -v
grep -q 'https://work' "$HOME/.kube/config" && ! grep -q ironclad "$HOME/.kube/config" || fail "the file is not as it was: $(cat "$HOME/.kube/config")"
ok "what is others' stays"
cp "$HOME/.kube/config" "$work/kept"
"$ironclad" up --detach --no-kubeconfig --data-dir data >/dev/null
cmp -s "$work/kept" "$HOME/.kube/config" || fail "--no-kubeconfig has changed it"
[ "$(stat -c %a data/admin.conf)" = 600 ] || fail "rights of admin.conf are kept"
ok "--no-kubeconfig leaves it alone"
NO_COLOR=1 script -qec "'$ironclad' down --purge --data-dir data; '$ironclad' upp" /dev/null >"$work/out"  || true
! grep -q $'\033' "$work/out" || fail "NO_COLOR is not heard"
ok "NO_COLOR is heard"
echo "first steps: $passed passed, 0 failed"
