//! Whether the node takes a new pod, and what becomes of one that it does not.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::Worker;
use crate::events::Kind;
use crate::pod::admit::{Refusal, Room, admit};
use crate::pod::eviction::{Eviction, evict};
use crate::pod::outcome::RETRY;
use crate::pod::write::Written;
use crate::spec;
use crate::status::{self, conditions::whole_seconds};

impl Worker {
    /// Refuses a new pod that the node cannot run. When to look again if it could not be told, or if others go first.
    pub(super) async fn refuse(&mut self, now: Timestamp) -> Option<Timestamp> {
        let new = spec::status(&self.pod).start_time.is_none() && self.pod.metadata.deletion_timestamp.is_none();
        if !new || self.memory.admitted || spec::is_terminal(&self.pod) {
            return None;
        }
        match self.link.is_static {
            true if self.turn().await => {}
            true => return None,
            // What another pod has is known when all of them are.
            false => self.agent.pods.listed.wait().await.clone(),
        }
        let Refusal { reason, message } = match self.take_in() {
            Ok(true) => {
                self.memory.admitted = true;
                return None;
            }
            Ok(false) => return Some(now + RETRY),
            Err(refusal) => refusal,
        };
        let told = format!("Pod was rejected: {message}");
        let status = status::refused(&self.pod, reason.clone(), told, whole_seconds(Timestamp::now()));
        match self.write(&status).await {
            Written::Now(pod) => {
                self.agent.events.pod(&pod, Kind::Warning, reason, message);
                self.pod = pod;
                None
            }
            Written::Same => None,
            Written::Gone | Written::Failed => Some(now + RETRY),
        }
    }

    /// Waits until the static pod that had this one's name before has ended. False: this one has no file any more.
    async fn turn(&self) -> bool {
        let mut changes = self.agent.pods.changed.subscribe();
        while !self.link.gone.load(Ordering::Acquire) && self.agent.pods.has_earlier(&self.pod) {
            tokio::select! {
                _ = changes.changed() => {}
                () = self.link.notify.notified() => {}
            }
        }
        !self.link.gone.load(Ordering::Acquire)
    }

    /// Takes the pod in if there is room for it. `false`: others go for it, and it has to wait.
    fn take_in(&self) -> Result<bool, Refusal> {
        let agent = &self.agent;
        let victims = {
            let _one_at_a_time = agent.pods.admission();
            let node = agent.node.get(&meta::Key::new("", &agent.config.node_name));
            let (others, pressures) = (agent.pods.taken_in(|_| true), agent.pressure.types());
            let features = agent.runtime.features();
            let room = Room { others: &others, node: node.as_deref(), features, pressures: &pressures };
            let victims = admit(&self.pod, &room)?;
            self.link.admitted.store(victims.is_empty(), Ordering::Release);
            victims
        };
        victims.iter().for_each(|victim| evict(agent, victim, Eviction::preempted(), Vec::new()));
        Ok(victims.is_empty())
    }
}
