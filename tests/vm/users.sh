#!/usr/bin/env bash
# Pods with users of their own on an older kernel, with cgroup version 2: what it can show with other ids works, and what it
# cannot (memory) is refused in runc's words.
# seconds: 90
# needs: ironclad images
source "$(dirname "$0")/kit/functions.sh"

does "up" up
k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  hostUsers: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 2000}
  containers:
  - name: c
    image: localhost/busybox:1
    imagePullPolicy: Never
    command: [sleep, "3600"]
    resources: {limits: {memory: 64Mi}}
    securityContext: {procMount: Unmasked, capabilities: {add: [SYS_ADMIN]}}
    volumeMounts: [{name: keep, mountPath: /keep}]
  volumes: [{name: keep, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: memory}
spec:
  hostUsers: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: localhost/busybox:1
    imagePullPolicy: Never
    command: [sleep, "3600"]
    volumeMounts: [{name: keep, mountPath: /keep}]
  volumes: [{name: keep, emptyDir: {medium: Memory}}]
YAML
running() { [ "$(k get pod own -o 'jsonpath={.status.phase}')" = Running ]; }
does "a pod with users of its own" within 60 running
says "its ids are others on the node" '^ *0 +[0-9]{5,} +65536$' k exec own -- cat /proc/self/uid_map
says "its cgroup is the root that it sees" '^67108864$' k exec own -- cat /sys/fs/cgroup/memory.max
says "which is not its own to change" 'Read-only|Permission denied' k exec own -- sh -c 'echo max > /sys/fs/cgroup/memory.max'
says "the image's files are its root's" '^0:0$' k exec own -- stat -c %u:%g /bin/busybox
says "and so is what it makes" '^0:2000$' k exec own -- sh -c 'touch /keep/file; stat -c %u:%g /keep/file'
says "on the disk, too" '^0:2000$' sh -c "stat -c %u:%g $data/kubelet/pods/*/volumes/kubernetes.io~empty-dir/keep/file"
pattern=$(cat /proc/sys/kernel/core_pattern)
says "the kernel's settings are not its own" 'Permission denied' k exec own -- sh -c 'echo "|/x" > /proc/sys/kernel/core_pattern'
[ "$(cat /proc/sys/kernel/core_pattern)" = "$pattern" ] || fail "core_pattern is another"
says "nor can it make a disk's node" 'Operation not permitted' k exec own -- mknod /disk b 254 0
why() { k get pod memory -o 'jsonpath={.status.containerStatuses[0].state}'; }
# Linux can show it from 6.3 on.
refused() { why | grep -Fq "(maybe the filesystem used doesn't support idmap mounts on this kernel?)"; }
does "a volume in memory is refused" within 60 refused
does "down" down
