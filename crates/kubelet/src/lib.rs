//! The node agent: registers its node, runs the pods that are bound to it, tells the API about them.
//!
//! Place in the straight line: watch frames → [`pods`] → a worker per pod: observe → decide → do.
//!
//! Invariants:
//! - state is reached through the API alone, with the node's own identity;
//! - [`pod::decide`] and [`status`] are pure; everything slow runs as a job beside the worker, so that
//!   no pod waits for another and heartbeats wait for nothing;
//! - at most one job of a sort per pod; a status is one patch that touches no one else's conditions;
//! - what is remembered in memory can be lost: a new agent adopts the pods that run.
//!
//! Must not know: how containers, images and networks are made, the store, other nodes.

pub mod agent;
pub mod config;
pub mod container;
mod changes;
pub mod clock;
mod durable;
pub mod events;
pub mod image;
pub mod log;
pub mod manifest;
pub mod node;
pub mod objects;
mod orphans;
pub mod pod;
pub mod pods;
pub mod pressure;
pub mod probe;
pub mod server;
pub mod spec;
pub mod status;
pub mod storage;
pub mod usage;
pub mod volume;

use std::sync::Arc;

use client::Hub;
use k8s_openapi::api::core::v1::Pod;
use network::PodNetwork;
use runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub use agent::Agent;
pub use config::Config;

/// Puts an agent together. It does nothing yet.
pub fn agent(config: Config, hub: &Hub, runtime: Arc<dyn Runtime>, network: Arc<dyn PodNetwork>) -> Arc<Agent> {
    Agent::new(config, hub, runtime, network)
}

/// Runs the agent until `stop`, with its server if there is a port for it. Pods keep running afterwards.
pub async fn run(agent: Arc<Agent>, hub: Hub, serving: Option<server::Serving>, stop: CancellationToken) {
    let tasks = hub.tasks();
    let own = agent.clone();
    tasks.keep("the node's status", move |_| node::status::run(own.clone()));
    let own = agent.clone();
    tasks.keep("the node's lease", move |_| node::lease::run(own.clone()));
    let own = agent.clone();
    tasks.keep("the groups of pods", move |_| node::groups::run(own.clone()));
    let own = agent.clone();
    tasks.keep("the rotation of container logs", move |_| log::rotate::run(own.clone()));
    let own = agent.clone();
    tasks.keep("the measuring of pods' storage", move |_| storage::run(own.clone()));
    let own = agent.clone();
    tasks.keep("the watch over what the node has left", move |_| pressure::run(own.clone()));
    let own = agent.clone();
    tasks.keep("the collection of unused images", move |_| image::gc::run(own.clone()));
    if let Some(serving) = serving {
        tasks.vital("the node agent's server", server::serve(agent.clone(), serving, stop.clone()));
    }
    // Before the first pull begins.
    agent.pulls.settle(&*agent.runtime).await;
    let pods = hub.selected::<Pod>(&format!("spec.nodeName={}", agent.config.node_name));
    pods::supervise(&agent, &pods, tasks);
    match agent.config.static_pods.is_some() {
        true => {
            let own = agent.clone();
            tasks.keep("static pods", move |_| manifest::run(own.clone()));
        }
        // Set already if this is not the first try.
        false => drop(agent.statics.read.set(())),
    }
    let own = agent.clone();
    tasks.keep("the clock of the machine", move |_| clock::heed(own.clone()));
    let (own, shown) = (agent.clone(), pods.clone());
    tasks.keep("mirror pods", move |_| manifest::mirror::run(own.clone(), shown.clone()));
    let orphans = agent.clone();
    tasks.aside("the search for orphaned pods", async move {
        pods.synced().await;
        // Set already if this is not the first try.
        let _ = orphans.pods.listed.set(());
        orphans.statics.read.wait().await;
        crate::orphans::remove(&orphans).await;
    });
    // However this ends, no worker may go on without what is above.
    let _workers = Workers(agent);
    stop.cancelled().await;
}

/// Ends the workers when dropped; the pods go on.
struct Workers(Arc<Agent>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.pods.abort_all();
    }
}

#[cfg(test)]
pub(crate) mod tests;
