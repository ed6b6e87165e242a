# Streams: sourced by run.sh after workload.sh, with its functions; wants the images and the registry's busybox.
# Each twice: over WebSockets, as kubectl does, and over SPDY, as older clients do.

image=127.0.0.1:5000/library/busybox:1
k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: streams, labels: {app: streams}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: shell, image: "$image", command: [sleep, "3600"]}
  - name: web
    image: "$image"
    command: [httpd, -f, -p, "8080", -h, /www]
    ports: [{name: http, containerPort: 8080}]
    volumeMounts: [{name: www, mountPath: /www}]
  - {name: term, image: "$image", command: [sh], stdin: true, tty: true}
  volumes: [{name: www, configMap: {name: www}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: www}
data: {index.html: '<a href="/other">here</a>'}
---
apiVersion: v1
kind: Service
metadata: {name: streams}
spec:
  selector: {app: streams}
  ports: [{name: main, port: 80, targetPort: http}]
YAML
does "a pod to talk to" k wait --for=condition=Ready pod streams --timeout=60s
head -c 50000000 /dev/urandom > "$data/big"
sum=$(sha256sum < "$data/big")

on_terminal() { python3 "$here/terminal.py" "$@"; }
# code NAME WANTED COMMAND...: the command ends with that code.
code() {
    local name=$1 wanted=$2 got=0; shift 2
    "$@" >/dev/null 2>&1 || got=$?
    [ $got = "$wanted" ] || fail "$name: $got instead of $wanted"
    ok "$name"
}
forward() {
    timeout 60 "$kubectl" port-forward pod/streams 18080:8080 17000:7000 17001:7001 19999:9999 > "$data/forward.log" 2>&1 &
    forwarder=$!
    within 10 grep -q '127.0.0.1:19999' "$data/forward.log" || fail "port-forward: $(cat "$data/forward.log")"
}
# put PORT, get PORT: standard input there, or what comes from there to standard output.
put() {
    timeout 40 python3 -c '
import shutil, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s, s.makefile("wb") as f:
    shutil.copyfileobj(sys.stdin.buffer, f)
    f.flush()
    s.shutdown(socket.SHUT_WR)
    s.recv(1)' "$1"
}
get() {
    timeout 40 python3 -c '
import shutil, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s, s.makefile("rb") as f:
    shutil.copyfileobj(f, sys.stdout.buffer)' "$1"
}
transfer() {
    forward
    k exec streams -c shell -- sh -c '(sleep 60 | nc -l -p 7000 > /tmp/in) >/dev/null 2>&1 & sleep 0.2'
    put 17000 < "$data/big"
    [ "$(k exec streams -c shell -- sha256sum /tmp/in | cut -d' ' -f1)" = "${sum%% *}" ] || return 1
    k exec streams -c shell -- sh -c '(nc -l -p 7001 < /tmp/in) >/dev/null 2>&1 & sleep 0.2'
    [ "$(get 17001 | sha256sum)" = "$sum" ]
}

for protocol in WebSocket SPDY; do
    [ $protocol = WebSocket ] || export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false KUBECTL_PORT_FORWARD_WEBSOCKETS=false
    code "$protocol: a terminal, its size, an exit code" 5 on_terminal 'expect=# ' 'send=stty size' 'expect=24 80' \
        'size=100x30' 'send=until stty size | grep 100; do :; done' 'expect=30 100' 'send=exit 5' -- \
        "$kubectl" exec -it streams -c shell -- sh
    code "$protocol: Ctrl-C" 130 on_terminal 'expect=ready' 'key=03' -- "$kubectl" exec -it streams -c shell -- \
        sh -c 'trap "exit 130" INT; echo ready; while :; do sleep 1; done'
    says "$protocol: a terminal has its name" '^TERM=xterm' on_terminal 'expect=# ' 'send=env | grep ^TERM; exit' -- \
        "$kubectl" exec -it streams -c shell -- sh
    says "$protocol: a command of a megabyte, encoded" '^60000$' k exec streams -c shell -- sh -c 'echo $#' sh $(seq 1 60000)
    leave() { k run "left-${protocol,,}" -i --leave-stdin-open --restart=Never --image "$image" -- sh -c 'cat; sleep 3600' <<<"in"; }
    does "$protocol: who leaves standard input open is not held" timeout 60 bash -c "$(declare -f leave k); kubectl=$kubectl image=$image protocol=$protocol leave"
    says "$protocol: and the container goes on" '^Running$' k get pod "left-${protocol,,}" -o 'jsonpath={.status.phase}{"\n"}'
    k delete pod "left-${protocol,,}" --now >/dev/null
    says "$protocol: standard input ends" '^5$' k exec -i streams -c shell -- wc -c <<<"four"
    code "$protocol: streams apart" 3 k exec streams -c shell -- sh -c 'echo error >&2; exit 3'
    [ "$(k exec -i streams -c shell -- sh -c 'cat > /tmp/big; sha256sum < /tmp/big' < "$data/big")" = "$sum" ] \
        || fail "$protocol: 50 MB to exec"
    [ "$(k exec streams -c shell -- cat /tmp/big | sha256sum)" = "$sum" ] || fail "$protocol: 50 MB from exec"
    ok "$protocol: 50 MB through exec, both ways"
    does "$protocol: a file copied there" k cp "$data/big" streams:/tmp/copy -c shell
    does "$protocol: and back" k cp streams:/tmp/copy "$data/copy" -c shell
    cmp "$data/big" "$data/copy" || fail "the copy differs"
    k wait --for=condition=Ready pod streams --timeout=30s >/dev/null
    code "$protocol: attached, with the terminal's size, detached" 0 on_terminal 'send=' 'expect=# ' 'send=stty size' \
        'expect=24 80' 'send=exit 7' -- "$kubectl" attach -it streams -c term
    says "$protocol: run keeps the exit code" 'pod default/once terminated' \
        k run once -i --rm --restart=Never --image "$image" -- sh -c 'cat; exit 4' <<<"in"

    forward
    says "$protocol: a forwarded port" 'here' curl -sf -m 5 http://127.0.0.1:18080/
    curl -sf -m 20 --parallel --parallel-max 50 -o /dev/null "http://127.0.0.1:18080/?[1-200]" 2>/dev/null || fail "$protocol: 200 connections"
    ok "$protocol: 200 forwarded connections, 50 at a time"
    curl -s -m 5 http://127.0.0.1:19999/ || true
    says "$protocol: a closed port" 'an error occurred forwarding 19999 -> 9999: error forwarding port 9999 to pod .*connection refused' \
        cat "$data/forward.log"
    kill $forwarder 2>/dev/null || true
    does "$protocol: 50 MB through a port, both ways" transfer
    kill $forwarder 2>/dev/null || true
done
unset KUBECTL_REMOTE_COMMAND_WEBSOCKETS KUBECTL_PORT_FORWARD_WEBSOCKETS

# The terminal's shell has ended twice.
k wait --for=condition=Ready pod streams --timeout=60s >/dev/null
prefix=/api/v1/namespaces/default
for path in pods/streams:8080 pods/http:streams:8080 services/streams:main services/streams:80 services/http:streams:main; do
    says "proxy: $path" "<a href=\"$prefix/$path/proxy/other\">" k get --raw "$prefix/$path/proxy/"
done
says "proxy: a port that is not there" 'no service port 81 found for service "streams"' k get --raw "$prefix/services/streams:81/proxy/"
says "proxy: nobody listens" 'error trying to reach service: .*refused' k get --raw "$prefix/pods/streams:81/proxy/"
says "proxy: the kubelet" '^ok' k get --raw /api/v1/nodes/n1/proxy/healthz
"$kubectl" proxy --port 18001 >"$data/proxy.log" 2>&1 &
proxy=$!
does "kubectl proxy" within 10 curl -sf http://127.0.0.1:18001/version
says "proxy: a path without its slash" "301 .*$prefix/services/streams:main/proxy/" \
    curl -s -o /dev/null -w '%{http_code} %{redirect_url}' "http://127.0.0.1:18001$prefix/services/streams:main/proxy"
for method in GET HEAD POST PUT DELETE PATCH OPTIONS; do
    says "proxy: $method" '^(200|40.|501)$' curl -s -m 5 -o /dev/null -w '%{http_code}' $([ $method = HEAD ] && echo -I || echo "-X $method") \
        "http://127.0.0.1:18001$prefix/pods/streams:8080/proxy/" 
done
kill $proxy
k delete pod streams --now >/dev/null; k delete service,configmap streams www --ignore-not-found >/dev/null
