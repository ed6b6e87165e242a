#!/usr/bin/env bash
# Upstream's `test/cmd`: its shell functions, with its kubectl, against our API server and our controllers. Each function
# has servers and a network namespace of its own, so that what one leaves behind is not met by another.
# usage: run.sh IRONCLAD KUBECTL SOURCE OUTPUT NAME
# SOURCE is upstream's module k8s.io/kubernetes, NAME a function without `run_`; OUTPUT gets what it printed.
set -euo pipefail

ironclad=$1 kubectl=$2 source=$3 output=$4 name=$5
if [ -z "${IRONCLAD_CMD:-}" ]; then
    IRONCLAD_CMD=$(mktemp -d)
    export IRONCLAD_CMD
    trap 'rm -rf "$IRONCLAD_CMD"' EXIT
    # With its own process ids, so that nothing outlives it.
    unshare --net --pid --fork --kill-child bash "$0" "$@" >"$output/$name.log" 2>&1
    exit
fi
ip link set lo up

# What its functions read, where they may write. In the module cache nothing may.
root=$IRONCLAD_CMD/kubernetes
mkdir -p "$root/test" "$root/third_party/forked" "$root/_output/bin"
for part in hack test/cmd test/fixtures test/e2e/testing-manifests third_party/forked/shell2junit; do
    mkdir -p "$root/$(dirname "$part")"
    [ ! -e "$source/$part" ] || cp -r --no-preserve=mode "$source/$part" "$root/$part"
done
# What a module is kept as has no rights of execution.
find "$root" \( -name '*.sh' -o -path '*/plugins/*' -type f \) -exec chmod +x {} +
# Its temporary files have the same names wherever it runs.
sed -i "s#/\(var/\)\?tmp/#$IRONCLAD_CMD/#g" "$root"/test/cmd/*.sh "$root/third_party/forked/shell2junit/sh2ju.sh"
cp "$kubectl" "$root/_output/bin/kubectl"
cd "$root"

export TERM=xterm HOME=$IRONCLAD_CMD/home KUBE_TEMP=$IRONCLAD_CMD/temp KUBE_JUNIT_REPORT_DIR=$IRONCLAD_CMD/junit WHAT=
# Its kubectl is built from the same version, and not from the same commit as we say.
export ALLOW_SKEW=true
mkdir -p "$HOME" "$KUBE_TEMP" "$KUBE_JUNIT_REPORT_DIR"
# shellcheck source=/dev/null
source hack/lib/init.sh
# shellcheck source=/dev/null
source hack/lib/test.sh
# shellcheck source=/dev/null
source test/cmd/legacy-script.sh
kube::util::ensure-temp-dir() { :; }
# What is left ends with the servers.
kube::test::clear_all() { :; }

# The flags are those of upstream's hack/make-rules/test-cmd.sh.
openssl genrsa -out "$IRONCLAD_CMD/key" 2048 2>/dev/null
"$ironclad" apiserver --bind-address 127.0.0.1 --secure-port "$SECURE_API_PORT" --authorization-mode RBAC,AlwaysAllow \
    --disable-admission-plugins ServiceAccount,DefaultStorageClass,DefaultTolerationSeconds,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,StorageObjectInUseProtection \
    --runtime-config api/v1 --service-account-key-file "$IRONCLAD_CMD/key" --service-account-signing-key-file "$IRONCLAD_CMD/key" \
    --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.0.0.0/24 --cert-dir "$IRONCLAD_CMD" \
    --client-ca-file hack/testdata/ca/ca.crt --token-auth-file hack/testdata/auth-tokens.csv >"$output/$name.apiserver.log" 2>&1 &
kube::util::wait_for_url_with_bearer_token "https://127.0.0.1:$SECURE_API_PORT/healthz" admin-token apiserver

export CONTEXT=test
kubectl config set-credentials test-admin --token admin-token
kubectl config set-cluster local --insecure-skip-tls-verify --server "https://127.0.0.1:$SECURE_API_PORT"
kubectl config set-context "$CONTEXT" --user test-admin --cluster local
kubectl config use-context "$CONTEXT"
"$ironclad" controllers --kubeconfig "$HOME/.kube/config" >"$output/$name.controllers.log" 2>&1 &
# Upstream has no node agent there either.
kubectl create -f - <<'EOF'
{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "127.0.0.1", "annotations": {"save-managers": "true"}},
 "status": {"capacity": {"memory": "1Gi"}}}
EOF

# Some are not called as those are that `WHAT` names.
case $name in
    *_tests) WHAT=${name%_tests} ;;
    *) WHAT=$name; eval "run_${name}_tests() { run_$name; }" ;;
esac
export SUPPORTED_RESOURCES=('*') WHAT
# Where upstream's run is by then, too: in no function's own namespace, and not in the default one.
create_and_use_new_namespace
runTests
echo "TESTS PASSED"
