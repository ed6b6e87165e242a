//! Which objects have a label, and which are on a node: for lists that select few of many.

use std::collections::HashMap;

use imbl::OrdSet;
use meta::selector::{Labels, Operator};
use meta::{Encoded, Key};

use super::Objects;
use crate::codec::Stored;

/// Keys in the order of lists. Cloning is cheap.
pub(crate) type Keys = OrdSet<Key>;

/// Keys by value, and the values by label.
type ByLabel = HashMap<Box<str>, HashMap<Box<str>, Keys>>;

/// The index of one cache. Each half is made when somebody asks it first, and kept current from then on.
#[derive(Default)]
pub(super) struct Index {
    labels: Option<ByLabel>,
    nodes: Option<HashMap<Box<str>, Keys>>,
}

impl Index {
    /// Forgets everything: the objects are others now.
    pub fn clear(&mut self) {
        *self = Index::default();
    }

    /// Takes in one change of an object.
    pub fn change(&mut self, codec: &Stored, old: Option<&Encoded>, new: Option<&Encoded>) {
        if let Some(index) = &mut self.labels {
            old.into_iter().for_each(|old| remove_labels(index, old));
            new.into_iter().for_each(|new| add_labels(index, new));
        }
        if let Some(index) = &mut self.nodes {
            old.into_iter().for_each(|old| remove(index, &codec.node(old), &old.key));
            new.into_iter().for_each(|new| add(index, codec.node(new), &new.key));
        }
    }

    /// Objects among which are all that a selection can match. `None`: they are not fewer than all.
    pub fn candidates(&mut self, codec: &Stored, objects: &Objects, node: Option<&str>, labels: &Labels) -> Option<Keys> {
        if let Some(node) = node {
            return Some(self.nodes(codec, objects).get(node).cloned().unwrap_or_default());
        }
        let exact = || labels.requirements.iter().filter(|requirement| requirement.operator == Operator::In);
        exact().next()?;
        let index = self.labels(objects);
        let found = |key: &str, value: &str| index.get(key).and_then(|values| values.get(value));
        let size = |key: &str, values: &mut dyn Iterator<Item = &String>| values.filter_map(|v| found(key, v)).map(Keys::len).sum::<usize>();
        let sizes = exact().map(|requirement| (size(&requirement.key, &mut requirement.values.iter()), requirement));
        let (least, requirement) = sizes.min_by_key(|(size, _)| *size)?;
        if least > objects.len() / 2 {
            return None;
        }
        let mut sets = requirement.values.iter().filter_map(|value| found(&requirement.key, value));
        let first = sets.next().cloned().unwrap_or_default();
        Some(sets.fold(first, |all, more| all.union(more.clone())))
    }

    fn labels(&mut self, objects: &Objects) -> &ByLabel {
        self.labels.get_or_insert_with(|| {
            let mut index = ByLabel::new();
            objects.values().for_each(|object| add_labels(&mut index, object));
            index
        })
    }

    fn nodes(&mut self, codec: &Stored, objects: &Objects) -> &HashMap<Box<str>, Keys> {
        self.nodes.get_or_insert_with(|| {
            let mut index = HashMap::new();
            objects.values().for_each(|object| add(&mut index, codec.node(object), &object.key));
            index
        })
    }
}

fn add(index: &mut HashMap<Box<str>, Keys>, value: Box<str>, key: &Key) {
    index.entry(value).or_default().insert(key.clone());
}

fn remove(index: &mut HashMap<Box<str>, Keys>, value: &str, key: &Key) {
    let Some(keys) = index.get_mut(value) else { return };
    keys.remove(key);
    if keys.is_empty() {
        index.remove(value);
    }
}

fn add_labels(index: &mut ByLabel, object: &Encoded) {
    for (label, value) in object.labels() {
        add(index.entry(label.clone()).or_default(), value.clone(), &object.key);
    }
}

fn remove_labels(index: &mut ByLabel, object: &Encoded) {
    for (label, value) in object.labels() {
        let Some(values) = index.get_mut(label) else { continue };
        remove(values, value, &object.key);
        if values.is_empty() {
            index.remove(label);
        }
    }
}
