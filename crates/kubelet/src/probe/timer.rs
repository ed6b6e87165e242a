//! The clockwork of one probe (upstream: `prober/worker.go`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::sync::{mpsc, watch};

use super::check::{Outcome, check};
use super::{Change, Sort, tally};
use crate::agent::Agent;
use crate::clock;
use crate::events::Kind;

/// The first pause of [`Soon`]; a program in the container costs more than a question.
const FIRST: Duration = Duration::from_millis(50);
const FIRST_EXEC: Duration = Duration::from_millis(500);

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

/// Attempts between those of the period, until the first success: a container that begins to serve a moment after the
/// first attempt is not kept from its clients for a whole period. They cost nothing when they fail, and there are ever
/// fewer of them. Pure.
#[derive(Clone, Debug)]
struct Soon {
    /// Until the next one; none if there are none.
    pause: Option<Duration>,
}

impl Soon {
    /// For readiness alone. What needs several successes gets them at the period.
    fn new(sort: Sort, probe: &Probe, verdict: Option<bool>) -> Self {
        let first = if probe.exec.is_some() { FIRST_EXEC } else { FIRST };
        let wanted = sort == Sort::Readiness && verdict != Some(true) && probe.success_threshold.unwrap_or(1) <= 1;
        Soon { pause: wanted.then_some(first) }
    }

    /// How long to wait for the next one, if that is before the next of the period.
    fn before(&mut self, next: tokio::time::Instant) -> Option<Duration> {
        let pause = self.pause?;
        if tokio::time::Instant::now() + pause >= next {
            return None;
        }
        self.pause = Some(pause * 2);
        Some(pause)
    }
}

impl Timer {
    /// Probes until the task is aborted or the probe has said its last word.
    pub async fn run(mut self) {
        if self.sort != Sort::Startup && self.started.wait_for(|s| *s).await.is_err() {
            return;
        }
        self.initial_delay().await;
        let period = Duration::from_secs(u64::try_from(self.probe.period_seconds.unwrap_or(10).max(1)).unwrap_or(10));
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut verdict = Verdict::new(&self.probe, self.verdict);
        let mut soon = Soon::new(self.sort, &self.probe, self.verdict);
        let mut next = tokio::time::Instant::now();
        loop {
            let passed = match soon.before(next).filter(|_| verdict.verdict != Some(true)) {
                // Between two of upstream's attempts only success counts.
                Some(early) => {
                    tokio::time::sleep(early).await;
                    let outcome = check(&self.agent, &self.pod, &self.container, &self.id, &self.probe).await;
                    if !matches!(outcome, Outcome::Passed | Outcome::Warning(_)) {
                        continue;
                    }
                    true
                }
                None => {
                    next = ticks.tick().await + period;
                    // What could not be tried says nothing.
                    let Some(passed) = self.once().await else { continue };
                    passed
                }
            };
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
        let elapsed = clock::now().duration_since(self.started_at);
        let left = Duration::from_secs(u64::try_from(delay).unwrap_or(0))
            .saturating_sub(Duration::try_from(elapsed).unwrap_or_default());
        tokio::time::sleep(left).await;
    }

    /// One attempt that counts; none if it could not be made (upstream: "Prober error, throw away the result").
    async fn once(&self) -> Option<bool> {
        let title = self.sort.title();
        let say = |kind, reason, text| self.agent.events.container(&self.pod, &self.container.name, kind, reason, text);
        let outcome = check(&self.agent, &self.pod, &self.container, &self.id, &self.probe).await;
        let result = match &outcome {
            Outcome::Passed | Outcome::Warning(_) => tally::Result::Successful,
            Outcome::Failed(_) => tally::Result::Failed,
            Outcome::Errored(_) => tally::Result::Unknown,
        };
        self.agent.probed.count(&self.pod, &self.container.name, self.sort, result);
        match outcome {
            Outcome::Passed => Some(true),
            Outcome::Warning(text) => {
                say(Kind::Warning, "ProbeWarning", format!("{title} probe warning: {text}"));
                Some(true)
            }
            Outcome::Failed(text) => {
                say(Kind::Warning, "Unhealthy", format!("{title} probe failed: {text}"));
                Some(false)
            }
            Outcome::Errored(text) => {
                say(Kind::Warning, "Unhealthy", format!("{title} probe errored and resulted in unknown state: {text}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_are_soon_at_first_and_never_more_than_a_few() {
        let now = tokio::time::Instant::now();
        let http = Probe::default();
        let mut soon = Soon::new(Sort::Readiness, &http, None);
        let mut pauses = Vec::new();
        assert_eq!(soon.before(now), None, "the first attempt is the period's");
        let mut next = now + Duration::from_secs(10);
        for _ in 0..20 {
            match soon.before(next) {
                Some(pause) => {
                    pauses.push(pause.as_millis());
                    tokio::time::advance(pause).await;
                }
                None => {
                    tokio::time::advance(next - tokio::time::Instant::now()).await;
                    next += Duration::from_secs(10);
                }
            }
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 3200, 6400]);
        let exec = Probe { exec: Some(Default::default()), ..Probe::default() };
        assert_eq!(Soon::new(Sort::Readiness, &exec, None).pause, Some(FIRST_EXEC));
        let twice = Probe { success_threshold: Some(2), ..Probe::default() };
        for (sort, probe, verdict) in
            [(Sort::Liveness, &http, None), (Sort::Startup, &http, None), (Sort::Readiness, &twice, None), (Sort::Readiness, &http, Some(true))]
        {
            assert_eq!(Soon::new(sort, probe, verdict).pause, None, "{sort:?}");
        }
    }

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
