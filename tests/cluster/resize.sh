# Resources of running pods are changed: sourced by run.sh, with its functions and the registry's busybox.

k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: resized}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: plain
    image: "${image:=127.0.0.1:5000/library/busybox:1}"
    command: [sleep, "3600"]
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}
  - name: restarted
    image: "$image"
    command: [sh, -c, "trap exit TERM; sleep 3600 & wait"]
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 100m, memory: 32Mi}}
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
YAML
does "a pod to resize" k wait --for=condition=Ready pod resized --timeout=60s
resize() { k patch pod resized --subresource resize --type=strategic -p "{\"spec\":{\"containers\":[$1]}}" >/dev/null; }
of() { k get pod resized -o jsonpath="{.status.containerStatuses[?(@.name==\"$1\")].$2}"; }
condition() { k get pod resized -o jsonpath="{.status.conditions[?(@.type==\"$1\")].reason}"; }
# limits CONTAINER: CPU quota and memory limit as the kernel has them.
limits() {
    k exec resized -c "$1" -- sh -c 'cd /sys/fs/cgroup; if [ -e cpu.max ]; then cut -d" " -f1 cpu.max; cat memory.max
        else cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes; fi' | tr '\n' ' '
}
# has CONTAINER LIMITS: the kernel has them, and the status says that nothing is left to do.
has() { [ "$(limits "$1")" = "$2" ] && ! k get pod resized -o jsonpath='{.status.conditions[*].type}' | grep -q PodResize; }

does "its limits" within 10 has plain "20000 67108864 "
resize '{"name":"plain","resources":{"requests":{"cpu":"150m"},"limits":{"cpu":"300m","memory":"96Mi"}}}'
does "resized in place" within 20 has plain "30000 100663296 "
[ "$(of plain restartCount)$(of plain resources.limits.cpu)$(of plain allocatedResources.cpu)" = 0300m150m ] || fail "the status of a resize"
ok "and the status says so"
resize '{"name":"restarted","resources":{"limits":{"memory":"48Mi"}}}'
does "resized by a restart" within 40 has restarted "10000 50331648 "
[ "$(of restarted restartCount)" = 1 ] || fail "no restart"
resize '{"name":"plain","resources":{"requests":{"cpu":"250"},"limits":{"cpu":"250"}}}'
infeasible() { [ "$(condition PodResizePending)" = Infeasible ]; }
does "more than the node has is infeasible" within 20 infeasible
[ "$(limits plain)" = "30000 100663296 " ] || fail "the limits changed"
resize '{"name":"plain","resources":{"requests":{"cpu":"100m"},"limits":{"cpu":"200m"}}}'
does "and can be taken back" within 20 has plain "20000 100663296 "
says "events of a resize" 'ResizeStarted.*ResizeInfeasible|ResizeInfeasible.*ResizeStarted' \
    k get events --field-selector involvedObject.name=resized -o jsonpath='{.items[*].reason}'
k delete pod resized --now >/dev/null
