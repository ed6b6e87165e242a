# What pods may expect of their node: sourced by run.sh, with its functions and images.

k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: talkative}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: again
    image: "${image:=127.0.0.1:5000/library/busybox:1}"
    command: [sh, -c, "echo start \$(cat /keep/count 2>/dev/null | wc -l); echo x >> /keep/count; [ \$(wc -l < /keep/count) -gt 1 ] && sleep 3600; echo bad >&2; exit 7"]
    terminationMessagePolicy: FallbackToLogsOnError
    volumeMounts: [{name: keep, mountPath: /keep}]
  - name: much
    image: "$image"
    command: [sh, -c, "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; i=0; while [ \$i -lt 300 ]; do i=\$((i+1)); echo line \$i; head -c 99990 /dev/zero | tr '\\\\0' x; echo; done; while :; do echo tick; sleep 1; done"]
  volumes: [{name: keep, emptyDir: {medium: Memory}}]
---
apiVersion: v1
kind: Pod
metadata: {name: pictures}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: "$image"
    command: [sleep, "3600"]
    volumeMounts: [{name: image, mountPath: /image}, {name: image, mountPath: /conf, subPath: etc/nginx}]
  volumes: [{name: image, image: {reference: "localhost/nginx:1", pullPolicy: IfNotPresent}}]
---
apiVersion: v1
kind: Pod
metadata: {name: strangers}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 2000}
  containers:
  - name: c
    image: "$image"
    command: [sh, -c, "echo hello > /keep/file; exec httpd -f -p 8080 -h /keep"]
    securityContext: {procMount: Unmasked, capabilities: {add: [SYS_ADMIN]}}
    readinessProbe: {httpGet: {path: /file, port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: keep, mountPath: /keep}, {name: image, mountPath: /conf, subPath: etc/nginx}]
  volumes: [{name: keep, emptyDir: {}}, {name: image, image: {reference: "localhost/nginx:1", pullPolicy: IfNotPresent}}]
YAML
does "a pod with users of its own, and the network that all have" k wait --for=condition=Ready pod strangers --timeout=30s
says "its root is nobody on the node" '^ *0 +[0-9]{5,} +65536$' k exec strangers -- cat /proc/self/uid_map
says "it reaches the cluster by name" '^(200|401|403)$' \
    k exec strangers -- curl -sk -m 5 -o /dev/null -w '%{http_code}' https://kubernetes.default.svc.cluster.local/healthz
says "and its own files, of images and volumes" '^0 2000 0$' \
    k exec strangers -- sh -c 'echo $(stat -c %u /conf/nginx.conf) $(stat -c %g /keep/file) $(stat -c %u /keep/file)'
says "on the disk they have the same owners" '^0 2000$' sh -c "stat -c '%u %g' '$data'/kubelet/pods/*/volumes/kubernetes.io~empty-dir/keep/file"
says "the kernel's settings are not its own" 'Permission denied' \
    k exec strangers -- sh -c 'echo "|/x" > /proc/sys/kernel/core_pattern'
does "files are copied out of it" k cp strangers:/keep/file "$data/copied"
[ "$(cat "$data/copied")" = hello ] || fail "copied: $(cat "$data/copied")"
k delete pod strangers --now >/dev/null
does "a pod with an image as a volume" k wait --for=condition=Ready pod pictures --timeout=30s
says "sees the image's files" 'worker_processes' k exec pictures -- cat /conf/nginx.conf
says "and cannot change them" 'Read-only file system' k exec pictures -- touch /image/x
says "the image is kept while it is mounted" 'nginx.conf' sh -c \
    "'$ironclad' image rm localhost/nginx:1 --data-dir '$data' >/dev/null; '$kubectl' exec pictures -- ls /image/etc/nginx"
does "and comes back" "$ironclad" image import "$images/nginx.tar" --data-dir "$data"

restarted() { [ "$(k get pod talkative -o jsonpath='{.status.containerStatuses[?(@.name=="again")].restartCount}')" = 1 ]; }
does "a container is restarted" within 30 restarted
says "logs --previous" '^start 0' k logs talkative -c again --previous
says "logs of the second start" '^start 1' k logs talkative -c again
last() { k get pod talkative -o jsonpath="{.status.containerStatuses[?(@.name==\"again\")].lastState.terminated.$1}"; }
[ "$(last exitCode) $(last message | paste -sd " ")" = "7 start 0 bad" ] || fail "last words: $(last exitCode) $(last message)"
ok "the end of the log is the last message"
rotated() { ls "$data"/logs/default_talkative_*/much/0.log.2* ; }
timeout 60 "$kubectl" logs -f talkative -c much > "$data/followed" 2>/dev/null &
follower=$!
follows() { grep -q begun "$data/followed"; }
# Nothing is written before it is followed: what was rotated away by then nobody would be shown.
does "a log is followed from its beginning" within 20 follows
k exec talkative -c much -- touch /tmp/go
does "a long log is rotated" within 40 rotated
goes_on() { tail -n 1 "$data/followed" | grep -q tick; }
does "and following goes on" within 20 goes_on
[ "$(grep -c '^line ' "$data/followed")" = 300 ] || fail "following lost lines: $(grep -c '^line ' "$data/followed")"
ok "without a lost line"
kill $follower 2>/dev/null || true
says "the node's part of the pod range" '^10.244.0.0/24$' k get node n1 -o jsonpath='{.spec.podCIDR}'
k delete pod talkative pictures --now >/dev/null
