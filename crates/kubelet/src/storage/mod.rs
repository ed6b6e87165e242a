//! Pods that take more of the node's disk than they may are evicted (upstream: the eviction manager's
//! `localStorageEviction`).
//!
//! Only pods with a limit are measured, each at a pace of its own: what does not change is looked at less often, and
//! what takes long as well, so that a tree of a million files costs its pod's neighbours a few hundredths of a
//! processor and no more.

pub mod limits;
pub mod measure;
pub mod pace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::pod::eviction::{Eviction, evict};
use crate::spec;
use limits::{Limits, Usage};
use pace::Paces;

/// Between looks for pods whose turn it is (upstream: the eviction manager's `monitoringInterval`).
const INTERVAL: Duration = Duration::from_secs(10);
/// Pods that are measured at the same time: a disk has no more than this to give.
const AT_ONCE: usize = 2;

/// Looks after the disk for ever.
pub async fn run(agent: Arc<Agent>) {
    let mut paces = Paces::default();
    let mut measuring = JoinSet::new();
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let permits = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    loop {
        tokio::select! {
            _ = interval.tick() => {
                let limited: Vec<_> = limited(&agent).collect();
                paces.keep(|uid| limited.iter().any(|(pod, _)| spec::uid(pod) == uid));
                for (pod, limits) in limited {
                    if !paces.begin(spec::uid(&pod), Instant::now()) {
                        continue;
                    }
                    let (agent, permits) = (agent.clone(), permits.clone());
                    measuring.spawn(async move {
                        let Ok(_permit) = permits.acquire().await else { unreachable!("the semaphore is never closed") };
                        let begun = Instant::now();
                        let usage = look(&agent, &pod, &limits).await;
                        (spec::uid(&pod).to_owned(), usage.map_or(0, |usage| usage.total().bytes), begun.elapsed())
                    });
                }
            }
            Some(ended) = measuring.join_next() => match ended {
                Ok((uid, total, took)) => paces.end(&uid, total, took, Instant::now()),
                Err(error) => {
                    tracing::error!(%error, "measuring a pod's storage panicked");
                    // Which one it was is lost with it.
                    paces = Paces::default();
                }
            },
        }
    }
}

/// The pods that have limits and something on the disk.
fn limited(agent: &Agent) -> impl Iterator<Item = (Arc<Pod>, Limits)> + use<> {
    let pods = agent.pods.present().into_iter();
    let pods = pods.filter(|pod| spec::status(pod).start_time.is_some() && !spec::is_terminal(pod));
    pods.filter_map(|pod| Limits::of(&pod).map(|limits| (pod, limits)))
}

/// Measures one pod, and evicts it when it takes too much. `None` when it could not be measured.
pub async fn look(agent: &Agent, pod: &Arc<Pod>, limits: &Limits) -> Option<Usage> {
    let usage = match measure::usage(agent, pod, limits).await {
        Ok(usage) => usage,
        Err(error) => {
            tracing::debug!(pod = %spec::title(pod), error, "storage of a pod not measured");
            return None;
        }
    };
    if let Some(message) = limits.exceeded(&usage) {
        evict(agent, pod, Eviction::over_limit(message), Vec::new());
    }
    Some(usage)
}
