# Real images: sourced by run.sh, with its functions.
# nginx comes from a file, busybox from a registry on loopback.

images=$IRONCLAD_IMAGES
says "an image from a file" 'imported .*nginx:1' "$ironclad" image import "$images/nginx.tar" --data-dir "$data"
says "an image that is no image" '^error: ' "$ironclad" image import "$manifest" --data-dir "$data"
says "images are listed" 'nginx:1' "$ironclad" image ls --data-dir "$data"

cat > "$data/registry.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $data/registry}}
http: {addr: "127.0.0.1:5000"}
YAML
docker-registry serve "$data/registry.yml" >"$data/registry.log" 2>&1 &
registry=$!
does "a registry on loopback" within 10 curl -sf http://127.0.0.1:5000/v2/
does "has busybox" bash "$here/push.sh" "$images/busybox.tar" 127.0.0.1:5000 library/busybox 1

k apply -f - >/dev/null <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: localhost/nginx:1
        imagePullPolicy: IfNotPresent
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 2}}}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: greeting}
data: {text: hello}
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: init, image: "127.0.0.1:5000/library/busybox:1", command: [sh, -c, "echo made > /work/file"], volumeMounts: [{name: work, mountPath: /work}]}
  containers:
  - name: shell
    image: 127.0.0.1:5000/library/busybox:1
    command: [sh, -c, "cat /work/file; echo $GREETING; exec sleep 3600"]
    env: [{name: GREETING, valueFrom: {configMapKeyRef: {name: greeting, key: text}}}]
    volumeMounts: [{name: work, mountPath: /work}, {name: greeting, mountPath: /greeting}]
    resources: {limits: {memory: 64Mi, cpu: 100m}}
  volumes:
  - {name: work, emptyDir: {}}
  - {name: greeting, configMap: {name: greeting}}
YAML
does "nginx with three replicas" k rollout status deployment web --timeout=60s
does "a pod from the registry" k wait --for=condition=Ready pod shell --timeout=60s
# A tenth of a processor may take a moment to say it.
greets() { k logs shell | grep -q '^hello'; }
does "init container and environment" within 10 greets
in_pod() { k exec shell -c shell -- "$@"; }
says "the init container's file" '^made' in_pod cat /work/file
web=$(k get service web -o jsonpath='{.spec.clusterIP}')
port=$(k get service web -o jsonpath='{.spec.ports[0].nodePort}')
says "ClusterIP from a pod" '^web-' in_pod curl -sf -m 5 "http://$web/"
says "NodePort from a pod" '^web-' in_pod curl -sf -m 5 "http://$address:$port/"
says "NodePort from the node" '^web-' curl -sf -m 5 "http://$address:$port/"
says "a DNS name from a pod" '^web-' in_pod curl -sf -m 5 http://web/
says "the pod's resolver" '^search default.svc.cluster.local svc.cluster.local cluster.local' in_pod cat /etc/resolv.conf
does "a token for the API" in_pod test -s /var/run/secrets/kubernetes.io/serviceaccount/token
says "seccomp in exec" '^Seccomp:[[:space:]]*2' in_pod grep Seccomp: /proc/self/status
code=0; in_pod sh -c 'exit 7' >/dev/null 2>&1 || code=$?
[ $code = 7 ] || fail "exec gives $code instead of 7"
ok "exec keeps the exit code"

k patch configmap greeting --type=merge -p '{"data":{"text":"changed"}}' >/dev/null
changed() { in_pod cat /greeting/text | grep -q changed; }
does "a ConfigMap volume follows its object" within 90 changed

does "scaled to five" k scale deployment web --replicas=5
does "five are there" k rollout status deployment web --timeout=60s
does "and to three" k scale deployment web --replicas=3

# A new version under load: no request fails.
errors=$data/errors
: > "$errors"
( while [ ! -e "$data/rolled" ]; do curl -sf -m 5 -o /dev/null "http://$web/" || echo "failed at $(date +%T)" >> "$errors"; done ) &
load=$!
does "a new version" k set env deployment/web VERSION=2
does "is rolled out" k rollout status deployment web --timeout=120s
touch "$data/rolled"; wait $load
[ ! -s "$errors" ] || fail "$(wc -l < "$errors") requests failed while rolling: $(head -1 "$errors")"
ok "and no request failed"

k delete pod shell --wait=false >/dev/null
three_web() { [ "$(k get pods -l app=web --no-headers | wc -l)" = 3 ]; }
does "the old pods are gone" within 60 three_web
victim=$(k get pods -l app=web -o jsonpath='{.items[0].metadata.name}')
does "a container is ended from inside" k exec "$victim" -- /usr/sbin/nginx -s stop
again() { [ "$(k get pod "$victim" -o jsonpath='{.status.containerStatuses[0].restartCount}')" -ge 1 ]; }
does "and is restarted" within 30 again
does "the workload is deleted" k delete deployment,service web --timeout=60s
no_pods() { [ -z "$(k get pods -l app=web --no-headers 2>/dev/null)" ]; }
does "with its pods" within 60 no_pods
