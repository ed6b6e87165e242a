//! Whether the defaults of a schema are right themselves (upstream: `apiserver/schema/defaulting`): nothing in them is
//! unknown, metadata in them is metadata, and the schema demands nothing that they have not.

use std::sync::Arc;

use meta::field::{Error, Errors, Path};
use serde_json::{Map, Value, json};

use super::props::Props;
use super::{Formats, Judge, Node, embedded, shown};
use crate::decode;

/// Whoever has the language of expressions.
pub trait Expressions {
    /// What the rules in CEL of a node, and of all below it, have against a default of it; `resource`: whether it is an object
    /// with kind and metadata. An error that ends everything comes last, as `Err`.
    fn judge(&mut self, node: &Arc<Node>, resource: bool, path: &Path, default: &Value) -> Result<Errors, Errors>;
}

/// What is wrong with the defaults of the schema of a kind. `pruned`: whether what is unknown in them is wrong. The error is
/// why the schema cannot be read.
pub fn validate(path: &Path, schema: &Props, pruned: bool, judge: Judge, rules: &mut dyn Expressions) -> Result<Errors, String> {
    let root = super::root(schema, Formats::OfDefaults)?;
    let mut walk = Walk { pruned, judge, rules, ended: false, errors: Errors::new() };
    walk.below(&root, path, Place { object: &root, steps: &Steps::Object, metadata: false }, true);
    Ok(walk.errors)
}

/// Whether there is something unknown in a default.
pub fn has_unpruned(schema: &Props) -> bool {
    let Ok(root) = super::root(schema, Formats::OfDefaults) else { return false };
    // Upstream cannot tell of an object that is none.
    let none = root.default.as_ref().is_some_and(|default| !default.is_object());
    !none && any(&root, &mut |node| node.default.as_ref().is_some_and(|default| decode::open(node, default, &Path::default(), true).pruned))
}

fn any(node: &Arc<Node>, holds: &mut dyn FnMut(&Node) -> bool) -> bool {
    holds(node)
        || node.element().is_some_and(|below| any(below, holds))
        || node.properties().any(|(_, below)| any(below, holds))
}


/// From an object to a value in it.
enum Steps<'s> {
    Object,
    Key(&'s Steps<'s>, &'s str),
    Index(&'s Steps<'s>),
}

impl Steps<'_> {
    /// The object that has nothing but the value.
    fn around(&self, value: Value) -> Value {
        match self {
            Steps::Object => value,
            Steps::Key(above, key) => above.around(json!({*key: value})),
            Steps::Index(above) => above.around(json!([value])),
        }
    }
}

#[derive(Clone, Copy)]
struct Place<'p> {
    /// The object that the value is in.
    object: &'p Node,
    steps: &'p Steps<'p>,
    /// Whether the value is in the metadata of the object.
    metadata: bool,
}

struct Walk<'j> {
    pruned: bool,
    judge: Judge<'j>,
    rules: &'j mut dyn Expressions,
    /// Whether the rules have cost all that they may.
    ended: bool,
    errors: Errors,
}

impl Walk<'_> {
    fn below(&mut self, node: &Arc<Node>, path: &Path, place: Place, root: bool) {
        if self.ended {
            return;
        }
        let place = if node.embedded && !root { Place { object: node, steps: &Steps::Object, metadata: false } } else { place };
        if let Some(default) = &node.default {
            let path = path.child("default");
            if place.metadata { self.in_metadata(node, default, &path, place) } else { self.value(node, default, &path, root) }
        }
        if let Some(below) = node.element() {
            let steps = Steps::Index(place.steps);
            self.below(below, &path.child("items"), Place { steps: &steps, ..place }, false);
        }
        let properties = path.child("properties");
        for (name, below) in node.properties() {
            let steps = Steps::Key(place.steps, name);
            let metadata = place.metadata || (node.embedded || root) && matches!(name, "metadata" | "kind" | "apiVersion");
            self.below(below, &properties.key(name), Place { steps: &steps, metadata, ..place }, false);
        }
    }

    fn value(&mut self, node: &Arc<Node>, default: &Value, path: &Path, root: bool) {
        let opened = decode::open(node, default, path, false);
        // Upstream reads the metadata of objects where they lie.
        let default = coerced(node, default, &opened.value);
        if self.pruned && opened.pruned {
            self.errors.push(Error::invalid(path, default.clone(), "must not have unknown fields").showing(shown(&default)));
        }
        if let Some(error) = opened.error {
            return self.errors.push(error);
        }
        let wrong = self.of_object(node, &default, path, root);
        let wrong = if wrong.is_empty() { node.check.validate(path, &default, None) } else { wrong };
        if wrong.is_empty() {
            return self.expressions(node, path, &default, root || node.embedded);
        }
        self.errors.extend(wrong);
    }

    fn expressions(&mut self, node: &Arc<Node>, path: &Path, default: &Value, resource: bool) {
        if !node.has_rules() {
            return;
        }
        let judged = self.rules.judge(node, resource, path, default);
        self.ended |= judged.is_err();
        self.errors.extend(judged.unwrap_or_else(|last| last));
    }

    /// The metadata of an object is looked at as a whole.
    fn in_metadata(&mut self, node: &Arc<Node>, default: &Value, path: &Path, place: Place) {
        let mut object = place.steps.around(default.clone());
        if let Value::Object(map) = &mut object {
            map.entry("kind").or_insert_with(|| "Validation".into());
            map.entry("apiVersion").or_insert_with(|| "validation/v1".into());
        }
        let opened = decode::open(place.object, &object, &Path::default(), false);
        let wrong = match opened.error {
            Some(error) => vec![error],
            None => self.of_object(place.object, &opened.value, &Path::default(), true),
        };
        if wrong.is_empty() {
            let wrong = node.check.validate(path, default, None);
            if wrong.is_empty() {
                return self.expressions(node, path, default, node.embedded);
            }
            return self.errors.extend(wrong);
        }
        let mut texts: Vec<String> = Vec::new();
        for text in wrong.iter().map(ToString::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let all = if texts.len() == 1 { texts.remove(0) } else { format!("[{}]", texts.join(", ")) };
        let why = format!("must result in valid metadata: {all}");
        self.errors.push(Error::invalid(path, default.clone(), why).showing(shown(default)));
    }

    /// What is wrong with the objects in a value; `root`: the value is one itself, though the schema does not say so.
    fn of_object(&self, node: &Node, value: &Value, path: &Path, root: bool) -> Errors {
        let mut errors = Errors::new();
        if let Value::Object(map) = value
            && root
            && !node.embedded
        {
            errors.extend((self.judge)(path, map));
        }
        errors.extend(embedded::validate(node, path, value, self.judge));
        errors
    }
}

/// The default with the metadata of the objects in it as it was read.
fn coerced(node: &Node, default: &Value, opened: &Value) -> Value {
    match (default, opened) {
        (Value::Object(default), Value::Object(opened)) => {
            let merged: Map<String, Value> = default
                .iter()
                .map(|(key, value)| {
                    let below = node.fields.field(key).and_then(|(_, field)| field.shape.node.as_deref());
                    let value = match (below, opened.get(key)) {
                        _ if node.embedded && key == "metadata" => opened.get(key).cloned().unwrap_or_default(),
                        (Some(below), Some(opened)) => coerced(below, value, opened),
                        _ => value.clone(),
                    };
                    (key.clone(), value)
                })
                .collect();
            Value::Object(merged)
        }
        _ => default.clone(),
    }
}
