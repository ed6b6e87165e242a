//! The clockwork of one probe (upstream: `prober/worker.go`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::sync::{mpsc, watch};

use super::check::{Outcome, check};
use super::{Change, Sort};
use crate::agent::Agent;
use crate::events::Kind;

/// A probe of a running container.
pub struct Timer {
    /// Shared means.
    pub agent: Arc<Agent>,
    /// The pod as it was when the container started.
    pub pod: Arc<Pod>,
    /// The container.
    pub container: Container,
    /// Its id.
    pub id: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// Which probe.
    pub sort: Sort,
    /// Its settings.
    pub probe: Probe,
    /// Becomes true when the startup probe has passed, or at once without one.
    pub started: watch::Receiver<bool>,
    /// Changed verdicts go here.
    pub changes: mpsc::UnboundedSender<Change>,
    /// The verdict that holds already, after a restart of the agent.
    pub verdict: Option<bool>,
}

/// Counts equal outcomes and tells when the verdict changes. Pure.
#[derive(Clone, Debug)]
pub struct Verdict {
    threshold_pass: i32,
    threshold_fail: i32,
    last: Option<bool>,
    run: i32,
    verdict: Option<bool>,
}

impl Verdict {
    /// For these settings, from this verdict.
    pub fn new(probe: &Probe, verdict: Option<bool>) -> Self {
        let threshold_pass = probe.success_threshold.unwrap_or(1).max(1);
        let threshold_fail = probe.failure_threshold.unwrap_or(3).max(1);
        Verdict { threshold_pass, threshold_fail, last: None, run: 0, verdict }
    }

    /// Takes in an outcome; the verdict if it is a new one.
    pub fn count(&mut self, passed: bool) -> Option<bool> {
        self.run = if self.last == Some(passed) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(passed);
        let needed = if passed { self.threshold_pass } else { self.threshold_fail };
        if self.run < needed || self.verdict == Some(passed) {
            return None;
        }
        self.verdict = Some(passed);
        self.verdict
    }
}

impl Timer {
    /// Probes until the task is aborted or the probe has said its last word.
    pub async fn run(mut self) {
        if self.sort != Sort::Startup && self.started.wait_for(|s| *s).await.is_err() {
            return;
        }
        self.initial_delay().await;
        let period = u64::try_from(self.probe.period_seconds.unwrap_or(10).max(1)).unwrap_or(10);
        let mut ticks = tokio::time::interval(Duration::from_secs(period));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut verdict = Verdict::new(&self.probe, self.verdict);
        loop {
            ticks.tick().await;
            let passed = self.once().await;
            let Some(passed) = verdict.count(passed) else { continue };
            let change =
                Change { container: self.container.name.clone(), id: self.id.clone(), sort: self.sort, passed };
            if self.changes.send(change).is_err() {
                return;
            }
            // A container that is to be killed is not probed any more, nor a started one again.
            if self.sort == Sort::Startup || (self.sort == Sort::Liveness && !passed) {
                return;
            }
        }
    }

    async fn initial_delay(&self) {
        let delay = i64::from(self.probe.initial_delay_seconds.unwrap_or(0));
        let elapsed = Timestamp::now().duration_since(self.started_at);
        let left = Duration::from_secs(u64::try_from(delay).unwrap_or(0))
            .saturating_sub(Duration::try_from(elapsed).unwrap_or_default());
        tokio::time::sleep(left).await;
    }

    async fn once(&self) -> bool {
        let title = self.sort.title();
        let say = |kind, reason, text| self.agent.events.container(&self.pod, &self.container.name, kind, reason, text);
        match check(&self.agent, &self.pod, &self.container, &self.id, &self.probe).await {
            Outcome::Passed => true,
            Outcome::Warning(text) => {
                say(Kind::Warning, "ProbeWarning", format!("{title} probe warning: {text}"));
                true
            }
            Outcome::Failed(text) => {
                say(Kind::Warning, "Unhealthy", format!("{title} probe failed: {text}"));
                false
            }
            Outcome::Errored(text) => {
                say(Kind::Warning, "Unhealthy", format!("{title} probe errored and resulted in unknown state: {text}"));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_need_their_number_of_equal_outcomes() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut v = Verdict::new(&probe, None);
        let outcomes = [true, false, true, true, true, false, false, true, false, false, false];
        let changes: Vec<Option<bool>> = outcomes.into_iter().map(|o| v.count(o)).collect();
        assert_eq!(changes[3], Some(true));
        assert_eq!(changes[10], Some(false));
        assert_eq!(changes.iter().flatten().count(), 2);
    }
}
