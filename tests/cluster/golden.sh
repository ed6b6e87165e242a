#!/usr/bin/env bash
# The same command lines by upstream's kubectl and by ours: what they print and their exit codes are equal.
# usage: golden.sh IRONCLAD KUBECTL   with KUBECONFIG set to a running cluster that has localhost/busybox:1
#
# golden/reading.list: each line is run by both on the same objects, and again if it differs only because an
# age has changed meanwhile. golden/changing.list: each tool works in a namespace of its own, line by line.
# A line is a shell command in the folder of the files, which $URL has, too; `kubectl` is the tool under test, and
# `watch_kubectl` the same for a second and a half. `@ ` before it: bring about, do not compare.
set -uo pipefail

here=$(realpath "$(dirname "$0")")/golden
work=$(mktemp -d)
server=
trap 'kill $server; rm -rf "$work"' EXIT
read -ra upstream <<<"$2"
read -ra ours <<<"$1"
same=0 different=0

kubectl() { "${tool[@]}" "$@"; }
# What a command shows that does not end by itself.
watch_kubectl() { timeout 1.5 "${tool[@]}" "$@"; }
# run SIDE COMMAND: with the side's tool; stdout, stderr and the exit code into files.
run() {
    local side=$1
    if [ "$side" = upstream ]; then tool=("${upstream[@]}"); else tool=("${ours[@]}"); fi
    (cd "$work/files" && eval "$2") >"$work/$side.out" 2>"$work/$side.err" </dev/null
    echo "exit code $?" >"$work/$side.code"
}
# What differs between two runs by its nature: the namespaces, and what the server makes up.
normal() {
    sed -E -e 's/golden-[12]\b/NAMESPACE/g' \
        -e 's/\b([0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})\b/UID/g' \
        -e 's/(resourceVersion[\"]*: ?[\"]*)[0-9]+/\1VERSION/g' \
        -e 's/\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g' \
        -e 's/-[a-z0-9]{9,10}-[a-z0-9]{5}\b/-POD/g' -e 's/-[bcdf-hj-np-tv-xz2456789]{8,10}\b/-HASH/g' "$1"
}
# equal FILTER: whether the last runs of the two agree.
equal() {
    local part
    for part in out err code; do
        "$1" "$work/upstream.$part" >"$work/a" && "$1" "$work/ours.$part" >"$work/b"
        cmp -s "$work/a" "$work/b" || { diff -a "$work/a" "$work/b" >"$work/diff.$part"; return 1; }
    done
}
# Without ages, and without the columns' widths that follow from them: on a busy machine ages always differ.
ageless() { sed -E -e 's/\b[0-9]+[smhd]([0-9]+[smh])?\b/AGE/g' -e 's/ +/ /g' "$1"; }
differs() {
    local part
    different=$((different + 1))
    echo "DIFFERENT $1" >&2
    for part in out err code; do
        diff -a --label "kubectl std$part" --label "ironclad std$part" -u <("$2" "$work/upstream.$part") <("$2" "$work/ours.$part") |
            sed 's/^/    /' >&2
    done
}

cp -r "$here/files" "$work/files"
python3 -c "
import functools, http.server
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='$work/files')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
print(server.server_port, flush=True)
server.serve_forever()" >"$work/port" 2>/dev/null &
server=$!
until [ -s "$work/port" ]; do read -rt 0.05 <> <(:) || true; done
URL=http://127.0.0.1:$(cat "$work/port")
export URL
for n in 1 2; do
    sed "s/^  name: .*@.*/&/" "$KUBECONFIG" >"$work/config-$n"
    KUBECONFIG=$work/config-$n "${upstream[@]}" create namespace golden-$n >/dev/null || exit 1
    KUBECONFIG=$work/config-$n "${upstream[@]}" config set-context --current --namespace=golden-$n >/dev/null
done

changing() {
    local line quiet
    while IFS= read -r line; do
        [[ -z $line || $line == \#* ]] && continue
        quiet=no
        [[ $line == '@ '* ]] && { quiet=yes line=${line#@ }; }
        export NS=golden-1 KUBECONFIG=$work/config-1
        run upstream "$line"
        export NS=golden-2 KUBECONFIG=$work/config-2
        run ours "$line"
        if [ $quiet = yes ]; then
            [ "$(cat "$work/ours.code")" = 'exit code 0' ] || { differs "$line" cat; }
        elif equal normal; then
            same=$((same + 1))
        else
            differs "$line" normal
        fi
    done <"$1"
}

reading() {
    local line try
    export NS=golden-1 KUBECONFIG=$work/config-1
    while IFS= read -r line; do
        [[ -z $line || $line == \#* ]] && continue
        if [[ $line == '@ '* ]]; then
            run upstream "${line#@ }"
            continue
        fi
        for try in 1 2 3 4; do
            run upstream "$line"
            run ours "$line"
            equal cat && break
        done
        if equal cat || equal ageless; then same=$((same + 1)); else differs "$line" cat; fi
    done <"$1"
}

for list in ${GOLDEN:-"$here"/*.list}; do
    case $list in
    *changing*) changing "$list" ;;
    *) reading "$list" ;;
    esac
done
for n in 1 2; do "${upstream[@]}" delete namespace golden-$n --wait=false >/dev/null; done
echo "golden: $same command lines are equal, $different differ"
[ $different = 0 ]
