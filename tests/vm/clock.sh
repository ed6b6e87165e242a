#!/usr/bin/env bash
# The clock is set two days on and back again: the node stays Ready, pods run on, tokens and certificates are good as they say.
# seconds: 240
# needs: ironclad images
# packages: curl
source "$(dirname "$0")/kit/functions.sh"

timedatectl set-ntp false 2>/dev/null || true
days=$((2 * 24 * 3600))
# jump SECONDS
jump() { date -s "@$(($(date +%s) + $1))" >/dev/null; }
api=https://127.0.0.1:6443/api/v1/namespaces/default
# field NAME: of the kubeconfig, as a file.
field() { sed -n "s/^ *$1-data: //p" "$KUBECONFIG" | base64 -d > "/tmp/$1"; }
# token SECONDS: of the account `default`.
token() {
    local name
    for name in client-certificate client-key certificate-authority; do field "$name"; done
    curl -sS --cert /tmp/client-certificate --key /tmp/client-key --cacert /tmp/certificate-authority \
        --json "{\"spec\": {\"expirationSeconds\": $1}}" "$api/serviceaccounts/default/token" | grep -o '"token": *"[^"]*"' | cut -d'"' -f4
}
# code TOKEN: what its bearer hears: 403 is somebody who may not, 401 is nobody.
code() { curl -s -o /dev/null -w '%{http_code}' --cacert /tmp/certificate-authority -H "Authorization: Bearer $1" "$api/pods"; }
# pod NAME
pod() {
    k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "36000"]}
YAML
}
container() { k get pod first -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount} {.status.phase}'; }
node_is_ready() { [ "$(k get node -o 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status}')" = True ]; }
# alive: the node's lease was renewed just now, as the clock says it.
alive() {
    local renewed
    renewed=$(k get lease -n kube-node-lease "$(hostname)" -o 'jsonpath={.spec.renewTime}') && renewed=$(date -d "$renewed" +%s)
    [ $(($(date +%s) - renewed)) -lt 30 ] && [ $((renewed - $(date +%s))) -lt 30 ]
}
# good_token: what the pod has is good now.
good_token() {
    local claims
    claims=$(k exec first -- cat /var/run/secrets/kubernetes.io/serviceaccount/token | cut -d. -f2 | tr '_-' '/+')
    claims=$(printf '%s%s' "$claims" "$(printf '%*s' $(((4 - ${#claims} % 4) % 4)) '' | tr ' ' =)" | base64 -d)
    [ "$(grep -o '"exp":[0-9]*' <<<"$claims" | cut -d: -f2)" -gt "$(date +%s)" ] &&
        [ "$(grep -o '"nbf":[0-9]*' <<<"$claims" | cut -d: -f2)" -le "$(date +%s)" ]
}
# same WHEN: nothing became of the node or its pod, and another one starts.
same() {
    node_is_ready || fail "$1: the node is not Ready"
    does "$1: the lease goes on" within 30 alive
    [ "$(container)" = "$first" ] || fail "$1: the pod was $first, and is $(container)"
    does "$1: into the pod" k exec first -- true
    pod "next-$2"
    does "$1: another pod" within 60 k exec "next-$2" -- true
    does "$1: the pod has a good token" within 120 good_token
    ! k get events -A | grep -E 'NodeNotReady|Killing' || fail "$1: the node was lost"
    node_is_ready || fail "$1: the node is not Ready any more"
    ok "$1: the node is Ready, and its pod runs on"
}

does "up" up
pod first
does "a pod" within 120 ready
first=$(container)
hour=$(token 3600) week=$(token $((7 * 24 * 3600)))
[ "$(code "$hour") $(code "$week") $(code x)" = '403 403 401' ] || fail "tokens: $(code "$hour") $(code "$week") $(code x)"

jump $days
# What comes at once sees what was written before.
pod noise
same "two days later" 1
[ "$(code "$hour") $(code "$week")" = '401 403' ] || fail "tokens two days later: $(code "$hour") $(code "$week")"
ok "two days later: the token of an hour is over, that of a week is not"
later=$(token 3600)
[ "$(code "$later")" = 403 ] || fail "a new token: $(code "$later")"
# Begun now, the program makes certificates that are good from now on.
server=$(pgrep -f "up --data-dir $data") || fail "there is no program"
kill -KILL $server
begun_again() { [ "$(pgrep -f "up --data-dir $data")" != "$server" ] && k get --raw /readyz && alive; }
does "it is started again" within 120 begun_again

jump -$days
pod noise-2 2>/dev/null || true
does "back again: kubectl gets in" within 60 k get nodes
does "back again: the node is Ready" within 60 node_is_ready
same "back again" 2
[ "$(code "$hour") $(code "$week") $(code "$later")" = '403 403 401' ] || fail "tokens: $(code "$hour") $(code "$week") $(code "$later")"
ok "back again: tokens are good as before, and one of later is not yet"

jump -$days
# The authority's certificate is not valid yet; those below it are made anew, and who trusts it trusts it.
does "two days before all of that: kubectl gets in" within 60 k get nodes
does "two days before all of that: the lease goes on" within 30 alive
jump $days
does "and when it is time" within 60 k get nodes
does "the lease goes on" within 30 alive
node_is_ready || fail "at the end: the node is not Ready"
! k get events -A | grep -E 'NodeNotReady|Killing' || fail "at the end: the node was lost"
[ "$(container)" = "$first" ] || fail "at the end: the pod was $first, and is $(container)"
does "down" down
