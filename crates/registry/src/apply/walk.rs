//! Walks over an object along its schema: which fields it has, what changed, merge, removal
//! (upstream: `structured-merge-diff/typed`).

use schema::{Field, Kind, ListType, Shape, Type};
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
            _ => Form::Whole,
        }
    }

    /// The form of what is below a field or map key.
    fn below(self, name: &str) -> Self {
        match self {
            Form::Struct(t) => t.field(name).map_or(Form::Whole, |(_, field)| Form::of_field(field)),
            Form::Map(value) => Form::of(value),
            _ => Form::Whole,
        }
    }

    /// What a list item is called.
    pub fn step(self, item: &Value) -> Step {
        let Form::Items(field, shape) = self else { return Step::Value(item.to_string()) };
        let mut keys = Map::new();
        for key in &field.map_keys {
            let default = || shape.fields()?.field(key)?.1.default.clone();
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
        (Form::Struct(_) | Form::Map(_), Value::Object(map)) if !map.is_empty() => {
            let mut below = Set::default();
            for (name, value) in map {
                let mut node = paths(form.below(name), value);
                node.member |= matches!(form, Form::Map(_));
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

/// The first list that has an item twice, in upstream's words.
pub(super) fn duplicate(form: Form<'_>, value: &Value, path: &str) -> Option<String> {
    match (form, value) {
        (Form::Struct(_) | Form::Map(_), Value::Object(map)) => {
            map.iter().find_map(|(name, value)| duplicate(form.below(name), value, &format!("{path}.{name}")))
        }
        (Form::Values | Form::Items(..), Value::Array(items)) => {
            let mut seen = std::collections::BTreeSet::new();
            items.iter().find_map(|item| {
                let step = form.step(item);
                let inner = duplicate(form.item(), item, &format!("{path}{step}"));
                let again = || format!("{path}: duplicate entries for key {step}");
                inner.or_else(|| (!seen.insert(step.clone())).then(again))
            })
        }
        _ => None,
    }
}

/// The live value with everything that the configuration says.
pub(super) fn merge(form: Form<'_>, live: Value, config: &Value) -> Value {
    match (form, live, config) {
        (Form::Struct(_) | Form::Map(_), Value::Object(mut live), Value::Object(config)) => {
            for (name, wanted) in config {
                let merged = match live.remove(name) {
                    Some(is) => merge(form.below(name), is, wanted),
                    None => wanted.clone(),
                };
                live.insert(name.clone(), merged);
            }
            Value::Object(live)
        }
        (Form::Values | Form::Items(..), Value::Array(mut live), Value::Array(config)) => {
            for wanted in config {
                let step = form.step(wanted);
                match live.iter_mut().find(|item| form.step(item) == step) {
                    Some(item) => *item = merge(form.item(), item.take(), wanted),
                    None => live.push(wanted.clone()),
                }
            }
            Value::Array(live)
        }
        (_, _, config) => config.clone(),
    }
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
