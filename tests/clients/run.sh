#!/usr/bin/env bash
# Other people's clients against a live cluster: each language has its suite, with the client that its users have.
# usage: run.sh IRONCLAD [SUITE...]   go, python, javascript, java, rust; all of them by default
# $IRONCLAD_RUST_SUITE is the program of the suite in rust: cargo xtask clients builds it.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
ironclad=$(realpath "$1"); shift
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(go python javascript java rust)
cache=${IRONCLAD_CACHE:-$HOME/.cache/ironclad}/clients

# What each needs is fetched and built once for each of its lists of packages, where registries can be reached. What an
# earlier script has laid out is not taken for what this one would.
fresh() {
    local sum
    sum=$(cat "$here/run.sh" "$@" | sha256sum | cut -c1-16)
    place=$cache/$suite-$sum
    [ ! -e "$place/whole" ] || return 1
    rm -rf "$cache/$suite"-*
    mkdir -p "$place"
}
prepare_go() {
    fresh "$here"/go/* || return 0
    (cd "$here/go" && go build -o "$place/suite" .)
}
prepare_python() {
    fresh "$here/python/requirements.txt" || return 0
    pip3 install --quiet --no-deps --disable-pip-version-check --root-user-action ignore --target "$place/lib" \
        -r "$here/python/requirements.txt"
}
prepare_javascript() {
    fresh "$here"/javascript/package*.json || return 0
    cp "$here"/javascript/package*.json "$place"
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$place"
}
prepare_java() {
    fresh "$here/java/pom.xml" "$here"/java/*.java || return 0
    mvn -q -B -f "$here/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$place/lib"
    javac -nowarn -cp "$place/lib/*" -d "$place/classes" "$here"/java/*.java
}
prepare_rust() {
    place=$cache/rust
    [ -x "${IRONCLAD_RUST_SUITE:-}" ] || { echo "FAIL cargo xtask clients builds the suite in rust" >&2; exit 1; }
    mkdir -p "$place"
}
declare -A tool=([go]=go [python]=python3 [javascript]=npm [java]=mvn [rust]=cargo) places=()
if [ -z "${IRONCLAD_CLIENTS:-}" ]; then
    for suite in "${suites[@]}"; do
        command -v "${tool[$suite]}" >/dev/null || { echo "FAIL ${tool[$suite]} is not there, which the suite in $suite needs" >&2; exit 1; }
        "prepare_$suite"
        touch "$place/whole"
        places[$suite]=$place
    done
    IRONCLAD_CLIENTS=$(declare -p places)
    IRONCLAD_IMAGES=$(mktemp -d)
    export IRONCLAD_CLIENTS IRONCLAD_IMAGES
    bash "$here/../cluster/images.sh" "$IRONCLAD_IMAGES"
    exec unshare --net --mount bash "$0" "$ironclad" "${suites[@]}"
fi
eval "$IRONCLAD_CLIENTS"
ip link set lo up

data=$(mktemp -d)
export KUBECONFIG=$data/admin.conf IMAGE=localhost/busybox:1
clean() {
    local code=$?
    [ $code = 0 ] || tail -20 "$data/ironclad.log" || true
    "$ironclad" down --purge --data-dir "$data" >/dev/null 2>&1 || true
    rm -rf "$IRONCLAD_IMAGES"
    exit $code
}
trap clean EXIT
"$ironclad" up --detach --data-dir "$data" --node-name n1 --no-kubeconfig --eviction-hard 'memory.available<100Mi' >/dev/null
"$ironclad" image import "$IRONCLAD_IMAGES/busybox.tar" --data-dir "$data" >/dev/null

run_go() { "$1/suite"; }
run_python() { PYTHONPATH=$1/lib python3 "$here/python/suite.py"; }
# Modules are looked for beside the program.
run_javascript() { cp "$here/javascript/suite.mjs" "$1" && node "$1/suite.mjs"; }
run_rust() { "$IRONCLAD_RUST_SUITE"; }
run_java() { java -cp "$1/classes:$1/lib/*" Suite; }
for suite in "${suites[@]}"; do
    timeout 180 bash -c "$(declare -f "run_$suite"); here=$here; run_$suite ${places[$suite]}" || { echo "FAIL clients: $suite" >&2; exit 1; }
done
echo "clients: ${#suites[@]} passed, 0 failed"
