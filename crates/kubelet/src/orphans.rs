//! What is left on the node of pods that nobody wants any more.

use std::sync::Arc;

use crate::agent::Agent;
use crate::pod::work;

/// Removes pods of the runtime that the API does not have. Call when the informer is complete: by
/// then every pod of the API, and of the node's files, has its worker.
pub async fn remove(agent: &Arc<Agent>) {
    let known = |uid: &str| agent.pods.lock().contains_key(uid);
    let pods = match agent.runtime.pods().await {
        Ok(pods) => pods,
        Err(error) => {
            tracing::warn!(%error, "the runtime's pods are not known");
            return;
        }
    };
    for pod in pods.into_iter().filter(|p| !known(&p.config.uid)) {
        let uid = &pod.config.uid;
        tracing::info!(namespace = pod.config.namespace, name = pod.config.name, uid, "removing an orphaned pod");
        if let Err(error) = work::forget(agent, uid).await {
            tracing::warn!(uid, error, "orphaned pod not removed");
        }
    }
    for uid in leftovers(agent).into_iter().filter(|uid| !known(uid)) {
        // While what says that the pod was this agent's is still there.
        agent.logs.remove_begun(&uid);
        if let Err(error) = work::forget(agent, &uid).await {
            tracing::warn!(uid, error, "what is left of a pod was not removed");
        }
    }
    for (uid, dir) in agent.logs.present().into_iter().filter(|(uid, _)| !known(uid)) {
        if let Err(error) = crate::volume::take_down::remove(&dir) {
            tracing::warn!(uid, error, "the logs of a pod that is gone were not removed");
        }
    }
    agent.logs.sweep_links();
    // An earlier agent may have made none.
    for pod in agent.runtime.pods().await.unwrap_or_default() {
        for container in &pod.containers {
            if let Err(error) = agent.logs.link(&pod.config, container) {
                tracing::warn!(pod = pod.config.name, container = container.name, %error, "log not linked");
            }
        }
    }
}

/// The pods that have a directory or an address.
fn leftovers(agent: &Agent) -> Vec<String> {
    let dirs = std::fs::read_dir(agent.config.data_dir.join("pods"));
    let dirs = dirs.into_iter().flatten().flatten().map(|dir| dir.file_name().to_string_lossy().into_owned());
    let is_uid = |uid: &String| !uid.is_empty() && !uid.starts_with('.') && !uid.contains('/');
    dirs.chain(agent.network.owners()).filter(is_uid).collect()
}
