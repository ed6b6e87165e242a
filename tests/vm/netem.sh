#!/usr/bin/env bash
# A pod behind a slow, lossy link (100 ms, 5 %) is still reached through its service, by name and by address.
# seconds: 120
# needs: ironclad images
# packages: curl
source "$(dirname "$0")/kit/functions.sh"

does "up" up
k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: far, labels: {app: far}}
spec:
  containers:
  - name: c
    image: localhost/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "mkdir /srv; echo far > /srv/index.html; exec httpd -f -p 80 -h /srv"]
    readinessProbe: {httpGet: {port: 80}, timeoutSeconds: 5, periodSeconds: 5}
---
apiVersion: v1
kind: Pod
metadata: {name: near}
spec:
  containers: [{name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {selector: {app: far}, ports: [{port: 80}]}
YAML
does "pods" within 120 ready

# Both directions: what the node sends into the pod, and what the pod answers.
address=$(k get pod far -o 'jsonpath={.status.podIP}')
link=$(ip -o route get "$address" | grep -o 'dev [^ ]*' | cut -d' ' -f2)
[ -n "$link" ] || { ip route; fail "which link leads to $address?"; }
tc qdisc add dev "$link" root netem delay 100ms loss 5%
pid=$(pgrep -f 'httpd -f -p 80')
nsenter -t "$pid" -n tc qdisc add dev eth0 root netem delay 100ms loss 5%
says "the delay is there" 'time=[0-9]{3,}' k exec near -- ping -c 10 -W 5 "$address"

cluster=$(k get service far -o 'jsonpath={.spec.clusterIP}')
reached() {
    local n
    for n in $(seq 10); do k exec near -- curl -sf -m 20 "http://$1/" | grep -qx far || return 1; done
}
does "ten requests by the service's name" reached far.default.svc.cluster.local
does "ten requests by its address, from the node" bash -c "for n in \$(seq 10); do curl -sf -m 20 http://$cluster/ | grep -qx far || exit 1; done"
says "the probe still holds" '^True$' k get pod far -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
says "and nothing was restarted" '^0$' k get pod far -o 'jsonpath={.status.containerStatuses[0].restartCount}'
says "packets were lost" 'dropped [1-9]' bash -c "tc -s qdisc show dev $link; nsenter -t $pid -n tc -s qdisc show dev eth0"
does "down" down
