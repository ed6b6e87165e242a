# Sourced by run.sh: what a cluster keeps whatever people delete, and Endpoints that people write.

for name in default kube-system kube-public; do
    says "the namespace $name stays" "namespaces \"$name\" is forbidden: this namespace may not be deleted" k delete namespace $name
done
lease() { k get namespace kube-node-lease -o jsonpath='{.metadata.uid} {.status.phase}'; }
before=$(lease)
does "the namespace of leases can be deleted" k delete namespace kube-node-lease --timeout=30s
back() { [ "$(lease)" != "$before" ] && lease | grep -q Active; }
does "it comes back" within 10 back
does "and the node's lease with it" within 30 k get -n kube-node-lease lease n1
says "system priority classes stay" 'is forbidden: this is a system priority class and cannot be deleted' \
    k delete priorityclass system-node-critical

k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {ports: [{name: web, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: elsewhere}
subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{name: web, port: 8080}]}]
YAML
mirrored() {
    k get endpointslices -l kubernetes.io/service-name=elsewhere,endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io \
        -o jsonpath='{.items[*].endpoints[*].addresses[0]}:{.items[*].ports[*].port}'
}
has_mirror() { [ "$(mirrored)" = "$1" ]; }
does "Endpoints are mirrored" within 10 has_mirror 192.0.2.1:8080
does "they can be changed" k patch endpoints elsewhere --type=merge -p '{"subsets":[{"addresses":[{"ip":"192.0.2.2"}],"ports":[{"name":"web","port":8081}]}]}'
does "the mirror follows" within 10 has_mirror 192.0.2.2:8081
does "and they can be deleted" k delete endpoints elsewhere
does "with the mirror" within 10 has_mirror :
does "the Service goes" k delete service elsewhere
