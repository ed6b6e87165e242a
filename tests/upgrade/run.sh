#!/usr/bin/env bash
# An earlier binary starts a cluster, and this one takes it over: every object, every running pod. Then the way back: what
# the earlier one, or this one, does not know is refused in words, and nothing is changed.
# usage: run.sh OLD NEW KUBECTL
set -euo pipefail

here=$(realpath "$(dirname "$0")")
# Namespaces of our own for network and mounts, with nothing in them but loopback.
if [ -z "${IRONCLAD_UPGRADE:-}" ]; then
    # Images are assembled where Debian's packages can still be reached.
    IRONCLAD_UPGRADE=$(mktemp -d)
    export IRONCLAD_UPGRADE
    bash "$here/../cluster/images.sh" "$IRONCLAD_UPGRADE"
    exec unshare --net --mount bash "$0" "$@"
fi
ip link set lo up

old=$1 new=$2 kubectl=$3
images=$IRONCLAD_UPGRADE
work=$(mktemp -d)
export HOME=$work
# Each cluster has its own.
data=
# Descriptors of connections.
open=
source "$(dirname "$0")/../functions.sh"

k() { "$kubectl" "$@" 2> >(grep -v '^Warning: v1 Endpoints\|^Defaulted container' >&2); }
fail() { echo "FAIL $*" >&2; echo "upgrade: $passed passed, 1 failed" >&2; exit 1; }
clean() {
    local code=$?
    if [ $code -ne 0 ] && [ -n "$data" ]; then
        k get all -A -o wide || true
        k get events -A | tail -20 || true
        tail -20 "$data/ironclad.log" || true
    fi
    [ -z "${clients:-}" ] || kill "$clients" 2>/dev/null || true
    [ -z "$data" ] || "$new" down --purge --data-dir "$data" >/dev/null 2>&1 || true
    rm -rf "$IRONCLAD_UPGRADE" "$work"
    exit $code
}
trap clean EXIT

# The program's own processes, and its supervisor, if that version has one. Shims are not among them.
program() { pgrep -f "^[^ ]+ up .*--data-dir $data( |\$)"; }
supervisor() { pgrep -f "^[^ ]+ supervise $data/"; }
ended() { ! program && ! supervisor; }
# end kill|term: everything but the pods.
end() {
    case $1 in
        kill) kill -9 $(supervisor) $(program) ;;
        term) kill $(program) ;;
    esac
    within 20 ended || fail "the program does not end"
}
# Without the connections that this script holds open.
alone() {
    local fd
    for fd in $open; do exec {fd}>&-; done
    exec "$@"
}
# A disk that others fill is no reason to evict anything here; the earlier program does not look at it.
up() {
    local binary=$1 flags=(--data-dir "$data" --node-name n1 --detach); shift
    [ "$binary" != "$new" ] || flags+=(--eviction-hard 'memory.available<100Mi')
    (alone "$binary" up "${flags[@]}" "$@")
}

# Everything that is stored, by kind and name, with uid and revision. What is written all the time has no revision here,
# and of what each version brings itself the uid is enough.
objects() {
    local kinds
    kinds=$(k api-resources --verbs=list,create -o name | grep -v '^events' | sort | paste -sd,)
    k get "$kinds" -A -o jsonpath='{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{"\n"}{end}' |
        sed -E '/^(Node\/|Lease\/kube-|ClusterRole\/\/system:)/s/ [0-9]+$//' | sort -u
}
# Containers with id, restarts and start; pods with their addresses.
containers() {
    k get pods -A -o jsonpath='{range .items[*]}{.metadata.uid} {.status.podIP} {.status.phase} {range .status.containerStatuses[*]}{.containerID} {.restartCount} {.state.running.startedAt} {end}{"\n"}{end}' | sort
}
# The processes of all containers: id of the container, number and start of the process. Programs of probes, and what sleeps
# between two lines of a log, come and go: those are no three seconds old.
processes() {
    local id file pid start ticks
    ticks=$(($(cut -d. -f1 /proc/uptime) * $(getconf CLK_TCK)))
    for id in $(containers | grep -oE '//[0-9a-f]{64}' | tr -d /); do
        for file in $(find /sys/fs/cgroup -path "*/$id/cgroup.procs" 2>/dev/null); do
            while read -r pid; do
                start=$(cut -d' ' -f22 "/proc/$pid/stat" 2>/dev/null) || continue
                [ $((ticks - start)) -lt $((3 * $(getconf CLK_TCK))) ] || echo "$id $pid $start"
            done <"$file"
        done
    done | sort -u
}
# has BEFORE AFTER: every line of the first is in the second.
has() { comm -23 "$1" "$2" >"$work/missing"; [ ! -s "$work/missing" ]; }
restarts() { k get pod "$1" -o jsonpath='{.status.containerStatuses[0].restartCount}'; }
restarted() { [ "$(restarts "$1")" = "$2" ]; }
status_is() { [ "$(k get pod "$1" -o jsonpath="{.status.$2}")" = "$3" ]; }
answers() { curl -sf -m 5 "http://$1/" | grep -q "$2"; }
# What a pod has on the machine: mounts, cgroups, processes in them, files, the link of its address.
traces() {
    local uid=$1 address=$2
    { grep -F "$uid" /proc/self/mounts || true
      find /sys/fs/cgroup -path "*ironclad*$uid*" -type d
      find "$data" /run/ironclad-* -path "*$uid*" 2>/dev/null
      ip -o link | grep -F "icv$(printf '%02x' ${address//./ })" || true
      pgrep -f "shim --dir .*$uid" || true; } | sort
}

source "$here/cluster.sh"
source "$here/back.sh"
for way in kill term; do
    data=$(mktemp -d)
    export KUBECONFIG=$data/admin.conf
    echo "--- the earlier program ends by $way"
    start
    traffic
    end $way
    take_over
    [ $way = kill ] && go_on
    go_back
    "$new" down --purge --data-dir "$data" >/dev/null || fail "down"
    [ "$(ip -o link | wc -l)" = 1 ] || fail "links are left: $(ip -o link)"
    ! pgrep -f "$data" >/dev/null || fail "processes are left: $(pgrep -fa "$data")"
    ! grep -F "$data" /proc/self/mounts || fail "mounts are left"
    ok "nothing is left on the machine"
done
echo "upgrade: $passed passed, 0 failed"
