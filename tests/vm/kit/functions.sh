# Sourced by every test, in machine 1: what a test says, and how it reaches the other machines.
set -euo pipefail
passed=0
data=/data
export KUBECONFIG=$data/admin.conf
k() { ironclad kubectl "$@"; }
ok() { passed=$((passed + 1)); echo "ok   $*"; }
fail() { echo "FAIL $*" >&2; exit 1; }
# does NAME COMMAND...: the command succeeds.
does() {
    local name=$1; shift
    "$@" >/dev/null || fail "$name"
    ok "$name"
}
# says NAME PATTERN COMMAND...: the command's output, whatever its exit code, has the pattern.
says() {
    local name=$1 pattern=$2 output; shift 2
    output=$("$@" 2>&1) || true
    grep -Eq -- "$pattern" <<<"$output" || { echo "$output" >&2; fail "$name"; }
    ok "$name"
}
# within SECONDS COMMAND...: repeats it until it succeeds.
within() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { "$@" || true; return 1; }
        read -rt 0.5 <> <(:) || true
    done
}
# ready [FLAG...]: there are pods, and all of them are.
ready() {
    k get pods --no-headers "$@" | awk '{split($2, n, "/"); bad += n[1] != n[2] || $3 != "Running"} END {exit bad || !NR}'
}
# on NUMBER COMMAND: a command line in another machine, with its output and exit code.
on() {
    local port mark line code=
    mark=$(cat /proc/sys/kernel/random/uuid)
    exec {port}<> "/dev/virtio-ports/machine$1"
    printf '%s %d 0\n%s' "$mark" "$(printf %s "$2" | wc -c)" "$2" >&"$port"
    local held=
    # The last line break before the mark is the mark's own.
    while IFS= read -r line <&"$port"; do
        case $line in "$mark "*) code=${line##* }; break ;; esac
        [ -z "$held" ] || printf '%s\n' "${held#.}"
        held=.$line
    done
    [ "$held" = . ] || [ -z "$held" ] || printf '%s\n' "${held#.}"
    exec {port}>&-
    return "${code:-255}"
}
# down: the cluster ends, and nothing of it is left.
down() { ironclad down --purge --data-dir "$data"; }
# up [FLAG...]: a cluster on this machine, with the images of the cluster test when the test asked for them.
up() {
    # What a distribution's container package has loaded at boot.
    modprobe overlay || return
    ironclad up --detach --data-dir "$data" --node-name "$(hostname)" --eviction-hard "memory.available<100Mi" "$@" || return
    [ ! -d /kit/images ] || ironclad image import /kit/images/busybox.tar --data-dir "$data" || return
    within 60 k get serviceaccount default
}
ended() {
    local code=$?
    if [ $code -ne 0 ] && [ -e "$data/ironclad.log" ]; then
        timeout 20 ironclad kubectl get pods -A -o wide || true
        timeout 20 ironclad kubectl get events -A | tail -20 || true
        cp "$data/ironclad.log" /out/ || true
        tail -20 "$data/ironclad.log" || true
    fi
    [ $code -ne 0 ] || echo "$passed passed, 0 failed"
    exit $code
}
trap ended EXIT
