#!/usr/bin/env bash
# A disk that fails and forgets: no acknowledged write is lost, also when the power goes while it does.
# seconds: 130
# needs: ironclad
# packages: curl dmsetup
source "$(dirname "$0")/kit/functions.sh"

truncate -s 1G /var/flakey
loop=$(losetup --show -f /var/flakey)
sectors=$(blockdev --getsz "$loop")
good="0 $sectors linear $loop 0"
dmsetup create flakey --table "$good"
mkfs.ext4 -q /dev/mapper/flakey
mkdir -p /disk
mount /dev/mapper/flakey /disk
data=/disk/data KUBECONFIG=/disk/data/admin.conf
# disk TABLE: from now on the device is this one. Nothing is flushed on the way, as when the plug is pulled.
disk() { dmsetup suspend --nolockfs --noflush flakey && dmsetup load flakey --table "$1" && dmsetup resume flakey; }

# write PREFIX: many at once, until all are answered or nobody answers; /tmp/PREFIX has each one's status and name.
write() {
    local field
    for field in client-certificate client-key certificate-authority; do
        sed -n "s/^ *$field-data: //p" "$KUBECONFIG" | base64 -d > "/tmp/$field"
    done
    seq 1000 | awk -v prefix="$1" '
        NR > 1 {print "next"}
        {
            print "url = \"https://127.0.0.1:6443/api/v1/namespaces/default/configmaps\""
            printf "json = \"{\\\"metadata\\\":{\\\"name\\\":\\\"%s-%s\\\"},\\\"data\\\":{\\\"n\\\":\\\"%s\\\"}}\"\n", prefix, $1, $1
            print "cert = /tmp/client-certificate\nkey = /tmp/client-key\ncacert = /tmp/certificate-authority"
            printf "max-time = 20\noutput = /dev/null\nwrite-out = \"%%{http_code} %s-%s\\n\"\n", prefix, $1
        }' > "/tmp/$1.requests"
    stdbuf -oL curl --parallel --parallel-max 24 -s -K "/tmp/$1.requests" > "/tmp/$1" 2>/dev/null || true
}
acknowledged() { sed -n 's/^201 //p' "/tmp/$1"; }
# written PREFIX COUNT
written() { [ "$(acknowledged "$1" | wc -l)" -ge "$2" ]; }
refused() { grep -qv '^201 ' "/tmp/$1"; }
# kept PREFIX: all that was acknowledged is there, with its content.
kept() {
    local lost
    k get configmaps -o 'jsonpath={range .items[*]}{.metadata.name} {.data.n}{"\n"}{end}' | sort > /tmp/there
    lost=$(acknowledged "$1" | sed 's/.*-\(.*\)/& \1/' | sort | comm -23 - /tmp/there)
    [ -z "$lost" ] || fail "$1: of $(acknowledged "$1" | wc -l) acknowledged writes these are lost: $lost"
    ok "$1: all $(acknowledged "$1" | wc -l) acknowledged writes are there"
}
# cut: the power goes. What was written and not flushed by then never comes to the disk. The program stands still
# before: what it acknowledged to a disk that only pretends would be nobody's loss.
cut() {
    local server
    # Nobody starts it again: that is the machine's end, not the program's.
    pkill -KILL -f "supervise $data/ironclad.log" || true
    # On a disk that errors it may have ended by itself.
    server=$(pgrep -f "up --data-dir $data" || true)
    [ -z "$server" ] || kill -STOP $server
    # The proof that power was lost: what nobody flushed is gone. A file system that had errors takes no more.
    { echo unflushed > /disk/unflushed; } 2>/dev/null || true
    disk "0 $sectors flakey $loop 0 0 3600 1 drop_writes"
    [ -z "$server" ] || kill -KILL $server
    # Nothing holds the disk any more.
    within 30 umount /disk || fail "the disk is still in use"
    disk "$good"
    mount /dev/mapper/flakey /disk || fail "the file system after a cut"
    [ ! -s /disk/unflushed ] || fail "the disk has forgotten nothing"
}

does "up" up
k create configmap before --from-literal=n=before >/dev/null

: > /tmp/cut
write cut & writer=$!
within 60 written cut 200 || fail "no writes: $(tail -3 /tmp/cut)"
cut
wait $writer
refused cut || fail "all writes were done before the power went"
does "up after the power went" up
says "what was there before" '^before$' k get configmap before -o 'jsonpath={.data.n}'
kept cut
highest=$(k get configmaps -o 'jsonpath={range .items[*]}{.metadata.resourceVersion}{"\n"}{end}' | sort -n | tail -1)
k create configmap next --from-literal=n=next >/dev/null
[ "$(k get configmap next -o 'jsonpath={.metadata.resourceVersion}')" -gt "$highest" ] || fail "revisions went back to $highest"
ok "revisions go on"

# The disk errors: what cannot be written is refused, or nobody answers.
: > /tmp/error
write error & writer=$!
within 60 written error 200 || fail "no writes: $(tail -3 /tmp/error)"
disk "0 $sectors flakey $loop 0 0 3600 1 error_writes"
does "what cannot be written is not acknowledged" within 60 refused error
before=$(acknowledged error | wc -l)
cut
wait $writer
[ "$(acknowledged error | wc -l)" = "$before" ] || fail "a disk that errors was written to"
does "up after the errors" up
kept cut
kept error
does "and it writes again" k create configmap after --from-literal=n=after
does "down" down
umount /disk
