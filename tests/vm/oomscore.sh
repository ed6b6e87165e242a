#!/usr/bin/env bash
# Whom the kernel kills first when memory runs out: never a shim, a critical or guaranteed container last.
# seconds: 80
# needs: ironclad images
source "$(dirname "$0")/kit/functions.sh"

does "up" up
k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: guaranteed}
spec:
  containers:
  - {name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"], resources: {limits: {cpu: 50m, memory: 16Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: burstable}
spec:
  containers:
  - {name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"], resources: {requests: {memory: 64Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: besteffort}
spec:
  containers: [{name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: critical, namespace: kube-system}
spec:
  priorityClassName: system-node-critical
  containers: [{name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"]}]
YAML
does "pods" within 120 ready
does "a critical pod" within 60 ready -n kube-system

# of POD [FLAG...]: the score of its container's first process, as the container sees it.
of() { k exec "$@" -- cat /proc/1/oom_score_adj; }
memory=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024))
says "guaranteed: -997" '^-997$' of guaranteed
says "critical, though it asks for nothing: -997" '^-997$' of -n kube-system critical
says "best effort: 1000" '^1000$' of besteffort
says "burstable: by what it asks for" "^$((1000 - 1000 * 64 * 1024 * 1024 / memory))\$" of burstable
scores=$(for pid in $(pgrep -x ironclad-shim); do cat "/proc/$pid/oom_score_adj"; done | sort | uniq -c | xargs)
says "each pod's shim: -998" '^[4-9][0-9]* -998$' echo "$scores"
says "the program itself: -999" '^-999$' cat "/proc/$(pgrep -f '^/proc/self/exe up' | head -1)/oom_score_adj"
# What is started in a container later does not have its shim's score.
says "exec has its container's score" '^1000$' k exec besteffort -- sh -c 'cat /proc/self/oom_score_adj'
does "down" down
