//! What the node and its pods use: the one source of all figures.
//!
//! Figures of processors and memory are read from the kernel when somebody asks. Sizes on the disk cost a walk over all
//! files: they are as old as [`sizes::KEPT`] at the most, and measured by nobody's clock.

pub mod machine;
pub mod prometheus;
pub mod rates;
pub mod sizes;
pub mod summary;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use network::Traffic;
use runtime::{Container, ContainerState, Usage};

use crate::agent::Agent;
use crate::pod::observed::is_running;
use crate::spec;

/// One running container.
#[derive(Clone, Debug)]
pub struct ContainerUse {
    /// As the runtime knows it.
    pub container: Container,
    /// Since when it runs.
    pub since: Timestamp,
    /// What it uses.
    pub usage: Usage,
}

/// One pod that has a sandbox.
#[derive(Clone, Debug)]
pub struct PodUse {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Since when it is there.
    pub since: Timestamp,
    /// What its containers use together, and what holds them.
    pub usage: Usage,
    /// What has passed its interface, if it has one of its own.
    pub traffic: Option<Traffic>,
    /// Its running containers.
    pub containers: Vec<ContainerUse>,
}

/// All pods, as they are now, in the order of their names.
pub async fn pods(agent: &Agent) -> Vec<PodUse> {
    let mut list = Vec::new();
    let present = agent.pods.list();
    let uids: Vec<String> = present.iter().filter(|pod| !spec::host_network(pod)).map(|pod| spec::uid(pod).to_owned()).collect();
    let traffic = agent.network.traffic(&uids);
    for pod in present {
        let uid = spec::uid(&pod);
        let Ok(Some(seen)) = agent.runtime.pod(uid).await else { continue };
        let Ok(usage) = agent.runtime.pod_usage(uid).await else { continue };
        let mut containers = Vec::new();
        for container in seen.containers.into_iter().filter(is_running) {
            let Ok(usage) = agent.runtime.usage(&container.id).await else { continue };
            containers.push(ContainerUse { since: since(&container), container, usage });
        }
        let since = spec::status(&pod).start_time.as_ref().map_or_else(|| moment(seen.created_at), |at| at.0);
        let traffic = traffic.get(spec::uid(&pod)).copied();
        list.push(PodUse { pod, since, usage, traffic, containers });
    }
    list.sort_by(|a, b| {
        let key = |one: &PodUse| (spec::namespace(&one.pod).to_owned(), spec::name(&one.pod).to_owned());
        key(a).cmp(&key(b))
    });
    list
}

fn since(container: &Container) -> Timestamp {
    match container.state {
        ContainerState::Running { started_at } => moment(started_at),
        _ => Timestamp::UNIX_EPOCH,
    }
}

/// Of nanoseconds since 1970.
fn moment(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or_default()
}
