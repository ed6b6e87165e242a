//! Small questions about a pod's spec, answered as upstream does.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus, SecurityContext};
use meta::Quantity;

pub use pod::life::is_terminal;

static NO_SPEC: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
static NO_STATUS: std::sync::LazyLock<PodStatus> = std::sync::LazyLock::new(PodStatus::default);

/// From this priority on a pod is the system's (upstream: `SystemCriticalPriority`).
const SYSTEM_CRITICAL: i32 = 2_000_000_000;

/// When a container is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Whatever its exit code.
    Always,
    /// After an exit code other than 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// The pod's uid, or empty.
pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or("")
}

/// The pod's name, or empty.
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or("")
}

/// The pod's namespace, or empty.
pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("")
}

/// `name_namespace(uid)`: how messages name a pod.
pub fn title(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

/// The spec; empty when absent.
pub fn of(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or(&NO_SPEC)
}

/// The status; empty when absent.
pub fn status(pod: &Pod) -> &PodStatus {
    pod.status.as_ref().unwrap_or(&NO_STATUS)
}

/// The init containers, sidecars included.
pub fn init_containers(pod: &Pod) -> &[Container] {
    of(pod).init_containers.as_deref().unwrap_or_default()
}

/// The ephemeral containers, as ordinary ones.
pub fn ephemeral_containers(pod: &Pod) -> Vec<Container> {
    let list = of(pod).ephemeral_containers.as_deref().unwrap_or_default();
    // Both types have the same fields, but for the target.
    list.iter().filter_map(|c| serde_json::from_value(serde_json::to_value(c).ok()?).ok()).collect()
}

/// The container that an ephemeral one is for, if it says so.
pub fn target_container<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let own = of(pod).ephemeral_containers.iter().flatten().find(|c| c.name == name)?;
    own.target_container_name.as_deref().filter(|target| !target.is_empty())
}

/// The container of that name, in whichever list.
pub fn container(pod: &Pod, name: &str) -> Option<Container> {
    let mut plain = of(pod).containers.iter().chain(init_containers(pod));
    plain.find(|c| c.name == name).cloned().or_else(|| ephemeral_containers(pod).into_iter().find(|c| c.name == name))
}

/// Whether an init container is one that keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether it stays when the node is short of something, and others go for it (upstream: `IsCriticalPod`). Its priority
/// alone says so: upstream's static pods are critical as well, but their annotations are what anybody who creates a pod
/// can write.
pub fn is_critical(pod: &Pod) -> bool {
    of(pod).priority.is_some_and(|priority| priority >= SYSTEM_CRITICAL)
}

/// Whether the pod shares the network of its node.
pub fn host_network(pod: &Pod) -> bool {
    of(pod).host_network == Some(true)
}

/// The policy that holds for a container when no rule of its own applies.
pub fn restart_policy(pod: &Pod, container: &Container) -> Restart {
    match container.restart_policy.as_deref().or(of(pod).restart_policy.as_deref()) {
        Some("Never") => Restart::Never,
        Some("OnFailure") => Restart::OnFailure,
        _ => Restart::Always,
    }
}

/// Whether a container is started again after this exit code
/// (upstream: `podutil.ContainerShouldRestart`).
pub fn restarts_after(pod: &Pod, container: &Container, code: i32) -> bool {
    for rule in container.restart_policy_rules.as_deref().unwrap_or_default() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.as_deref().unwrap_or_default().contains(&code);
        if listed == (codes.operator == "In") && rule.action == "Restart" {
            return true;
        }
    }
    match restart_policy(pod, container) {
        Restart::Always => true,
        Restart::OnFailure => code != 0,
        Restart::Never => false,
    }
}

/// Seconds the pod has to end by itself.
pub fn grace_seconds(pod: &Pod) -> i64 {
    pod.metadata.deletion_grace_period_seconds.or(of(pod).termination_grace_period_seconds).unwrap_or(30)
}

/// One resource's amount in a container's `requests` or `limits`.
pub fn amount(container: &Container, limits: bool, resource: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let map = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
    Quantity::parse(&map?.get(resource)?.0).ok()
}

/// One resource's amount for the pod as a whole (`spec.resources`).
pub fn amount_of_pod(pod: &Pod, limits: bool, resource: &str) -> Option<Quantity> {
    let resources = of(pod).resources.as_ref()?;
    let map = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
    Quantity::parse(&map?.get(resource)?.0).ok()
}

/// The container's security context, or an empty one.
pub fn security(container: &Container) -> SecurityContext {
    container.security_context.clone().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pod from YAML-like JSON, for the tests of this crate.
    pub(crate) fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1},
            "spec": spec,
        }))
        .expect("a pod")
    }

    #[test]
    fn nobody_makes_a_pod_critical_by_writing_so() {
        let mut pod = pod(serde_json::json!({"containers": [], "priority": 1_999_999_999}));
        let written = [("kubernetes.io/config.source", "file"), ("kubernetes.io/config.mirror", "x")];
        pod.metadata.annotations = Some(written.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert!(!is_critical(&pod));
        pod.spec.as_mut().expect("spec").priority = Some(2_000_000_000);
        assert!(is_critical(&pod));
    }

    #[test]
    fn rules_come_before_the_policy() {
        let pod = pod(serde_json::json!({"restartPolicy": "Never", "containers": [{"name": "c",
            "restartPolicy": "Never",
            "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}]}));
        let c = &of(&pod).containers[0];
        assert!(restarts_after(&pod, c, 42));
        assert!(!restarts_after(&pod, c, 1));
    }
}
