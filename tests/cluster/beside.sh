# A second cluster beside the first: sourced by run.sh, with its functions.

other=$(mktemp -d)
# second FLAGS...: starts it with these.
second() { "$ironclad" up --detach --data-dir "$other" --node-name n2 --eviction-hard 'memory.available<100Mi' "$@"; }
ports=(--apiserver-bind-port 6444 --kubelet-port 10251)
ranges=(--pod-network-cidr 10.245.0.0/16 --service-cidr 10.112.0.0/16)
o() { "$kubectl" --kubeconfig "$other/admin.conf" "$@"; }

says "a port that the first has" "port 6443 is in use by the cluster in $data \(process [0-9]+\).*--apiserver-bind-port \(6444 is free\)" second
says "another port that it has" "port 10250 is in use by the cluster in $data .*--kubelet-port" second --apiserver-bind-port 6444
says "ranges that it has" "10.244.0.0/16 and .* 10.96.0.0/12 are in use by the cluster in $data \(process [0-9]+\): .*--pod-network-cidr 10.245.0.0/16 --service-cidr 10.112.0.0/12" \
    second "${ports[@]}"
[ -z "$(ls -A "$other")" ] || fail "what was refused has left something"
says "a second cluster, which is told whose node ports it has" "node ports are those of the cluster in $data .*--service-node-port-range" \
    second --demo "${ports[@]}" "${ranges[@]}"
does "a deployment of the first" k create deployment beside --image=ironclad.local/demo:v1 --port=8080
does "its service" k expose deployment beside --port=80 --target-port=8080
does "it runs" k rollout status deployment beside --timeout=30s
one=$(k get service beside -o jsonpath='{.spec.clusterIP}') two=$(o get service demo -o jsonpath='{.spec.clusterIP}')
answers() { curl -sf -m 5 "http://$1/" | grep -q "^$2-"; }
both() { answers "$one" beside && answers "$two" demo; }
does "both answer" within 10 both
says "the first's nodes are its own" '^n1$' k get nodes -o jsonpath='{.items[*].metadata.name}'
says "names of the second" "^$two\$" dig +short +tries=1 @10.112.0.10 demo.default.svc.cluster.local
says "both are listed" "$data +Running +[0-9]+ +1 +https://.*:6443 +10.244.0.0/16 +10.96.0.0/12" "$ironclad" ls
"$ironclad" ls -o json | python3 -c "
import json, sys
all = {c['dataDirectory']: c for c in json.load(sys.stdin)['clusters']}
one, two = all['$data'], all['$other']
assert (one['state'], two['state'], two['pods'], two['podNetwork']) == ('Running', 'Running', 3, '10.245.0.0/16'), (one, two)
assert one['bridge'] != two['bridge'] and one['nftablesTable'] != two['nftablesTable']
" || fail "the list in JSON"
ok "the list in JSON"

says "down sums up" "^removed [0-9]+ processes, .* 3 pods, .* of the cluster in $other" "$ironclad" down --data-dir "$other"
does "the first is as it was" within 5 answers "$one" beside
says "its names, too" "^$one\$" dig +short +tries=1 @10.96.0.10 beside.default.svc.cluster.local
! second "${ports[@]}" "${ranges[@]}" --service-node-port-range 20000-20999 | grep "node ports" || fail "node ports of its own are told"
does "the second is there again" o get --raw /readyz
does "and its pods" within 30 answers "$two" demo

# When the first has gone.
beside_alone() {
    does "the second does without the first" answers "$two" demo
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || fail "the node does not forward any more"
    says "a pod of it reaches the API server by name" '^ok$' o exec deployment/demo -- \
        /ironclad kubectl --server https://kubernetes.default.svc --insecure-skip-tls-verify get --raw /livez
    does "the second's end" "$ironclad" down --purge --data-dir "$other"
}
