#!/usr/bin/env bash
# How long envtest's two programs take until /healthz is well: ours and upstream's in turns, from the same flags.
# usage: ready.sh IRONCLAD DIRECTORY [ROUNDS]   DIRECTORY has upstream's etcd and kube-apiserver
# Prints milliseconds of each round, and the medians.
set -euo pipefail

if [ -z "${IRONCLAD_READY:-}" ]; then
    export IRONCLAD_READY=1
    exec unshare --net bash "$0" "$@"
fi
ip link set lo up
work=$(mktemp -d)
running=()
clean() {
    [ ${#running[@]} = 0 ] || kill -9 "${running[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
ironclad=$(realpath "$1") upstream=$(realpath "$2") rounds=${3:-7}
"$ironclad" envtest "$work/ours" >/dev/null
openssl ecparam -genkey -name prime256v1 -noout | openssl pkcs8 -topk8 -nocrypt -out "$work/sa.key" 2>/dev/null
openssl pkey -in "$work/sa.key" -pubout -out "$work/sa.pub"

# ready PROGRAMS: milliseconds from the start of etcd until the API server is well; both are ended then.
ready() {
    local data=$work/run etcd=http://127.0.0.1:23790 begin end
    rm -rf "$data" && mkdir "$data"
    begin=$(date +%s%N)
    "$1/etcd" --data-dir="$data/etcd" --listen-client-urls=$etcd --advertise-client-urls=$etcd \
        --listen-peer-urls=http://127.0.0.1:23800 --unsafe-no-fsync=true >"$data/etcd.log" 2>&1 &
    running=($!)
    until curl -fs "$etcd/health" >/dev/null; do read -rt 0.01 <> <(:) || true; done
    "$1/kube-apiserver" --allow-privileged=true --authorization-mode=RBAC --bind-address=127.0.0.1 --secure-port=23443 \
        --advertise-address=192.0.2.1 --cert-dir="$data/certs" --disable-admission-plugins=ServiceAccount --etcd-servers=$etcd \
        --service-account-issuer=https://127.0.0.1:23443/ --service-account-key-file="$work/sa.pub" \
        --service-account-signing-key-file="$work/sa.key" --service-cluster-ip-range=10.0.0.0/24 >"$data/api.log" 2>&1 &
    running+=($!)
    until curl -fks https://127.0.0.1:23443/healthz >/dev/null; do
        kill -0 "${running[1]}" || { tail -5 "$data/api.log" >&2; exit 1; }
        read -rt 0.01 <> <(:) || true
    done
    end=$(date +%s%N)
    # Upstream's API server takes its time to end without its etcd, which is not what is measured.
    kill -9 "${running[@]}"
    wait "${running[@]}" 2>/dev/null || true
    running=()
    took=$(((end - begin) / 1000000))
}
ours=() theirs=()
for round in $(seq "$rounds"); do
    ready "$work/ours"; ours+=("$took")
    ready "$upstream"; theirs+=("$took")
    echo "round $round: ours ${ours[-1]} ms, upstream's ${theirs[-1]} ms"
done
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }
echo "median: ours $(median "${ours[@]}") ms, upstream's $(median "${theirs[@]}") ms"
