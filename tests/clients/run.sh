#!/usr/bin/env bash
# Other people's clients against a live cluster: each language has its suite, with the client that its users have.
# usage: run.sh IRONCLAD [SUITE...]   go, python, javascript, java, rust, envtest; all of them by default
# envtest needs no cluster: controller-runtime's own suites, which start API servers of their own.
# $IRONCLAD_RUST_SUITE is the program of the suite in rust: cargo xtask clients builds it.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
ironclad=$(realpath "$1"); shift
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(go python javascript java rust envtest)
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
prepare_envtest() {
    fresh "$here"/envtest/* || return 0
    local source
    source=$(cd "$here/envtest" && go mod download -json sigs.k8s.io/controller-runtime | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    cp -r "$source" "$place/source"
    chmod -R u+w "$place/source"
    # Webhook configurations are not served yet, and where binaries are downloaded from is none of ours.
    cp "$here/envtest/suite_test.go" "$place/source/pkg/envtest/envtest_suite_test.go"
    rm "$place/source"/pkg/envtest/{webhook,binaries}_test.go
    for part in client cache manager controller envtest; do
        (cd "$place/source" && go test -c -o "$place/$part" "./pkg/$part")
    done
}
declare -A tool=([go]=go [python]=python3 [javascript]=npm [java]=mvn [rust]=cargo [envtest]=go) places=()
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
# All at once: most of their time they wait. Requests to sign certificates are a kind that is not served yet.
run_envtest() {
    local part result=0
    # A spec of the cache wants an informer not to have synced within the milliseconds until it is looked at.
    declare -A further=([cache]=-ginkgo.flake-attempts=3)
    "$ironclad" envtest "$1/assets" >/dev/null
    export KUBEBUILDER_ASSETS=$1/assets
    declare -A running=()
    for part in client cache manager controller envtest; do
        (cd "$1/source/pkg/$part" && exec "$1/$part" -ginkgo.no-color -ginkgo.skip 'approve CSRs' ${further[$part]:-} >"$1/$part.log" 2>&1) &
        running[$part]=$!
    done
    for part in "${!running[@]}"; do
        wait "${running[$part]}" || { tail -60 "$1/$part.log" >&2; result=1; }
        echo "$part: $(grep -E '^Ran ' "$1/$part.log"), $(grep -oE '[0-9]+ Passed.*' "$1/$part.log")"
    done
    return $result
}
run_java() { java -cp "$1/classes:$1/lib/*" Suite; }
for suite in "${suites[@]}"; do
    timeout 180 bash -c "$(declare -f "run_$suite"); here=$here ironclad=$ironclad; run_$suite ${places[$suite]}" || { echo "FAIL clients: $suite" >&2; exit 1; }
done
echo "clients: ${#suites[@]} passed, 0 failed"
