//! Sizes of pods on the disk, for those who ask.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Mutex;

use crate::agent::Agent;
use crate::spec;
use crate::storage::limits::{Limits, Usage};
use crate::storage::measure;

/// How old a size may be (upstream: `volumeStatsAggPeriod`).
pub const KEPT: Duration = Duration::from_secs(60);

/// The last size of a pod, and when it was measured. The lock is held while it is: who asks at the same time gets the
/// same, and nobody waits for another pod.
type Last = Arc<Mutex<Option<(Instant, Arc<Usage>)>>>;

/// The last sizes of pods, by uid, each with when it was asked for last.
#[derive(Default)]
pub struct Sizes(std::sync::Mutex<BTreeMap<String, (Instant, Last)>>);

impl Sizes {
    /// That of a pod; `None` if it cannot be measured.
    pub async fn of(&self, agent: &Agent, pod: &Pod) -> Option<Arc<Usage>> {
        let last = self.last(spec::uid(pod), Instant::now());
        let mut last = last.lock().await;
        if let Some((_, usage)) = last.as_ref().filter(|(at, _)| at.elapsed() < KEPT) {
            return Some(usage.clone());
        }
        let measured = measure::usage(agent, pod, &Limits::none()).await;
        let usage = measured.inspect_err(|error| tracing::debug!(pod = %spec::title(pod), error, "size of a pod not measured"));
        let usage = Arc::new(usage.ok()?);
        *last = Some((Instant::now(), usage.clone()));
        Some(usage)
    }

    fn last(&self, uid: &str, now: Instant) -> Last {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (asked, _)| now.duration_since(*asked) < KEPT);
        let (asked, last) = known.entry(uid.to_owned()).or_insert_with(|| (now, Last::default()));
        *asked = now;
        last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pod_has_its_own_and_is_forgotten_when_nobody_asks() {
        let (sizes, start) = (Sizes::default(), Instant::now());
        let first = sizes.last("a", start);
        let held = first.try_lock().expect("free");
        assert!(sizes.last("b", start).try_lock().is_ok(), "another pod is measured meanwhile");
        assert!(sizes.last("a", start).try_lock().is_err(), "who asks for the same waits for it");
        drop(held);
        sizes.last("b", start + KEPT);
        assert_eq!(sizes.0.lock().expect("whole").keys().collect::<Vec<_>>(), ["b"]);
    }
}
