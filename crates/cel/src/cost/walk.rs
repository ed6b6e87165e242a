//! The estimate of an expression, node by node (upstream: cel-go `checker/cost.go`).

use std::collections::HashMap;
use std::sync::Arc;

use super::{LIST, MAP, OBJECT, Range, SELECT, Sizes, calls};
use crate::ast::{Comprehension, Id, Kind, Literal};
use crate::check::{Checked, Reference};
use crate::types::Type;

/// What an expression will cost at least and at most.
pub(crate) fn estimate(checked: &Checked, sizes: &dyn Sizes) -> Range {
    let mut walk = Walk {
        checked,
        known: sizes,
        paths: HashMap::new(),
        locals: HashMap::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
    };
    walk.cost(checked.ast.root)
}

/// The sizes of what a list or map holds.
#[derive(Clone, Copy)]
pub(super) struct Entries {
    list: bool,
    key: Range,
    value: Range,
}

impl Entries {
    pub(super) fn union(self, other: Entries) -> Entries {
        Entries { list: self.list, key: self.key.union(other.key), value: self.value.union(other.value) }
    }
}

/// A variable of a loop.
pub(super) struct Local {
    pub(super) path: Vec<String>,
    pub(super) size: Option<Range>,
    pub(super) entries: Option<Entries>,
}

pub(super) struct Walk<'w> {
    pub(super) checked: &'w Checked,
    pub(super) known: &'w dyn Sizes,
    pub(super) paths: HashMap<Id, Vec<String>>,
    pub(super) locals: HashMap<Arc<str>, Vec<Local>>,
    pub(super) sizes: HashMap<Id, Range>,
    pub(super) entries: HashMap<Id, Entries>,
}

/// An argument of a call.
pub(super) struct Arg {
    pub(super) id: Option<Id>,
    pub(super) path: Option<Vec<String>>,
    pub(super) of: Type,
    pub(super) size: Option<Range>,
}

impl Walk<'_> {
    fn cost(&mut self, id: Id) -> Range {
        crate::deep(|| match self.checked.ast.kind(id).clone() {
            Kind::Literal(_) => Range::fixed(0),
            Kind::Ident(name) => self.ident(id, &name),
            Kind::Select { operand, field, test } => self.select(id, operand, &field, test),
            Kind::Call { function, target, args } => self.call(id, &function, target, &args),
            Kind::List { items, .. } => self.list(id, &items),
            Kind::Map(entries) => {
                let pairs: Vec<(Id, Id)> = entries.iter().map(|entry| (entry.key, entry.value)).collect();
                self.map(id, &pairs)
            }
            Kind::Struct { fields, .. } => {
                let fields = fields.iter().fold(Range::fixed(0), |sum, field| sum.plus(self.cost(field.value)));
                fields.plus(Range::fixed(OBJECT))
            }
            Kind::Comprehension(c) if self.is_bind(&c) => self.bind(id, &c),
            Kind::Comprehension(c) => self.comprehension(id, &c),
        })
    }

    pub(super) fn local(&self, name: &str) -> Option<&Local> {
        self.locals.get(name).and_then(|all| all.last())
    }

    fn ident(&mut self, id: Id, name: &str) -> Range {
        let path = self.local(name).map_or_else(|| vec![name.trim_start_matches('.').to_owned()], |local| local.path.clone());
        self.paths.insert(id, path);
        Range::fixed(SELECT)
    }

    fn select(&mut self, id: Id, operand: Id, field: &str, test: bool) -> Range {
        if !matches!(self.checked.reference(id), Reference::None) {
            let name = self.checked.ast.qualified_name(id).unwrap_or_default();
            return self.ident(id, &name);
        }
        if test {
            return self.cost(operand);
        }
        let mut sum = self.cost(operand);
        if matches!(self.checked.type_of(operand), Type::Map(..) | Type::Struct(_)) {
            sum = sum.plus(Range::fixed(SELECT));
        }
        self.extend(id, operand, field);
        sum
    }

    fn extend(&mut self, id: Id, from: Id, by: &str) {
        let mut path = self.path(from);
        path.push(by.to_owned());
        self.paths.insert(id, path);
    }

    pub(super) fn path(&self, id: Id) -> Vec<String> {
        if let Kind::Ident(name) = self.checked.ast.kind(id)
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths.get(&id).cloned().unwrap_or_default()
    }

    fn call(&mut self, id: Id, function: &str, target: Option<Id>, args: &[Id]) -> Range {
        if function == "dyn"
            && let Some(arg) = args.first()
        {
            let cost = self.cost(*arg).plus(Range::fixed(1));
            self.copy(id, *arg);
            return cost;
        }
        let mut costs = Vec::new();
        let mut given = Vec::new();
        for arg in args {
            costs.push(self.cost(*arg));
            given.push(self.arg(*arg));
        }
        let Reference::Functions(overloads) = self.checked.reference(id).clone() else { return Range::fixed(0) };
        let mut sum = Range::fixed(0);
        let on = target.map(|target| {
            sum = self.cost(target);
            self.arg(target)
        });
        let mut cost = Range { min: u64::MAX, max: 0 };
        let mut size: Option<Range> = None;
        for overload in &overloads {
            let (one, result) = calls::cost(self, id, overload.row.cost, on.as_ref(), &given, &costs);
            cost = cost.union(one);
            size = match (size, result) {
                (Some(size), Some(result)) => Some(size.union(result)),
                (size, result) => size.or(result),
            };
            let within = match overload.row.overload {
                "index_list" => Some("@items"),
                "index_map" => Some("@values"),
                _ => None,
            };
            if let (Some(by), Some(arg)) = (within, args.first()) {
                size = self.entries_of(*arg).map(|entries| entries.value);
                self.extend(id, *arg, by);
            }
            if size.is_none() {
                size = self.size(id);
            }
        }
        if let Some(size) = size {
            self.sizes.insert(id, size);
        }
        sum.plus(cost)
    }

    fn list(&mut self, id: Id, items: &[Id]) -> Range {
        let mut sum = Range::fixed(0);
        let mut size = Range { min: if items.is_empty() { 0 } else { u64::MAX }, max: 0 };
        for item in items {
            sum = sum.plus(self.cost(*item));
            size = size.union(self.size_or_unknown(*item));
        }
        self.entries.insert(id, Entries { list: true, key: Range::fixed(1), value: size });
        sum.plus(Range::fixed(LIST))
    }

    fn map(&mut self, id: Id, pairs: &[(Id, Id)]) -> Range {
        let none = Range { min: if pairs.is_empty() { 0 } else { u64::MAX }, max: 0 };
        let (mut sum, mut keys, mut values) = (Range::fixed(0), none, none);
        for (key, value) in pairs {
            sum = sum.plus(self.cost(*key)).plus(self.cost(*value));
            keys = keys.union(self.size_or_unknown(*key));
            values = values.union(self.size_or_unknown(*value));
        }
        self.entries.insert(id, Entries { list: false, key: keys, value: values });
        sum.plus(Range::fixed(MAP))
    }

    fn push(&mut self, name: &Arc<str>, local: Local) {
        self.locals.entry(name.clone()).or_default().push(local);
    }

    fn pop(&mut self, name: &str) {
        if let Some(all) = self.locals.get_mut(name) {
            all.pop();
        }
    }

    fn push_value(&mut self, name: &Arc<str>, value: Id) {
        let local = Local { path: self.path(value), size: self.size(value), entries: self.entries_of(value) };
        self.push(name, local);
    }

    /// A variable of a loop: what it is of each round.
    fn push_round(&mut self, name: &Arc<str>, range: Id, key: bool, alone: bool) {
        let entries = self.entries_of(range);
        let list = match entries {
            Some(entries) => entries.list,
            None => matches!(self.checked.type_of(range), Type::List(_)),
        };
        let is_key = if alone { !list } else { key };
        let by = match (is_key, list) {
            (true, true) => "@indices",
            (true, false) => "@keys",
            (false, true) => "@items",
            (false, false) => "@values",
        };
        let size = entries.map(|entries| if is_key { entries.key } else { entries.value });
        let mut path = self.path(range);
        path.push(by.to_owned());
        self.push(name, Local { path, size, entries: None });
    }

    fn comprehension(&mut self, id: Id, c: &Comprehension) -> Range {
        let mut sum = self.cost(c.range).plus(self.cost(c.init));
        self.push_value(&c.accumulator, c.init);
        match &c.second {
            Some(second) => {
                self.push_round(&c.variable, c.range, true, false);
                self.push_round(second, c.range, false, false);
            }
            None => self.push_round(&c.variable, c.range, false, true),
        }
        let condition = self.cost(c.condition);
        let step = self.cost(c.step);
        self.pop(&c.variable);
        if let Some(second) = &c.second {
            self.pop(second);
        }
        sum = sum.plus(self.cost(c.result));
        self.pop(&c.accumulator);
        let rounds = self.size_or_unknown(c.range);
        sum = sum.plus(rounds.times(step.plus(condition)));
        match self.checked.ast.kind(c.init) {
            Kind::Literal(_) => {
                if let Some(size) = self.size(c.init) {
                    self.sizes.insert(id, size);
                }
            }
            Kind::List { .. } | Kind::Map(_) => {
                self.sizes.insert(id, rounds);
                if let Some(entries) = self.entries_of(c.step) {
                    self.entries.insert(id, entries);
                }
            }
            _ => {}
        }
        sum
    }

    /// Whether it is no loop, but a name for a part of the expression.
    fn is_bind(&self, c: &Comprehension) -> bool {
        let empty = matches!(self.checked.ast.kind(c.range), Kind::List { items, .. } if items.is_empty());
        empty && matches!(self.checked.ast.kind(c.condition), Kind::Literal(Literal::Bool(false)))
    }

    fn bind(&mut self, id: Id, c: &Comprehension) -> Range {
        let mut sum = self.cost(c.range).plus(self.cost(c.init));
        self.push_value(&c.accumulator, c.init);
        sum = sum.plus(self.cost(c.result));
        self.pop(&c.accumulator);
        self.copy(id, c.result);
        sum
    }

    fn copy(&mut self, to: Id, from: Id) {
        if let Some(size) = self.size(from) {
            self.sizes.insert(to, size);
        }
        if let Some(entries) = self.entries_of(from) {
            self.entries.insert(to, entries);
        }
    }
}
