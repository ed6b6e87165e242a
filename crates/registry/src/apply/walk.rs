//! Walks over an object along its schema: which fields it has, what changed, merge, removal
//! (upstream: `structured-merge-diff/typed`).

use std::collections::{BTreeMap, VecDeque};

use schema::{Field, Kind, ListType, Others, Shape, Type};
use serde_json::{Map, Value};

use super::set::{Node, Set, Step};

/// How a value takes part in a merge.
#[derive(Clone, Copy)]
pub(super) enum Form<'s> {
    /// As one.
    Whole,
    /// Field by field.
    Struct(&'s Type),
    /// Entry by entry.
    Map(&'s Shape),
    /// As the value itself has it, since its fields are not known: maps entry by entry, all else as one.
    Deduced,
    /// Item by item, items being found by their value.
    Values,
    /// Item by item, items being found by these fields.
    Items(&'s Field, &'s Shape),
}

impl<'s> Form<'s> {
    /// The form of a field.
    pub fn of_field(field: &'s Field) -> Self {
        match (&field.shape.kind, field.list_type) {
            _ if field.map_type == "atomic" => Form::Whole,
            (Kind::Struct(t), _) if field.map_type == "granular" => Form::Struct(t.get()),
            (Kind::List { item, .. }, Some(ListType::Map)) => Form::Items(field, item),
            (Kind::List { .. }, Some(ListType::Set)) => Form::Values,
            (Kind::List { .. }, _) => Form::Whole,
            _ => Form::of(&field.shape),
        }
    }

    pub fn of(shape: &'s Shape) -> Self {
        match &shape.kind {
            Kind::Struct(t) if !t.get().atomic => Form::Struct(t.get()),
            Kind::Map { value, .. } => Form::Map(value),
            Kind::Json if shape.node.as_ref().is_some_and(|node| node.kept) => Form::Deduced,
            _ => Form::Whole,
        }
    }

    /// The form of what is below a field or map key.
    pub fn below(self, name: &str) -> Self {
        match self {
            Form::Struct(t) => t.field(name).map_or_else(|| Form::other(t), |(_, field)| Form::of_field(field)),
            Form::Map(value) => Form::of(value),
            Form::Deduced => Form::Deduced,
            _ => Form::Whole,
        }
    }

    /// The form of what is below a key that is no field of a type.
    fn other(t: &'s Type) -> Self {
        match &t.others {
            Others::Unknown => Form::Whole,
            Others::Kept => Form::Deduced,
            Others::Each(shape) => Form::of(shape),
        }
    }

    /// Whether a key is one of its own, not a field that is always there.
    fn is_key(self, name: &str) -> bool {
        match self {
            Form::Map(_) | Form::Deduced => true,
            Form::Struct(t) => !matches!(t.others, Others::Unknown) && t.field(name).is_none(),
            _ => false,
        }
    }

    /// What a list item is called.
    pub fn step(self, item: &Value) -> Step {
        let Form::Items(field, shape) = self else { return Step::Value(item.to_string()) };
        let mut keys = Map::new();
        for key in &field.map_keys {
            let known = || Some(shape.fields()?.field(key)?.1);
            let default = || known().and_then(key_default);
            if let Some(value) = item.get(&**key).cloned().or_else(default) {
                keys.insert(key.clone().into_owned(), value);
            }
        }
        Step::Item(Value::Object(keys).to_string())
    }

    pub fn item(self) -> Self {
        match self {
            Form::Items(_, shape) => Form::of(shape),
            _ => Form::Whole,
        }
    }
}

/// The paths of everything in a value.
pub(super) fn paths(form: Form<'_>, value: &Value) -> Node {
    match (form, value) {
        (Form::Struct(_) | Form::Map(_) | Form::Deduced, Value::Object(map)) if !map.is_empty() => {
            let mut below = Set::default();
            for (name, value) in map {
                let mut node = paths(form.below(name), value);
                node.member |= form.is_key(name);
                below.put(Step::Field(name.clone()), node);
            }
            Node { member: false, below }
        }
        (Form::Values | Form::Items(..), Value::Array(items)) => {
            let mut below = Set::default();
            for item in items {
                let node = paths(form.item(), item);
                let below_item = if matches!(form, Form::Items(..)) { node.below } else { Set::default() };
                below.put(form.step(item), Node { member: true, below: below_item });
            }
            Node { member: false, below }
        }
        _ => Node::leaf(),
    }
}

/// What a key is when an item does not say it.
pub(super) fn key_default(field: &Field) -> Option<Value> {
    let zero = || match field.shape.kind {
        Kind::Int32 | Kind::Int64 | Kind::Int => Value::from(0),
        Kind::Bool => Value::from(false),
        _ => Value::from(""),
    };
    field.default.clone().or_else(|| field.zero_default.then(zero))
}

/// The live value with everything that the configuration says.
pub(super) fn merge(form: Form<'_>, live: Value, config: &Value) -> Value {
    match (form, live, config) {
        (Form::Struct(_) | Form::Map(_) | Form::Deduced, Value::Object(mut live), Value::Object(config)) => {
            for (name, wanted) in config {
                let merged = match live.remove(name) {
                    Some(is) => merge(form.below(name), is, wanted),
                    None => wanted.clone(),
                };
                live.insert(name.clone(), merged);
            }
            Value::Object(live)
        }
        (Form::Values | Form::Items(..), Value::Array(live), Value::Array(config)) => Value::Array(merge_items(form, live, config)),
        // Nothing is said about what has parts.
        (Form::Struct(_) | Form::Map(_) | Form::Values | Form::Items(..), live @ (Value::Object(_) | Value::Array(_)), Value::Null) => live,
        (_, _, config) => config.clone(),
    }
}

/// The items of both lists: those of the configuration in its order, those that only the live list has where they
/// stood between the ones that both have.
fn merge_items(form: Form<'_>, live: Vec<Value>, config: &[Value]) -> Vec<Value> {
    let wanted: Vec<Step> = config.iter().map(|item| form.step(item)).collect();
    let steps: Vec<Step> = live.iter().map(|item| form.step(item)).collect();
    let mut live: Vec<(&Step, Option<Value>)> = steps.iter().zip(live.into_iter().map(Some)).collect();
    let (is_at, wanted_at) = (first_places(&steps), first_places(&wanted));
    let mut shared: VecDeque<&Step> = wanted.iter().filter(|step| is_at.contains_key(step)).collect();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let take = |live: &mut Vec<(&Step, Option<Value>)>, at: usize| {
        let is = is_at.get(&wanted[at]).and_then(|place| live[*place].1.take());
        is.map_or_else(|| config[at].clone(), |is| merge(form.item(), is, &config[at]))
    };
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < wanted.len() {
        if left < live.len() && right < wanted.len() {
            if *live[left].0 == wanted[right] {
                out.push(take(&mut live, right));
                (left, right) = (left + 1, right + 1);
                shared.pop_front();
                continue;
            }
            let is_shared = wanted_at.contains_key(live[left].0);
            if is_shared && shared.front().is_some_and(|next| *next != live[left].0) {
                // Shared, but its turn comes later.
                left += 1;
                continue;
            }
        }
        if left < live.len() {
            if !wanted_at.contains_key(live[left].0) {
                out.extend(live[left].1.take());
                left += 1;
                continue;
            }
            if wanted_at.get(live[left].0).is_some_and(|place| *place < right) {
                left += 1;
            }
        }
        if right < wanted.len() {
            out.push(take(&mut live, right));
            if shared.front().is_some_and(|next| **next == wanted[right]) {
                shared.pop_front();
            }
            right += 1;
        }
    }
    out
}

/// Where each step stands first.
fn first_places(steps: &[Step]) -> BTreeMap<&Step, usize> {
    let mut places = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        places.entry(step).or_insert(at);
    }
    places
}

/// Takes paths out of a value.
pub(super) fn remove(form: Form<'_>, value: &mut Value, gone: &Set) {
    match value {
        Value::Object(map) => {
            for (step, node) in &gone.0 {
                let Step::Field(name) = step else { continue };
                if node.member {
                    map.remove(name);
                } else if let Some(value) = map.get_mut(name) {
                    remove(form.below(name), value, &node.below);
                }
            }
        }
        Value::Array(items) => {
            items.retain_mut(|item| match gone.0.get(&form.step(item)) {
                Some(node) if node.member => false,
                Some(node) => {
                    remove(form.item(), item, &node.below);
                    true
                }
                None => true,
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use meta::Gvk;
    use schema::Schema;
    use serde_json::json;

    use super::*;

    #[test]
    fn merged_items_keep_the_place_that_they_had_among_the_shared_ones() {
        let pod = Schema::builtin(&Gvk::new("", "v1", "Pod")).expect("there");
        let merged = |live: Value, config: Value| merge(Form::Struct(pod.root()), json!({"spec": {"containers": live}}), &json!({"spec": {"containers": config}}));
        let names = |names: &str| names.chars().map(|c| json!({"name": c})).collect::<Vec<_>>();
        let want = |text: &str| json!({"spec": {"containers": names(text)}});
        assert_eq!(merged(names("abc").into(), names("axc").into()), want("abxc"));
        assert_eq!(merged(names("abc").into(), names("ca").into()), want("bca"));
        assert_eq!(merged(names("ab").into(), names("c").into()), want("abc"));
    }
}
