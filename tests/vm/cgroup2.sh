#!/usr/bin/env bash
# A node with cgroup version 2 alone: limits reach the kernel, a container without memory is killed as a whole.
# seconds: 90
# needs: ironclad images
source "$(dirname "$0")/kit/functions.sh"

groups() { find /sys/fs/cgroup -mindepth 1 -type d -name '*ironclad*' | wc -l; }
does "up" up
k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: hungry}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [tail, /dev/zero], resources: {limits: {memory: 32Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: localhost/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "cd /sys/fs/cgroup; for f in cpu.max cpu.weight memory.max memory.oom.group pids.max; do echo $f=$(cat $f); done; exec sleep 3600"]
    resources: {requests: {cpu: 250m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
YAML
terminated() { k get pod hungry -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}'; }
killed() { [ "$(terminated)" = 'OOMKilled 137' ]; }
does "more memory than the limit: OOMKilled, 137" within 60 killed
does "a limited pod" within 60 k logs limited
k logs limited | grep -q pids.max || within 30 bash -c 'ironclad kubectl logs limited | grep -q pids.max' || fail "no logs"
for wanted in 'cpu.max=50000 100000' 'cpu.weight=35' 'memory.max=67108864' 'memory.oom.group=1'; do
    says "$wanted" "^$wanted\$" k logs limited
done

# The container's group lies in its pod's, and that one in its class's.
id=$(k get pod limited -o 'jsonpath={.status.containerStatuses[0].containerID}')
group=$(find /sys/fs/cgroup -type d -path '*burstable*' -name "*${id##*/}*")
[ -n "$group" ] || { find /sys/fs/cgroup -type d -path '*ironclad*'; fail "the container has no group below burstable"; }
[ "$(cat "$(dirname "$group")/memory.max")" = 67108864 ] || fail "the pod's group has no limit: $(dirname "$group")"
ok "the container's group lies below its pod's and its class's"

# The class has what its pods request together, all pods together have the machine's memory and leave others processes.
class=$(dirname "$(dirname "$group")")
[ "$(cat "$class/cpu.weight")" = 35 ] || fail "burstable has weight $(cat "$class/cpu.weight")"
[ "$(cat "$(dirname "$class")/besteffort/cpu.weight")" = 1 ] || fail "best effort has weight $(cat "$(dirname "$class")/besteffort/cpu.weight")"
[ "$(cat "$(dirname "$class")/memory.max")" = "$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024))" ] || fail "all pods have $(cat "$(dirname "$class")/memory.max")"
[ "$(cat "$(dirname "$class")/pids.max")" -gt 1000 ] || fail "all pods have no limit of processes"
ok "the groups above the pods' have what is theirs"

before=$(groups)
[ "$before" -gt 0 ] || fail "no groups were found"
does "down" down
[ "$(groups)" = 0 ] || fail "groups are left: $(find /sys/fs/cgroup -type d -name '*ironclad*')"
ok "down leaves no group"
