//! Whether the defaults of a schema are right themselves (upstream: `apiserver/schema/defaulting`): nothing in them is
//! unknown, metadata in them is metadata, and the schema demands nothing that they have not.

use std::sync::Arc;

use meta::field::{Error, Errors, Path};
use serde_json::{Map, Value, json};

use super::props::Props;
use super::{Formats, Judge, Node, embedded, shown};
use crate::decode;
use crate::model::Shape;

/// What is wrong with the defaults of the schema of a kind. `pruned`: whether what is unknown in them is wrong. The error is
/// why the schema cannot be read.
pub fn validate(path: &Path, schema: &Props, pruned: bool, judge: Judge) -> Result<Errors, String> {
    let root = super::root(schema, Formats::OfDefaults)?;
    let mut walk = Walk { pruned, judge, errors: Errors::new() };
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
        || element(node).is_some_and(|below| any(below, holds))
        || node.fields.fields.iter().filter_map(|field| field.shape.node.as_ref()).any(|below| any(below, holds))
}

fn element(node: &Node) -> Option<&Arc<Node>> {
    node.element().and(node.items().node.as_ref())
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
    errors: Errors,
}

impl Walk<'_> {
    fn below(&mut self, node: &Node, path: &Path, place: Place, root: bool) {
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
        for field in &node.fields.fields {
            let Some(below) = of_schema(&field.shape) else { continue };
            let steps = Steps::Key(place.steps, &field.name);
            let metadata = place.metadata || (node.embedded || root) && matches!(&*field.name, "metadata" | "kind" | "apiVersion");
            self.below(below, &properties.key(&field.name), Place { steps: &steps, metadata, ..place }, false);
        }
    }

    fn value(&mut self, node: &Node, default: &Value, path: &Path, root: bool) {
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
        self.errors.extend(wrong);
    }

    /// The metadata of an object is looked at as a whole.
    fn in_metadata(&mut self, node: &Node, default: &Value, path: &Path, place: Place) {
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
            return self.errors.extend(node.check.validate(path, default, None));
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

/// The node of a field as the schema has it.
fn of_schema(shape: &Shape) -> Option<&Node> {
    shape.node.as_deref()
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
