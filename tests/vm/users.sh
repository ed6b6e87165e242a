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
    command:
    - sh
    - -c
    - |
      echo "users $(cat /proc/self/uid_map)"
      echo "limit $(cat /sys/fs/cgroup/memory.max)"
      echo max > /sys/fs/cgroup/memory.max
      echo "image $(stat -c %u:%g /bin/busybox)"
      touch /keep/file
      echo "volume $(stat -c %u:%g /keep/file)"
      echo "|/x" > /proc/sys/kernel/core_pattern
      mknod /disk b 254 0
      exec sleep 3600
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
pattern=$(cat /proc/sys/kernel/core_pattern)
said() { grep -q 'mknod: ' <(k logs own); }
does "a pod with users of its own" within 90 said
while IFS='|' read -r name wanted; do
    says "$name" "^$wanted\$" k logs own
done <<'LINES'
its ids are others on the node|users  *0 +[0-9]{5,} +65536
its cgroup is the root that it sees|limit 67108864
which it cannot change|sh: can't create /sys/fs/cgroup/memory.max: .*
the image's files are its root's|image 0:0
and so is what it makes|volume 0:2000
the kernel's settings are not its own|sh: can't create /proc/sys/kernel/core_pattern: Permission denied
nor can it make a disk's node|mknod: /disk: Operation not permitted
LINES
[ "$(cat /proc/sys/kernel/core_pattern)" = "$pattern" ] || fail "core_pattern is another"
says "on the disk the file has the same owner" '^0:2000$' sh -c "stat -c %u:%g $data/kubelet/pods/*/volumes/kubernetes.io~empty-dir/keep/file"
inside() { grep -q 65536 <(k exec own -- cat /proc/self/uid_map); }
does "exec" within 60 inside
# Linux can show it from 6.3 on.
refused() { grep -Fq "(maybe the filesystem used doesn't support idmap mounts on this kernel?)" <(k get events); }
does "a volume in memory is refused" within 60 refused
does "down" down
