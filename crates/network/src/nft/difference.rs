//! The messages that lead from what was to what shall be.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{Elements, Hook, Part, Place, SharedChain, Value};
use super::rule::{LIST_ELEMENT, Rule};
use super::set::Set;
use super::wire::{Attributes, Batch, Index, Message, NOBODY};

/// A set's elements are sent in pieces of at most this many bytes: an attribute's length has 16 bits.
const PIECE: usize = 48 << 10;

/// One owner's step: who, before, after.
pub(super) struct Step<S> {
    pub(super) owner: Index,
    pub(super) old: Part<S>,
    pub(super) new: Part<S>,
}

/// What of shared chains comes and goes with the steps.
#[derive(Default)]
pub(super) struct Sharing {
    pub(super) come: Vec<SharedChain>,
    pub(super) gone: Vec<SharedChain>,
}

/// Chains and sets that nothing refers to any more. The kernel may notice that a moment later (before Linux 6.2),
/// so that they are removed in a transaction of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Retired {
    pub(super) chains: BTreeSet<String>,
    pub(super) sets: BTreeSet<String>,
}

/// What others refer to is made before them; claims are given up before others take them.
pub(super) fn difference<S>(batch: &mut Batch, steps: &[Step<S>], sharing: &Sharing, retired: &mut Retired) {
    for chain in &sharing.come {
        new_chain(batch.of(NOBODY), &chain.name, None);
        if retired.chains.remove(&chain.name) {
            no_rules(batch, &chain.name);
        }
        rules(batch, &chain.name, &chain.rules);
    }
    for step in steps {
        begin(batch.of(step.owner), step, retired);
    }
    for step in steps {
        let Step { owner, old, new } = step;
        batch.of(*owner);
        old.chains.iter().filter(|(name, rules)| new.chains.get(*name) != Some(*rules)).for_each(|(name, _)| {
            no_rules(batch, name);
        });
        let gone = old.elements.iter().filter(|(place, value)| new.elements.get(*place) != Some(*value));
        // The elements of a set that goes go with it.
        let gone = gone.filter(|((set, _, _), _)| !old.sets.contains_key(&**set) || new.sets.contains_key(&**set));
        lists(batch, Message::DeleteElement, gone.map(|(place, _)| (place, Value::Nothing)));
    }
    for step in steps {
        let Step { owner, old, new } = step;
        batch.of(*owner);
        for (name, list) in new.chains.iter().filter(|(name, list)| old.chains.get(*name) != Some(*list)) {
            rules(batch, name, list);
        }
        added(batch, &old.elements, &new.elements);
    }
    batch.of(NOBODY);
    for chain in &sharing.gone {
        no_rules(batch, &chain.name);
        retired.chains.insert(chain.name.clone());
    }
    for Step { old, new, .. } in steps {
        retired.chains.extend(old.chains.keys().filter(|name| !new.chains.contains_key(*name)).cloned());
        retired.sets.extend(old.sets.keys().filter(|name| !new.sets.contains_key(*name)).cloned());
    }
}

/// Sets and chains of a step, without rules.
fn begin<S>(batch: &mut Batch, Step { old, new, .. }: &Step<S>, retired: &mut Retired) {
    for (name, set) in new.sets.iter().filter(|(name, _)| !old.sets.contains_key(*name)) {
        if retired.sets.remove(name) {
            no_set(batch, name);
        }
        new_set(batch, name, set);
    }
    for name in new.chains.keys().filter(|name| !old.chains.contains_key(*name)) {
        retired.chains.remove(name);
        new_chain(batch, name, None);
    }
}

/// New and changed elements.
pub(super) fn added(batch: &mut Batch, old: &Elements, new: &Elements) {
    let added = new.iter().filter(|(place, value)| old.get(*place) != Some(*value));
    lists(batch, Message::NewElement, added.map(|(place, value)| (place, value.clone())));
}

/// The end of what nothing refers to.
pub(super) fn sweep(batch: &mut Batch, retired: &Retired) {
    for name in &retired.chains {
        batch.add(Message::DeleteChain, &batch.table().text(3, name));
    }
    retired.sets.iter().for_each(|name| no_set(batch, name));
}

pub(super) fn rules(batch: &mut Batch, chain: &str, rules: &[Rule]) {
    for rule in rules {
        batch.add(Message::NewRule, &batch.table().text(2, chain).nested(4, rule.expressions()));
    }
}

fn no_rules(batch: &mut Batch, chain: &str) {
    batch.add(Message::DeleteRule, &batch.table().text(2, chain));
}

pub(super) fn new_set(batch: &mut Batch, name: &str, set: &Set) {
    batch.add(Message::NewSet, &set.attributes(batch.table().text(2, name), name));
}

fn no_set(batch: &mut Batch, name: &str) {
    batch.add(Message::DeleteSet, &batch.table().text(2, name));
}

pub(super) fn new_chain(batch: &mut Batch, name: &str, hook: Option<Hook>) {
    let chain = batch.table().text(3, name);
    let chain = hook.map_or(chain.clone(), |hook| {
        let at = Attributes::new().u32(1, hook.number).u32(2, hook.priority as u32);
        // Policy 1: accept.
        chain.nested(4, &at).u32(5, 1).text(7, hook.kind)
    });
    batch.add(Message::NewChain, &chain);
}

pub(super) fn lists<'a>(batch: &mut Batch, message: Message, elements: impl Iterator<Item = (&'a Place, Value)>) {
    let mut lists: BTreeMap<&str, Attributes> = BTreeMap::new();
    let mut send = |set: &str, list: &Attributes| batch.add(message, &batch.table().text(2, set).nested(3, list));
    for ((set, key, end), value) in elements {
        let list = lists.entry(set).or_default();
        list.append(&Attributes::new().nested(LIST_ELEMENT, &element(key, *end, &value)));
        if list.len() > PIECE {
            send(set, &std::mem::take(list));
        }
    }
    lists.iter().filter(|(_, list)| list.len() > 0).for_each(|(set, list)| send(set, list));
}

fn element(key: &[u8], end: bool, value: &Value) -> Attributes {
    let element = Attributes::new().nested(1, &Attributes::new().bytes(1, key));
    // Flag 1: the end of a range.
    let element = if end { element.u32(3, 1) } else { element };
    match value {
        Value::Nothing => element,
        Value::Fields(bytes) => element.nested(2, &Attributes::new().bytes(1, bytes)),
        Value::Verdict(verdict) => element.nested(2, &verdict.data()),
    }
}
