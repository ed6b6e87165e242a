//! A pod sends with its own address alone. What comes by a pod's link with another one is dropped before anything
//! else sees it, connection tracking included; what it says in ARP about other addresses, too, so that it cannot fill
//! the node's table of neighbours. Other pods never hear it: each has a link of its own to the node.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::Result;
use crate::link::failed;
use crate::names::Names;
use crate::nft::{
    self, Base, Elements, Family, Field, Hook, Layout, Part, Rule, Says, Set, SharedChain, TableName, Value, Verdict,
};

/// Links with the addresses that may come by them.
const SENDERS: &str = "senders";

const PACKETS: u8 = Family::Ipv4 as u8;
const ARP: u8 = Family::Arp as u8;

/// A link and the address of its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) link: String,
    pub(crate) address: Ipv4Addr,
}

/// The table of a family, which is there as long as there are pods, whatever becomes of the services.
struct Senders<const FAMILY: u8>(Names);

fn family(number: u8) -> Family {
    if number == ARP { Family::Arp } else { Family::Ipv4 }
}

impl<const FAMILY: u8> Layout for Senders<FAMILY> {
    /// A pod's uid.
    type Owner = Arc<str>;
    type Plan = Pin;
    type Shared = ();

    fn table(&self) -> TableName {
        self.0.pods(family(FAMILY))
    }

    fn base(&self) -> Base {
        let set = Set::new(&[Field::Link, Field::Address], Says::Nothing);
        // The sender's address in the packet; -300: before connections are tracked.
        let (offset, chain, priority) = if FAMILY == ARP { (14, "input", 0) } else { (12, "prerouting", -300) };
        let rules = vec![
            Rule::new().came_by(&self.0.links, false).then(&Verdict::Accept),
            Rule::new().sender_in(SENDERS, offset).then(&Verdict::Accept),
            Rule::new().then(&Verdict::Drop),
        ];
        let hook = Hook { kind: "filter", number: 0, priority };
        Base { sets: vec![(SENDERS, set)], chains: vec![(chain, Some(hook), rules)], elements: Elements::new() }
    }

    fn part(&self, pin: &Pin) -> Part<()> {
        let mut key = [0; libc::IFNAMSIZ + 4];
        key[..pin.link.len()].copy_from_slice(pin.link.as_bytes());
        key[libc::IFNAMSIZ..].copy_from_slice(&pin.address.octets());
        let mut part = Part::default();
        part.elements.insert((Cow::Borrowed(SENDERS), key.to_vec(), false), Value::Nothing);
        part
    }

    fn shared(&self, (): &()) -> SharedChain {
        unreachable!("nothing is shared")
    }
}

/// The pins of this node's pods. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pins(Arc<Mutex<Tables>>);

struct Tables {
    packets: nft::Table<Senders<PACKETS>>,
    arp: nft::Table<Senders<ARP>>,
}

impl Pins {
    /// None yet. The first change replaces what an earlier process left.
    pub(crate) fn new(names: &Names) -> Self {
        let (packets, arp) = (nft::Table::new(Senders(names.clone())), nft::Table::new(Senders(names.clone())));
        Pins(Arc::new(Mutex::new(Tables { packets, arp })))
    }

    /// Pins or unpins pods, by uid.
    pub(crate) async fn change(&self, changes: Vec<(Arc<str>, Option<Pin>)>) -> Result<()> {
        let tables = self.0.clone();
        // The kernel may be at work for the services.
        let work = move || {
            let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
            // Some kernels cannot filter ARP. Nothing but the size of the node's table of neighbours hangs on it.
            match tables.arp.change(changes.clone()) {
                Ok(outcome) if outcome.refused.is_empty() => {}
                Ok(_) => tracing::warn!("what a pod says in ARP is not checked"),
                Err(error) => tracing::warn!(%error, "what pods say in ARP is not checked"),
            }
            tables.packets.change(changes)
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|e| failed("pin the pods' addresses", e))?;
        let refused = done.map_err(|e| failed("pin the pods' addresses", e))?.refused;
        refused.into_iter().next().map_or(Ok(()), |(_, text)| Err(failed("pin the pod's address", text)))
    }
}

/// Removes the tables; says in words what was removed.
pub(crate) fn remove(names: &Names) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for (table, words) in [(names.pods(family(PACKETS)), "ip"), (names.pods(family(ARP)), "arp")] {
        let name = table.name.clone();
        if nft::remove(table).map_err(|e| failed("remove the nftables table", e))? {
            removed.push(format!("nftables table {words} {name}"));
        }
    }
    Ok(removed)
}
