//! Registers the Node and keeps its status true.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::Notify;

use super::facts::{self, Facts};
use super::{conditions, object};
use crate::agent::Agent;
use crate::events::Kind;
use crate::status::conditions::whole_seconds;

/// Between looks at what may have changed.
const LOOK: Duration = Duration::from_secs(60);
/// A status is written this often even if nothing changed (upstream: `nodeStatusReportFrequency`).
const REPORT: Duration = Duration::from_secs(300);
/// Before the first new attempt to register; each one after it waits twice as long, up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_millis(200);
/// See [`RETRY`] (upstream: `registerWithAPIServer`).
const LONGEST_RETRY: Duration = Duration::from_secs(7);

/// Registers, then keeps the status for ever.
pub async fn run(agent: Arc<Agent>) {
    let name = agent.config.node_name.clone();
    let mut pause = RETRY;
    let node = loop {
        match register(&agent).await {
            Ok(node) => break node,
            Err(error) => {
                tracing::warn!(node = name, %error, "node not registered, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_RETRY);
            }
        }
    };
    agent.events.node(&name, Kind::Normal, "Starting", "Starting kubelet.");
    announce(&agent, None, node.status.as_ref());
    let wake = agent.news.clone();
    // Someone else may have set the conditions: after a pause of heartbeats, the node controller does.
    agent.node.on_change(move |change| {
        if change.new.as_ref().is_none_or(|n| !is_ready(n)) {
            wake.notify_one();
        }
    });
    keep(&agent, node, &agent.news).await;
}

/// An event for each condition that was not so before (upstream: `nodestatus/setters.go`).
fn announce(agent: &Agent, old: Option<&NodeStatus>, new: Option<&NodeStatus>) {
    let name = &agent.config.node_name;
    for reason in conditions::changes(old, new) {
        agent.events.node(name, Kind::Normal, reason, format!("Node {name} status is now: {reason}"));
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

async fn keep(agent: &Arc<Agent>, mut node: Node, disturbed: &Notify) {
    let mut written = Instant::now();
    loop {
        let _ = tokio::time::timeout(LOOK, disturbed.notified()).await;
        if let Some(newest) = agent.node.get(&meta::Key::new("", &agent.config.node_name)) {
            node = (*newest).clone();
        }
        match write(agent, &node, written.elapsed() >= REPORT).await {
            Ok(None) => {}
            Ok(Some(now)) => {
                announce(agent, node.status.as_ref(), now.status.as_ref());
                node = now;
                written = Instant::now();
            }
            Err(kube::Error::Api(status)) if status.code == 404 => match register(agent).await {
                Ok(now) => node = now,
                Err(error) => tracing::warn!(%error, "node not registered again"),
            },
            Err(error) => {
                tracing::warn!(node = agent.config.node_name, %error, "node status not written");
                tokio::time::sleep(RETRY).await;
                disturbed.notify_one();
            }
        }
    }
}

/// The node as it should be now, and why it is not ready.
async fn wanted(agent: &Agent, node: Option<&Node>) -> (Facts, NodeStatus) {
    let facts = facts::read(&agent.config.data_dir);
    let images = agent.runtime.images().await;
    let not_ready = images.as_ref().err().map(|e| format!("container runtime is down: {e}"));
    let old = node.and_then(|n| n.status.as_ref());
    let now = whole_seconds(Timestamp::now());
    let (features, pressures) = (agent.runtime.features(), agent.pressure.types());
    let seen = object::Seen { images: images.unwrap_or_default(), features, pressures };
    let status = object::status(&agent.config, &facts, &seen, old, not_ready.as_deref(), now);
    (facts, status)
}

async fn register(agent: &Agent) -> Result<Node, kube::Error> {
    let api = Api::<Node>::all(agent.client.clone());
    let (facts, status) = wanted(agent, None).await;
    let node = object::node(&agent.config, &facts, status);
    let there = match api.create(&PostParams::default(), &node).await {
        Ok(node) => node,
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let labels = json!({"metadata": {"labels": object::labels(&agent.config, &facts.arch)}});
            api.patch(&agent.config.node_name, &PatchParams::default(), &Patch::Merge(labels)).await?
        }
        Err(error) => return Err(error),
    };
    // A server may drop the status of a creation.
    Ok(write(agent, &there, !is_ready(&there)).await?.unwrap_or(there))
}

/// Writes what differs. `None` when nothing did.
async fn write(agent: &Agent, node: &Node, all: bool) -> Result<Option<Node>, kube::Error> {
    let (_, status) = wanted(agent, Some(node)).await;
    let old = node.status.clone().unwrap_or_default();
    let Some(patch) = object::difference(&old, &status, all) else { return Ok(None) };
    let api = Api::<Node>::all(agent.client.clone());
    api.patch_status(&agent.config.node_name, &PatchParams::default(), &Patch::Strategic(patch)).await.map(Some)
}
