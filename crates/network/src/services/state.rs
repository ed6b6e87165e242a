//! What the proxy remembers between two changes, and what follows from one. Pure: no clock, no kernel.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use meta::Key;

use super::claims::{Claims, Since};
use super::compile::{Excess, Health};
use super::plan::{Claim, Owner, Plan};
use super::{Config, udp};

/// What an owner wants, whoever else wants it.
pub(super) struct Wanted {
    pub(super) plan: Plan,
    pub(super) since: Since,
    pub(super) health: Option<Health>,
    pub(super) excess: Option<Excess>,
}

/// Why an owner does not get something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// Somebody else has it.
    To(Claim, Owner),
    /// The node serves it itself.
    ToNode(Claim),
    /// It wants too much.
    All(Excess),
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Decision {
    pub(super) changes: Vec<(Owner, Option<Plan>)>,
    /// UDP flows that may lead to endpoints that are gone.
    pub(super) stale: HashMap<udp::Way, BTreeSet<(Ipv4Addr, u16)>>,
    /// Health checks that are new, different or gone.
    pub(super) health: Vec<(Key, Option<Health>)>,
    /// What owners did not get and were not told of yet.
    pub(super) losses: Vec<(Owner, Loss)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct State {
    claims: Claims,
    udp: udp::Known,
    health: HashMap<Key, Health>,
    told: HashMap<Owner, BTreeSet<Loss>>,
}

impl State {
    /// Takes in the owners that have changed. `wanted` says what one wants now; `None`: it is gone.
    pub(super) fn decide(
        &mut self,
        config: &Config,
        dirty: impl IntoIterator<Item = Owner>,
        wanted: impl Fn(&Owner) -> Option<Wanted>,
    ) -> Decision {
        let mut decision = Decision::default();
        let (mut now, mut touched) = (Vec::new(), BTreeSet::new());
        for owner in dirty {
            let want = wanted(&owner);
            let mut claims = want.as_ref().map(|w| w.plan.claims()).unwrap_or_default();
            claims.retain(|(claim, _)| !config.serves(claim));
            let since = want.as_ref().map_or(0, |w| w.since);
            touched.extend(self.claims.set(&owner, since, claims));
            self.check_health(&owner, want.as_ref().and_then(|w| w.health), &mut decision);
            now.push((owner, want));
        }
        // Who has lost something by it or got it back. Their wishes are what they were.
        let dirty: HashSet<Owner> = now.iter().map(|(owner, _)| owner.clone()).collect();
        let others = touched.into_iter().filter(|owner| !dirty.contains(owner));
        let others: Vec<Owner> = others.collect();
        now.extend(others.into_iter().map(|owner| (owner.clone(), wanted(&owner))));
        for (owner, want) in now {
            self.note_losses(config, &owner, want.as_ref(), &mut decision);
            let mut plan = want.map(|w| w.plan);
            if let Some(plan) = &mut plan {
                plan.keep(|claim| self.claims.holder(claim) == Some(&owner));
            }
            let plan = plan.filter(|plan| !matches!(plan, Plan::Service(ports) if ports.is_empty()));
            if let Owner::Service(key) = &owner {
                let ways = plan.as_ref().map(udp::ways).unwrap_or_default();
                decision.stale.extend(self.udp.take(key, ways));
            }
            decision.changes.push((owner, plan));
        }
        decision
    }

    fn check_health(&mut self, owner: &Owner, health: Option<Health>, decision: &mut Decision) {
        let Owner::Service(key) = owner else { return };
        let before = match health {
            Some(health) => self.health.insert(key.clone(), health),
            None => self.health.remove(key),
        };
        if before != health {
            decision.health.push((key.clone(), health));
        }
    }

    fn note_losses(&mut self, config: &Config, owner: &Owner, want: Option<&Wanted>, decision: &mut Decision) {
        let lost = self.claims.lost(owner).map(|(claim, holder)| Loss::To(*claim, holder.clone()));
        let own = want.map(|w| w.plan.claims()).unwrap_or_default().into_iter().filter(|(claim, _)| config.serves(claim));
        let own = own.map(|(claim, _)| Loss::ToNode(claim));
        let losses: BTreeSet<Loss> = lost.chain(own).chain(want.and_then(|w| w.excess).map(Loss::All)).collect();
        let before = match losses.is_empty() {
            true => self.told.remove(owner),
            false => self.told.insert(owner.clone(), losses.clone()),
        };
        let new = losses.into_iter().filter(|loss| before.as_ref().is_none_or(|before| !before.contains(loss)));
        decision.losses.extend(new.map(|loss| (owner.clone(), loss)));
    }
}

impl Config {
    /// Whether it is a port that the node itself serves.
    fn serves(&self, claim: &Claim) -> bool {
        self.own_ports.iter().any(|own| {
            let number = own.protocol.number();
            match *claim {
                Claim::Address(address, protocol, port) => {
                    let here = match own.address {
                        Some(at) => at == IpAddr::V4(address),
                        None => self.addresses.contains(&IpAddr::V4(address)),
                    };
                    here && (protocol, port) == (number, own.port)
                }
                Claim::NodePort(protocol, port) => own.address.is_none() && (protocol, port) == (number, own.port),
                // Left out before: see `ports`.
                Claim::HostPort(..) => false,
            }
        })
    }
}

impl Loss {
    /// The reason for machines and the text for people, after the names of upstream's repair of addresses and ports.
    pub(super) fn words(&self, node: &str) -> (&'static str, String) {
        let (claim, whose) = match self {
            Loss::To(claim, owner) => (claim, format!("{owner} has it")),
            Loss::ToNode(claim) => (claim, "the node itself serves it".to_owned()),
            Loss::All(Excess { what, count, most }) => {
                let text = format!("node {node} does not serve it: it wants {count} {what}, at most {most}");
                return ("TooManyServiceRules", text);
            }
        };
        let reason = match claim {
            Claim::Address(..) => "IPAlreadyAllocated",
            Claim::NodePort(..) | Claim::HostPort(..) => "PortAlreadyAllocated",
        };
        (reason, format!("node {node} does not serve {claim}: {whose}"))
    }
}

#[cfg(test)]
mod tests;
