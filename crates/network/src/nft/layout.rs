//! How a table is described: a base that never changes, parts that come and go with their owners, and chains
//! that parts share.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::Hash;

use super::rule::{Rule, Verdict};
use super::set::Set;
use super::wire::TableName;

/// A chain that the kernel calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    pub(crate) kind: &'static str,
    /// 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting.
    pub(crate) number: u32,
    pub(crate) priority: i32,
}

/// What is always there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    pub(crate) sets: Vec<(&'static str, Set)>,
    /// Chains that others refer to come earlier.
    pub(crate) chains: Vec<(&'static str, Option<Hook>, Vec<Rule>)>,
    /// Elements that are always there.
    pub(crate) elements: Elements,
}

/// Where an element stands: set, key, and whether it is the end of a range.
pub(crate) type Place = (Cow<'static, str>, Vec<u8>, bool);

/// What sets say, by place.
pub(crate) type Elements = BTreeMap<Place, Value>;

/// What a set says of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nothing,
    Fields(Vec<u8>),
    Verdict(Verdict),
}

/// What one owner adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<S> {
    /// Chains of its own with their rules.
    pub(crate) chains: BTreeMap<String, Vec<Rule>>,
    /// Entries of sets.
    pub(crate) elements: Elements,
    /// Sets of its own.
    pub(crate) sets: BTreeMap<String, Set>,
    /// What it shares with others.
    pub(crate) shared: BTreeSet<S>,
}

impl<S> Default for Part<S> {
    fn default() -> Self {
        Part { chains: BTreeMap::new(), elements: BTreeMap::new(), sets: BTreeMap::new(), shared: BTreeSet::new() }
    }
}

/// A chain that is there as long as somebody uses it.
#[derive(Clone, Debug)]
pub(crate) struct SharedChain {
    pub(crate) name: String,
    pub(crate) rules: Vec<Rule>,
}

/// What a table is made from.
pub(crate) trait Layout: Send + 'static {
    type Owner: Clone + Debug + Eq + Hash + Send;
    /// What an owner wants, in few bytes: its part is made from it when it changes.
    type Plan: PartialEq + Send;
    type Shared: Clone + Debug + Ord + Hash + Send;

    fn table(&self) -> TableName;
    fn base(&self) -> Base;
    fn part(&self, plan: &Self::Plan) -> Part<Self::Shared>;
    fn shared(&self, shared: &Self::Shared) -> SharedChain;
}
