#!/usr/bin/env bash
# Two machines: clients on another one reach the API and a node port, and nothing that is the node's own.
# machines: 2
# seconds: 100
# needs: ironclad images
# packages: curl
source "$(dirname "$0")/kit/functions.sh"

[ "$(on 2 hostname)" = vm2 ] || fail "the second machine"
does "the machines see each other" on 2 'busybox ping -c 1 -W 10 192.0.2.1'
says "exit codes come back" '^7$' bash -c "$(declare -f on); on 2 'exit 7'; echo \$?"
does "up" up --demo
does "three replicas" k rollout status deployment demo --timeout=60s

# The same file, carried to the other machine, names the API server by an address that is reached from there.
says "its address is the link's" 'server: https://192.0.2.1:6443' cat "$KUBECONFIG"
on 2 "base64 -d > /root/admin.conf <<<'$(base64 -w0 "$KUBECONFIG")'"
far() { on 2 "ironclad kubectl --kubeconfig /root/admin.conf $*"; }
says "kubectl on the other machine" '^vm1 +Ready' far get nodes
says "logs and exec from there" '^Ironclad v' far exec deployment/demo -- /ironclad version
port=$(k get service demo -o 'jsonpath={.spec.ports[0].nodePort}')
says "a node port from there" '^demo-' on 2 "curl -sf -m 20 http://192.0.2.1:$port/"

# A client that has no credentials, and what listens on the node.
says "no credentials" '401|Unauthorized|Forbidden' on 2 'curl -sk -m 20 https://192.0.2.1:6443/api/v1/secrets'
says "no credentials at the node's port" '401|Unauthorized|Forbidden' on 2 'curl -sk -m 20 https://192.0.2.1:10250/pods'

# The link is slow for a while: nothing breaks.
tc qdisc add dev eth0 root netem delay 200ms loss 10%
for n in 1 2 3 4 5; do on 2 "curl -sf -m 60 http://192.0.2.1:$port/" | grep -q '^demo-' || fail "request $n over a bad link"; done
ok "five requests over a bad link"
says "kubectl over a bad link" '^vm1 +Ready' far get nodes
does "down" down
