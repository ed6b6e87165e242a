#!/usr/bin/env bash
# AppArmor holds containers: a profile of the node's own, the runtime's default, none; one that is not there is refused.
# seconds: 150
# needs: ironclad images
# packages: apparmor
source "$(dirname "$0")/kit/functions.sh"

does "up" up
echo 'profile kit-deny flags=(attach_disconnected) { file, network, capability, signal, deny /etc/hostname r, }' | apparmor_parser --replace ||
    fail "load a profile"
# pod NAME SECURITY [FIELDS]: a container with this security context, and what the pod has beside it.
pod() {
    cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  ${3:-}
  containers:
  - {name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"], securityContext: $2}
YAML
}
{
    pod own '{appArmorProfile: {type: Localhost, localhostProfile: kit-deny}}'
    # Without new privileges and with a filter of its own, too.
    pod strict '{appArmorProfile: {type: Localhost, localhostProfile: kit-deny}, allowPrivilegeEscalation: false, seccompProfile: {type: RuntimeDefault}}'
    pod default '{appArmorProfile: {type: RuntimeDefault}, capabilities: {add: [SYS_ADMIN]}}'
    pod nothing '{}'
    pod bypod '{}' 'securityContext: {appArmorProfile: {type: Localhost, localhostProfile: kit-deny}}'
    pod none '{appArmorProfile: {type: Unconfined}, capabilities: {add: [SYS_ADMIN]}}'
    pod privileged '{privileged: true}'
} | k apply -f - >/dev/null
does "pods" within 120 ready
profile() { k exec "$1" -- cat /proc/1/attr/current; }
for name in own strict bypod; do
    says "$name: the node's profile" '^kit-deny \(enforce\)' profile "$name"
done
says "exec is held by it, too" '^kit-deny \(enforce\)' k exec strict -- cat /proc/self/attr/current
says "what it denies" 'Permission denied' k exec own -- cat /etc/hostname
does "anything else" k exec own -- cat /etc/hosts
says "the default profile, asked for" '^ironclad.default \(enforce\)' profile default
says "the default profile, where nothing is said" '^ironclad.default \(enforce\)' profile nothing
says "the default profile: no mount, whatever the capabilities" '[Pp]ermission denied' k exec default -- mount -t tmpfs none /etc
says "unconfined" '^unconfined' profile none
does "unconfined, with the capability: a mount" k exec none -- mount -t tmpfs none /etc
says "a privileged container is not held" '^unconfined' profile privileged
says "signals within the profile" '^ok' k exec nothing -- sh -c 'sleep 60 & kill $! && echo ok'

pod missing '{appArmorProfile: {type: Localhost, localhostProfile: kit-none}}' | k apply -f - >/dev/null
waits() { k get pod missing -o yaml | grep -q 'reason: CreateContainerError'; }
does "a profile that is not loaded" within 60 waits
says "it is named" 'apparmor profile not found kit-none' k get pod missing -o yaml
apparmor_parser --replace <<<'profile kit-none flags=(attach_disconnected) { file, network, capability, signal, }' || fail "load it"
does "once it is loaded, the pod runs" within 60 ready
does "down" down
