//! A pod sends with its own address alone. What comes by a pod's link with another one is dropped before anything
//! else sees it, connection tracking included.
//!
//! Each pod has a link of its own to the node, so that what it says in ARP reaches the node alone, which keeps its
//! neighbours by link: nothing to be pinned there.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::Result;
use crate::bridge::VETH_PREFIX;
use crate::link::failed;
use crate::nft::{self, Base, Elements, Family, Field, Hook, Layout, Part, Rule, Says, Set, SharedChain, TableName, Value, Verdict};

/// The table, which is there as long as there are pods, whatever becomes of the services.
pub(crate) const TABLE: TableName = TableName { family: Family::Ipv4, name: "ironclad-pods" };
/// Links with the addresses that may come by them.
const SENDERS: &str = "senders";

/// A link and the address of its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) link: String,
    pub(crate) address: Ipv4Addr,
}

struct Senders;

impl Layout for Senders {
    const TABLE: TableName = TABLE;
    /// A pod's uid.
    type Owner = Arc<str>;
    type Plan = Pin;
    type Shared = ();

    fn base(&self) -> Base {
        let set = Set::new(&[Field::Link, Field::Address], Says::Nothing);
        let rules = vec![
            Rule::new().came_by(VETH_PREFIX, false).then(&Verdict::Accept),
            Rule::new().sender_in(SENDERS).then(&Verdict::Accept),
            Rule::new().then(&Verdict::Drop),
        ];
        // -300: before connections are tracked.
        let hook = Hook { kind: "filter", number: 0, priority: -300 };
        Base { sets: vec![(SENDERS, set)], chains: vec![("prerouting", Some(hook), rules)], elements: Elements::new() }
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
pub(crate) struct Pins(Arc<Mutex<nft::Table<Senders>>>);

impl Pins {
    /// None yet. The first change replaces what an earlier process left.
    pub(crate) fn new() -> Self {
        Pins(Arc::new(Mutex::new(nft::Table::new(Senders))))
    }

    /// Pins or unpins pods, by uid.
    pub(crate) async fn change(&self, changes: Vec<(Arc<str>, Option<Pin>)>) -> Result<()> {
        let table = self.0.clone();
        // The kernel may be at work for the services.
        let work = move || table.lock().unwrap_or_else(PoisonError::into_inner).change(changes);
        let done = tokio::task::spawn_blocking(work).await.map_err(|e| failed("pin the pods' addresses", e))?;
        let refused = done.map_err(|e| failed("pin the pods' addresses", e))?.refused;
        refused.into_iter().next().map_or(Ok(()), |(_, text)| Err(failed("pin the pod's address", text)))
    }
}
