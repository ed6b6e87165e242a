//! Which handler of the runtime runs a pod: the one that the pod's RuntimeClass names
//! (upstream: `runtimeclass.Manager`).

use k8s_openapi::api::core::v1::Pod;
use meta::Key;

use crate::agent::Agent;
use crate::spec;

/// The handler, which the runtime has; empty for a pod without a class. The error is why there is none, in upstream's
/// words, or in containerd's where upstream leaves it to the runtime.
pub async fn of(agent: &Agent, pod: &Pod) -> Result<String, String> {
    let class = spec::of(pod).runtime_class_name.as_deref().unwrap_or_default();
    if class.is_empty() {
        return Ok(String::new());
    }
    // The API may be what a static pod is to bring up.
    if !agent.pods.is_static(spec::uid(pod)) {
        agent.classes.synced().await;
    }
    let found = agent.classes.get(&Key::new("", class));
    let handler = found.ok_or_else(|| format!("runtimeclass.node.k8s.io {class:?} not found"))?.handler.clone();
    match agent.config.all_handlers().contains(&handler.as_str()) {
        true => Ok(handler),
        false => Err(format!("failed to get sandbox runtime: no runtime for {handler:?} is configured")),
    }
}
