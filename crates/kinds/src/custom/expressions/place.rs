//! The rules of a schema, place by place: only the places with rules, and the ways to them (upstream:
//! `apiserver/schema/cel/validation.go`, `NewValidator`).

use std::collections::BTreeMap;
use std::sync::Arc;

use schema::structural::Node;

use super::compile::{Compiled, Work, compile};
use super::declared::Declared;

/// Elements that a list is taken to have if nothing says how many it may have.
const UNBOUNDED: u64 = 1000;

/// A place with rules, or on the way to some.
pub struct Place {
    /// What the schema says of it.
    pub node: Arc<Node>,
    /// Whether an object with kind and metadata is here.
    pub resource: bool,
    /// The rules, or why there are none though there should be.
    pub rules: Result<Vec<Compiled>, &'static str>,
    /// Whether any of them speaks of the old value.
    pub uses_old: bool,
    /// Elements of a list.
    pub items: Option<Box<Place>>,
    /// Properties.
    pub fields: BTreeMap<String, Place>,
    /// All other values of a map.
    pub values: Option<Box<Place>>,
}

impl Place {
    /// The root of a kind, or an object or value that is looked at by itself.
    pub fn root(node: &Arc<Node>, resource: bool, work: &mut Work) -> Option<Place> {
        let declared = node.has_rules().then(|| Declared::of(node, resource))?;
        Place::new(node, resource, declared.as_ref(), work)
    }

    fn new(node: &Arc<Node>, resource: bool, declared: Option<&Arc<Declared>>, work: &mut Work) -> Option<Place> {
        let rules = match declared {
            _ if node.rules.is_empty() => Ok(Vec::new()),
            Some(declared) => Ok(compile(&node.rules, declared, work)),
            None => Err("failed to convert to declType for CEL validation rules"),
        };
        let inner = declared.and_then(|declared| declared.below());
        let mut below = |node: Option<&Arc<Node>>| Place::new(node?, node?.embedded, inner, work).map(Box::new);
        let (items, values) = (below(node.element()), below(node.values()));
        let mut fields = BTreeMap::new();
        for (name, below) in node.properties().filter(|(_, below)| below.has_rules()) {
            let escaped = cel::escape::escape(name);
            // What expressions cannot see is not looked at; what they cannot name is.
            let known = match escaped {
                Some(_) => declared.and_then(|declared| declared.field(name)).cloned(),
                None => Declared::of(below, below.embedded),
            };
            let Some(known) = known else { continue };
            fields.extend(Place::new(below, below.embedded, Some(&known), work).map(|place| (name.to_owned(), place)));
        }
        let is_empty = rules.as_ref().is_ok_and(Vec::is_empty) && items.is_none() && values.is_none() && fields.is_empty();
        let uses_old = rules.iter().flatten().any(|rule| rule.uses_old);
        (!is_empty).then(|| Place { node: node.clone(), resource, rules, uses_old, items, fields, values })
    }

    /// What its rules may cost for one object, and those of all below it.
    pub fn cost(&self) -> u64 {
        let own = self.rules.iter().flatten().map(|rule| rule.cost);
        let times = if self.items.is_some() { self.node.check.max_items } else { self.node.check.max_properties };
        let times = times.map_or(UNBOUNDED, |times| u64::try_from(times).unwrap_or(0));
        let below = self.items.iter().chain(&self.values).map(|place| place.cost().saturating_mul(times));
        own.chain(below).chain(self.fields.values().map(Place::cost)).fold(0, u64::saturating_add)
    }
}
