//! How one container ends: its preStop hook, its turn, its signal (upstream: `killContainer`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::end::MIN_GRACE;
use super::hooks;
use super::work::{Desk, Outcome};
use crate::events::Kind;
use crate::spec;

/// When a container gets its signal.
pub struct Turn {
    /// Ids of those that end before it.
    pub after: Vec<String>,
    /// Ids of those that run, as the worker sees them.
    pub running: watch::Receiver<BTreeSet<String>>,
}

impl Turn {
    /// After nobody.
    pub fn at_once() -> Self {
        Turn { after: Vec::new(), running: watch::channel(BTreeSet::new()).1 }
    }

    async fn comes(&mut self) {
        let after = &self.after;
        // Without the worker there is nobody who could tell.
        let _ = self.running.wait_for(|running| !after.iter().any(|id| running.contains(id))).await;
    }
}

impl Desk {
    /// Runs the preStop hook within the grace period, waits for its turn, then ends the container.
    pub async fn stop(self, id: String, name: String, grace: i64, message: String, mut turn: Turn) -> Outcome {
        let agent = &self.agent;
        self.say(&name, Kind::Normal, "Killing", message);
        let container = spec::container(&self.pod, &name);
        let hook = container.as_ref().and_then(|c| c.lifecycle.as_ref()?.pre_stop.as_ref());
        let mut left = grace;
        if let (Some(container), Some(hook)) = (&container, hook.filter(|_| grace > 0)) {
            let begun = Instant::now();
            let limit = Duration::from_secs(grace.unsigned_abs());
            let run = tokio::time::timeout(limit, hooks::run(agent, &self.pod, container, &id, hook)).await;
            if let Ok(Err(error)) = run {
                tracing::debug!(pod = %spec::title(&self.pod), container = name, error, "preStop hook failed");
                self.say(&name, Kind::Warning, "FailedPreStopHook", "PreStopHook failed");
            }
            left -= i64::try_from(begun.elapsed().as_secs()).unwrap_or(grace);
        }
        if left > 0 {
            let begun = Instant::now();
            let _ = tokio::time::timeout(Duration::from_secs(left.unsigned_abs()), turn.comes()).await;
            left -= i64::try_from(begun.elapsed().as_secs()).unwrap_or(left);
        }
        match agent.runtime.stop_container(&id, left.max(MIN_GRACE)).await {
            Ok(()) | Err(runtime::Error::NotFound(_)) => Outcome::Done,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}
