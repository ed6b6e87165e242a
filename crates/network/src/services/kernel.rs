//! The executor: carries decisions to the kernel, remembers what has to be tried again, and tells of what nobody gets.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::Recorder;
use client::events::{Note, Regarding};
use k8s_openapi::api::core::v1::Service;
use meta::Key;

use super::compile::Health;
use super::layout::Services;
use super::plan::Owner;
use super::state::{Decision, Loss, State, Wanted};
use super::{Config, udp};
use crate::conntrack;
use crate::nft::Table;

/// First wait after the kernel has refused something; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The kernel's rules and what led to them.
pub(super) struct Kernel {
    config: Config,
    table: Table<Services>,
    state: State,
    recorder: Recorder,
    failed: HashMap<Owner, Failed>,
    /// UDP flows to be forgotten when the rules are there.
    stale: HashMap<udp::Way, BTreeSet<(Ipv4Addr, u16)>>,
}

struct Failed {
    times: u32,
    again: Instant,
}

/// How a sync went.
pub(super) struct Synced {
    /// Health checks that are new, different or gone.
    pub(super) health: Vec<(Key, Option<Health>)>,
    /// The kernel has all of it.
    pub(super) whole: bool,
    /// It has at least what nothing is wrong with.
    pub(super) healthy: bool,
}

impl Kernel {
    pub(super) fn new(config: Config, recorder: Recorder) -> Self {
        let table = Table::new(Services(config.clone()));
        let (state, failed, stale) = (State::default(), HashMap::new(), HashMap::new());
        Kernel { config, table, state, recorder, failed, stale }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The node is in another zone from now on.
    pub(super) fn moved(&mut self, zone: String) {
        self.config.zone = zone;
    }

    /// When something is to be tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.failed.values().map(|failed| failed.again).min()
    }

    /// Takes in changes of these owners, and what is due.
    pub(super) fn sync(
        &mut self,
        mut owners: HashSet<Owner>,
        wanted: impl Fn(&Owner) -> Option<Wanted>,
        service: impl Fn(&Key) -> Option<Arc<Service>>,
    ) -> Synced {
        let now = Instant::now();
        owners.extend(self.failed.iter().filter(|(_, failed)| failed.again <= now).map(|(owner, _)| owner.clone()));
        let Decision { changes, stale, health, losses } = self.state.decide(&self.config, owners, wanted);
        for (owner, loss) in losses {
            self.tell_loss(&owner, &loss, &service);
        }
        self.stale.extend(stale);
        let owners: Vec<Owner> = changes.iter().map(|(owner, _)| owner.clone()).collect();
        let changed = self.table.change(changes);
        let healthy = changed.is_ok();
        match changed {
            Ok(outcome) => {
                let refused: HashMap<Owner, String> =
                    outcome.refused.into_iter().map(|((owner, _), text)| (owner, text)).collect();
                for owner in owners.iter().filter(|owner| !refused.contains_key(owner)) {
                    self.failed.remove(owner);
                }
                for (owner, text) in &refused {
                    self.tell_refusal(owner, text, &service);
                    self.again(owner, now);
                }
                self.forget();
                tracing::debug!(count = owners.len(), "service rules changed");
            }
            Err(error) => {
                tracing::error!(%error, "the kernel refused the service rules");
                owners.iter().for_each(|owner| self.again(owner, now));
            }
        }
        Synced { health, whole: self.failed.is_empty(), healthy }
    }

    fn again(&mut self, owner: &Owner, now: Instant) {
        let failed = self.failed.entry(owner.clone()).or_insert(Failed { times: 0, again: now });
        let wait = FIRST_WAIT.saturating_mul(1 << failed.times.min(16)).min(LONGEST_WAIT);
        *failed = Failed { times: failed.times + 1, again: now + wait };
    }

    /// Once new packets go the new way, the old way is forgotten.
    fn forget(&mut self) {
        let stale = std::mem::take(&mut self.stale);
        if stale.is_empty() {
            return;
        }
        match conntrack::forget(|flow| udp::is_stale(flow, &stale, self.config.cluster_range)) {
            Ok(count) => tracing::debug!(count, "UDP flows forgotten"),
            Err(error) => tracing::warn!(%error, "UDP flows to endpoints that are gone may last"),
        }
    }

    fn tell_loss(&self, owner: &Owner, loss: &Loss, service: impl Fn(&Key) -> Option<Arc<Service>>) {
        let (reason, message) = loss.words(&self.config.node);
        self.tell(owner, reason, message, service);
    }

    fn tell_refusal(&self, owner: &Owner, text: &str, service: impl Fn(&Key) -> Option<Arc<Service>>) {
        let message = format!("node {} failed to set up the rules: {text}", self.config.node);
        self.tell(owner, "FailedToSyncServiceRules", message, service);
    }

    /// An event for a service; of a pod only its uid is known here.
    fn tell(&self, owner: &Owner, reason: &str, message: String, service: impl Fn(&Key) -> Option<Arc<Service>>) {
        tracing::warn!(%owner, reason, "{message}");
        let Owner::Service(key) = owner else { return };
        let Some(service) = service(key) else { return };
        self.recorder.record(Note {
            regarding: service.as_ref().regarding(),
            related: None,
            type_: "Warning",
            reason: reason.to_owned(),
            action: "SyncServiceRules".to_owned(),
            message,
            at: jiff::Timestamp::now(),
            annotations: Default::default(),
        });
    }
}
