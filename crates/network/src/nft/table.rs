//! Our one table: a base that never changes, and parts that come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use super::rule::{LIST_ELEMENT, Rule, Verdict};
use super::socket;
use super::wire::{Attributes, Batch, Message};

/// The table's name, of family `ip`.
pub const TABLE: &str = "ironclad";

/// A set's elements are sent in pieces of at most this many bytes: an attribute's length has 16 bits.
const ELEMENTS: usize = 48 << 10;

/// What a map's keys are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Address, protocol, port.
    AddressPort,
    /// Protocol, port.
    Port,
}

/// A chain that the kernel calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    pub(crate) kind: &'static str,
    /// 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting.
    pub(crate) number: u32,
    pub(crate) priority: i32,
}

/// What is always there.
pub(crate) struct Base {
    /// Maps to verdicts.
    pub(crate) maps: Vec<(&'static str, Key)>,
    /// Chains without rules first: those that others refer to come earlier.
    pub(crate) chains: Vec<(&'static str, Option<Hook>, Vec<Rule>)>,
}

/// What one owner (a service, a pod) adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Chains with their rules.
    pub(crate) chains: BTreeMap<String, Vec<Rule>>,
    /// Entries of the base's maps.
    pub(crate) elements: BTreeMap<(&'static str, Vec<u8>), Verdict>,
    /// Sets of client addresses, with the seconds after which they are forgotten.
    pub(crate) sets: BTreeMap<String, u32>,
}

/// The table as the kernel has it.
pub(crate) struct Table {
    base: Base,
    parts: HashMap<String, Part>,
    /// Whether the kernel has what we think it has.
    made: bool,
}

impl Table {
    pub(crate) fn new(base: Base) -> Self {
        Table { base, parts: HashMap::new(), made: false }
    }

    /// Puts parts in place of those of the same owners, in one transaction; an empty part removes the owner's.
    /// What an earlier process left is replaced by the first call. Blocks.
    pub(crate) fn change(&mut self, changes: Vec<(String, Part)>) -> io::Result<()> {
        let mut batch = Batch::new();
        if self.made {
            let empty = Part::default();
            let pairs: Vec<_> =
                changes.iter().map(|(owner, new)| (self.parts.get(owner).unwrap_or(&empty), new)).collect();
            difference(&mut batch, &pairs);
        }
        for (owner, part) in changes {
            if part == Part::default() { self.parts.remove(&owner) } else { self.parts.insert(owner, part) };
        }
        if self.made {
            match socket::send(batch) {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the service rules are not what they were, making them anew"),
            }
        }
        self.made = false;
        socket::send(self.whole())?;
        self.made = true;
        Ok(())
    }

    fn whole(&self) -> Batch {
        let mut batch = Batch::new();
        let table = Attributes::new().text(1, TABLE);
        // Deleting needs something to delete.
        batch.add(Message::NewTable, &table);
        batch.add(Message::DeleteTable, &table);
        batch.add(Message::NewTable, &table);
        for (name, key) in &self.base.maps {
            batch.add(Message::NewSet, &verdict_map(name, *key));
        }
        for (name, hook, _) in &self.base.chains {
            batch.add(Message::NewChain, &chain(name, *hook));
        }
        let empty = Part::default();
        difference(&mut batch, &self.parts.values().map(|new| (&empty, new)).collect::<Vec<_>>());
        for (name, _, rules) in &self.base.chains {
            rules.iter().for_each(|r| batch.add(Message::NewRule, &rule(name, r)));
        }
        batch
    }
}

/// Removes the table; says whether it was there. Blocks.
pub(crate) fn remove() -> io::Result<bool> {
    let mut batch = Batch::new();
    batch.add(Message::DeleteTable, &Attributes::new().text(1, TABLE));
    match socket::send(batch) {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// From what was to what shall be. What others refer to is made before and removed after them.
fn difference(batch: &mut Batch, pairs: &[(&Part, &Part)]) {
    let old_names: BTreeSet<&String> = pairs.iter().flat_map(|(old, _)| old.chains.keys()).collect();
    for (old, new) in pairs {
        for (name, timeout) in &new.sets {
            if !old.sets.contains_key(name) {
                batch.add(Message::NewSet, &address_set(name, *timeout));
            }
        }
        for name in new.chains.keys().filter(|name| !old_names.contains(name)) {
            batch.add(Message::NewChain, &chain(name, None));
        }
    }
    for (old, new) in pairs {
        for (name, rules) in &old.chains {
            if new.chains.get(name) != Some(rules) {
                batch.add(Message::DeleteRule, &Attributes::new().text(1, TABLE).text(2, name));
            }
        }
        let gone = old.elements.iter().filter(|(key, verdict)| new.elements.get(key) != Some(verdict));
        elements(batch, Message::DeleteElement, gone);
    }
    for (old, new) in pairs {
        for (name, rules) in &new.chains {
            if old.chains.get(name) != Some(rules) {
                rules.iter().for_each(|r| batch.add(Message::NewRule, &rule(name, r)));
            }
        }
        let added = new.elements.iter().filter(|(key, verdict)| old.elements.get(key) != Some(verdict));
        elements(batch, Message::NewElement, added);
    }
    for (old, new) in pairs {
        for name in old.chains.keys().filter(|name| !new.chains.contains_key(*name)) {
            batch.add(Message::DeleteChain, &Attributes::new().text(1, TABLE).text(3, name));
        }
        for name in old.sets.keys().filter(|name| !new.sets.contains_key(*name)) {
            batch.add(Message::DeleteSet, &Attributes::new().text(1, TABLE).text(2, name));
        }
    }
}

fn elements<'a>(
    batch: &mut Batch,
    message: Message,
    elements: impl Iterator<Item = (&'a (&'static str, Vec<u8>), &'a Verdict)>,
) {
    let mut lists: BTreeMap<&str, Attributes> = BTreeMap::new();
    let mut send = |map: &str, list: &Attributes| {
        batch.add(message, &Attributes::new().text(1, TABLE).text(2, map).nested(3, list));
    };
    for ((map, key), verdict) in elements {
        let mut element = Attributes::new().nested(1, &Attributes::new().bytes(1, key));
        if message == Message::NewElement {
            element = element.nested(2, &verdict.data());
        }
        let list = lists.entry(map).or_default();
        list.append(&Attributes::new().nested(LIST_ELEMENT, &element));
        if list.len() > ELEMENTS {
            send(map, &std::mem::take(list));
        }
    }
    lists.iter().filter(|(_, list)| list.len() > 0).for_each(|(map, list)| send(map, list));
}

fn chain(name: &str, hook: Option<Hook>) -> Attributes {
    let chain = Attributes::new().text(1, TABLE).text(3, name);
    match hook {
        None => chain,
        Some(hook) => {
            let at = Attributes::new().u32(1, hook.number).u32(2, hook.priority as u32);
            // Policy 1: accept.
            chain.nested(4, &at).u32(5, 1).text(7, hook.kind)
        }
    }
}

fn rule(chain: &str, rule: &Rule) -> Attributes {
    Attributes::new().text(1, TABLE).text(2, chain).nested(4, rule.expressions())
}

fn verdict_map(name: &str, key: Key) -> Attributes {
    // The types are for those who list the rules: address 7, protocol 12, service 13, six bits each.
    let (kind, length) = match key {
        Key::AddressPort => ((7 << 12) | (12 << 6) | 13, 12),
        Key::Port => ((12 << 6) | 13, 8),
    };
    // Flag 8: a map; its data are verdicts.
    set(name, 8, kind, length).u32(6, 0xffff_ff00).u32(7, 16)
}

fn address_set(name: &str, timeout_seconds: u32) -> Attributes {
    // Flags: with time-out (0x10), changed by rules (0x20).
    set(name, 0x30, 7, 4).u64(11, u64::from(timeout_seconds) * 1000)
}

fn set(name: &str, flags: u32, kind: u32, length: u32) -> Attributes {
    Attributes::new().text(1, TABLE).text(2, name).u32(3, flags).u32(4, kind).u32(5, length).u32(10, set_id(name))
}

/// The kernel wants a number for every new set of a transaction; a hash of the name serves.
fn set_id(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193)) | 1
}
