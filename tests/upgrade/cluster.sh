# A cluster that changes hands: sourced by run.sh, with its functions.

# The earlier program's cluster, with all that is to be there afterwards in files.
start() {
    up "$old" --demo >/dev/null || fail "the earlier program does not come up"
    "$old" image import "$images/busybox.tar" --data-dir "$data" >/dev/null || fail "the earlier program imports no image"
    k create -f "$here/objects.yaml" >/dev/null || fail "objects are not made"
    k wait --for=condition=Ready pod web shared port host mortal --timeout=60s >/dev/null || fail "the pods do not run"
    k rollout status deployment demo --timeout=60s >/dev/null || fail "the demo does not run"
    within 20 status_is done phase Failed || fail "what ends has not ended"
    k exec mortal -- rm /tmp/alive
    within 30 restarted mortal 1 || fail "the probe does not end the container"
    within 20 status_is mortal 'containerStatuses[0].ready' true || fail "it does not run again"
    k exec web -- sh -c 'echo kept > /work/kept; echo kept > /tmp/kept' || fail "nothing is written in the pod"
    local name
    for name in demo web echo; do
        cluster_of[$name]=$(k get service $name -o jsonpath='{.spec.clusterIP}')
        port_of[$name]=$(k get service $name -o jsonpath='{.spec.ports[0].nodePort}')
    done
    node=$(k get nodes -o jsonpath='{.items[0].status.addresses[0].address}')
    # What the earlier program has given out stays good, whatever this one writes.
    cp "$KUBECONFIG" "$work/admin.conf"
    export KUBECONFIG=$work/admin.conf
    ticks=$(k logs shared -c two | tail -1)
    # What its controllers have to write is written.
    objects >"$work/objects"
    settled() { cp "$work/objects" "$work/earlier"; objects >"$work/objects"; cmp -s "$work/earlier" "$work/objects"; }
    within 30 settled || fail "it does not come to rest"
    containers >"$work/containers"
    are_nine() { processes >"$work/processes"; [ "$(wc -l <"$work/processes")" = 9 ]; }
    within 20 are_nine || fail "there are other processes: $(cat "$work/processes")"
    ok "the earlier program's cluster: $(wc -l <"$work/objects") objects, $(wc -l <"$work/processes") processes"
}
declare -A cluster_of port_of

# Connections that are open all the time, and new ones, one after the other.
traffic() {
    exec {by_cluster}<>"/dev/tcp/${cluster_of[echo]}/9000"
    open=$by_cluster
    # What the kernel masquerades belongs to the link that it left by, and ends with that: from a version whose pods were
    # at a bridge, these do not go on.
    if [ -z "$(ip -o link show master ironclad0 2>/dev/null)" ]; then
        exec {by_node}<>"/dev/tcp/$node/${port_of[echo]}"
        open+=" $by_node"
    fi
    echoes || fail "connections carry nothing"
    rm -f "$work/over"
    : >"$work/errors"
    while [ ! -e "$work/over" ]; do
        curl -sf -m 5 -o /dev/null "http://${cluster_of[demo]}/" || echo "by cluster address, $(date +%T.%N)"
        curl -sf -m 5 -o /dev/null "http://$node:${port_of[demo]}/" || echo "by node port, $(date +%T.%N)"
    done >>"$work/errors" &
    clients=$!
}
# The open connections bring back what is said.
echoes() {
    local fd back
    for fd in $open; do
        echo "said $fd" >&"$fd" && read -rt 5 back <&"$fd" && [ "$back" = "said $fd" ] || return 1
    done
}
# A token that a pod got from the earlier program is known: who it is may read nothing.
knows_token() {
    k exec web -- sh -c 'curl -sk -m 5 -o /dev/null -w "%{http_code}" -H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" https://kubernetes.default.svc/api/v1/namespaces/default/secrets'
}

# This program on the same data: nothing that was there has changed.
take_over() {
    answers "${cluster_of[demo]}" '^demo-' || fail "pods do not answer without the program"
    # At first it is killed on the way, too.
    local pause program
    for pause in 0.1 0.3 0.5 0.8; do
        (alone "$new" up --data-dir "$data" --node-name n1 --eviction-hard 'memory.available<100Mi') >"$work/out" 2>&1 &
        program=$!
        read -rt $pause <> <(:) || true
        kill -9 $program || { cat "$work/out"; fail "this program has ended by itself"; }
        wait $program 2>/dev/null || true
    done
    up "$new" >"$work/out" 2>&1 || { cat "$work/out"; fail "this program does not come up"; }
    ok "this program comes up, the fifth time"
    is_same
    # Nobody has waited: it looks at the pods again, and again finds nothing to do.
    k wait --for=condition=Ready pod web shared port host mortal --timeout=30s >/dev/null || fail "a pod is not Ready"
    k wait --for=condition=Available deployment demo --timeout=30s >/dev/null || fail "the demo is not available"
    k annotate node n1 looked=again >/dev/null
    is_same
    touch "$work/over"
    wait "$clients"
    [ ! -s "$work/errors" ] || fail "$(wc -l <"$work/errors") requests failed meanwhile: $(head -3 "$work/errors")"
    ok "no request has failed meanwhile"
    does "connections of before go on" echoes
    local fd
    for fd in $open; do exec {fd}>&-; done
    open=
    says "a token of before is known" '^403$' knows_token
    does "it answers by a cluster address" answers "${cluster_of[web]}" served
    does "and by a node port" within 10 answers "$node:${port_of[web]}" served
    does "and by a host port" within 10 answers "$node:18080" port
    does "and on the host's network" answers "$node:18081" host
    does "and by the pod's own address" answers "$(k get pod web -o jsonpath='{.status.podIP}'):8080" served
    does "from a pod, by name" within 10 k exec shared -c one -- curl -sf -m 5 http://web.default.svc.cluster.local/
    says "logs from before" '^life' k logs mortal
    says "logs of before the restart" '^life' k logs mortal --previous
    says "logs of what has ended" '^last words' k logs done
    k logs shared -c two | awk '$2 != NR { exit 1 }' || fail "lines of a log are missing"
    later() { [ "$(k logs shared -c two | tail -1 | cut -d' ' -f2)" -gt $((${ticks#tick } + 20)) ]; }
    does "a log has all lines, and goes on" within 30 later
    says "exec, with input" '^kept in kept$' k exec -i web -- sh -c 'read x; echo "$x in $(cat /work/kept)"' <<<kept
    says "files of before, in all volumes" '^made fast blue correct horse kept$' \
        k exec web -- sh -c 'echo $(for f in /work/file /fast/file /settings/colour /credentials/password /tmp/kept; do cat $f; echo; done)'
    says "processes are shared" 'tick' k exec shared -c one -- sh -c 'cat /proc/*/cmdline | tr "\0" " "'
}

# Objects, containers and processes are those of before.
is_same() {
    objects >"$work/now"
    has "$work/objects" "$work/now" || fail "objects are not as they were: $(cat "$work/missing")"
    containers >"$work/now"
    cmp "$work/containers" "$work/now" || fail "containers are not as they were: $(diff "$work/containers" "$work/now")"
    processes >"$work/now"
    has "$work/processes" "$work/now" || fail "processes are not as they were: $(diff "$work/processes" "$work/now")"
    ok "every object with its revision, every container with its id, every process with its start"
}

# Life goes on in pods that were taken over.
go_on() {
    k patch configmap settings --type=merge -p '{"data":{"colour":"green"}}' >/dev/null
    is_green() { [ "$(k exec web -- cat /settings/colour)" = green ]; }
    does "a ConfigMap volume follows its object" within 90 is_green
    k exec mortal -- rm /tmp/alive
    does "a probe ends a container, and its restarts are counted on" within 30 restarted mortal 2
    says "the log of its life before" '^life' k logs mortal --previous
    k exec web -- rm /work/index.html
    does "another probe takes a pod out of its Service" within 20 status_is web 'containerStatuses[0].ready' false
    k exec web -- sh -c 'echo back > /work/index.html'
    does "and brings it back" within 20 answers "${cluster_of[web]}" back
    kill -9 "$(k get pod port -o jsonpath='{.status.containerStatuses[0].containerID}' | sed 's,.*//,,' | xargs -I{} grep -F "{} " "$work/processes" | cut -d' ' -f2)"
    does "a killed container is started again" within 30 restarted port 1
    does "behind its host port" within 20 answers "$node:18080" port
    # Where the pod's process is too old for it, that is told.
    k debug web --image=localhost/busybox:1 --target=web -c look --profile=general -- sleep 3600 >/dev/null
    looks() {
        k get pod web -o jsonpath='{.status.ephemeralContainerStatuses[0].state}' >"$work/out"
        if grep -q '"running"' "$work/out"; then k exec web -c look -- cat /proc/1/cmdline | grep -q httpd
        else grep -q "of an earlier version: delete the pod" "$work/out"; fi
    }
    does "who is to look at a container's processes sees them, or is refused" within 20 looks

    local pod
    for pod in web shared port host done; do
        local uid address
        uid=$(k get pod "$pod" -o jsonpath='{.metadata.uid}') address=$(k get pod "$pod" -o jsonpath='{.status.podIP}')
        [ "$pod" = done ] || [ -n "$(traces "$uid" "$address")" ] || fail "$pod has no traces: this test would see none"
        k delete pod "$pod" --timeout=60s >/dev/null || fail "$pod is not deleted"
        [ "$pod" != host ] || address=0.0.0.0
        no_traces() { [ -z "$(traces "$uid" "$address")" ]; }
        within 20 no_traces || fail "$pod has left $(traces "$uid" "$address")"
        ok "the pod $pod is deleted, and nothing of it is left"
    done
    says "its host port is closed" '^000' curl -s -m 2 -o /dev/null -w '%{http_code}' "http://$node:18080/"
    k create -f "$here/objects.yaml" >/dev/null 2>&1 || true
    does "new pods like those run" k wait --for=condition=Ready pod web shared port host --timeout=60s
    does "and answer" within 10 answers "${cluster_of[web]}" served
    does "the demo is rolled out anew" k rollout restart deployment demo
    does "to its end" k rollout status deployment demo --timeout=60s
    does "and answers" within 10 answers "$node:${port_of[demo]}" '^demo-'
    local revision
    revision=$(k create configmap last -o jsonpath='{.metadata.resourceVersion}')
    [ "$revision" -gt "$(awk '{ print $3 }' "$work/objects" | sort -n | tail -1)" ] || fail "revisions went back to $revision"
    ok "revisions go on"
}
