//! What is wrong with a schema and with those in it, place by place (upstream: `ValidateCustomResourceDefinitionOpenAPISchema`).

mod expressions;
mod lists;

use std::cell::OnceCell;
use std::sync::Arc;

use meta::field::{Error, Errors, Path};
use schema::structural::{Check, Formats, Node, field_path};
use serde_json::Value;

use super::definition::Props;
use super::old::{Demands, TYPES};
use crate::custom::Work;
use expressions::{Context, Total};
pub use lists::{is_loose_keys, is_loose_set};

const LIST_TYPE: &str = "x-kubernetes-list-type";
const MAP_TYPE: &str = "x-kubernetes-map-type";
const MAP_KEYS: &str = "x-kubernetes-list-map-keys";
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// What is wrong with a schema. `node`: the same, if it is structural: without it no expression is looked at. `known`: whether
/// its rules were let in before.
pub fn validate(schema: &Props, path: &Path, node: Option<&Arc<Node>>, known: bool, demands: &Demands, errors: &mut Errors) {
    let mut walk = Walk { demands, errors, found: Errors::new(), total: Total::default(), work: Work::default(), known };
    let root = node.map(Context::root);
    walk.schema(schema, path, Place { root: true, context: root.as_ref(), ..Place::default() });
    let (found, total) = (walk.found, walk.total);
    errors.extend(found);
    errors.extend(total.errors(path));
}

/// What holds where a schema stands.
#[derive(Clone, Copy, Default)]
struct Place<'p> {
    root: bool,
    /// In the metadata of an object.
    metadata: bool,
    /// Why there may be no defaults; empty where there may be.
    no_defaults: &'p str,
    /// The outermost place around of which nobody can tell which old value is whose.
    uncorrelated: Option<&'p Path>,
    /// What expressions know of the place; `None` where none is looked at.
    context: Option<&'p Context<'p>>,
}

struct Walk<'w> {
    demands: &'w Demands,
    errors: &'w mut Errors,
    /// What is wrong with rules, which is said after what is wrong with the schema.
    found: Errors,
    /// What all rules may cost.
    total: Total,
    /// What compiling them may take.
    work: Work,
    /// Whether the rules were let in before.
    known: bool,
}

fn text<'s>(schema: &'s Props, name: &str) -> &'s str {
    schema.get(name).and_then(Value::as_str).unwrap_or("")
}

fn flag(schema: &Props, name: &str) -> bool {
    schema.get(name).is_some_and(|value| *value == true)
}

fn given<'s>(schema: &'s Props, name: &str) -> Option<&'s Value> {
    schema.get(name).filter(|value| !value.is_null())
}

fn each<'s>(schema: &'s Props, name: &str) -> &'s [Value] {
    given(schema, name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn entries<'s>(schema: &'s Props, name: &str) -> impl Iterator<Item = (&'s String, &'s Props)> + use<'s> {
    let map = schema.get(name).and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, value)| Some((name, value.as_object()?)))
}

impl Walk<'_> {
    fn push(&mut self, error: Error) {
        self.errors.push(error);
    }

    fn below(&mut self, value: Option<&Value>, path: &Path, place: Place) {
        if let Some(schema) = value.and_then(Value::as_object) {
            self.schema(schema, path, place);
        }
    }

    fn schema(&mut self, schema: &Props, path: &Path, place: Place) {
        let before = self.errors.len();
        self.plain(schema, path, place);
        let inner = Place { root: false, context: None, ..place };
        self.maps(schema, path, Place { root: false, ..place }, place.root);
        self.below(schema.get("not"), &path.child("not"), inner);
        for name in ["allOf", "oneOf", "anyOf"] {
            for (index, value) in each(schema, name).iter().enumerate() {
                self.below(Some(value), &path.child(name).index(index), inner);
            }
        }
        for name in ["definitions", "dependencies"] {
            for (key, below) in entries(schema, name) {
                self.schema(below, &path.child(name).key(key), inner);
            }
        }
        self.items(schema, path, Place { root: false, ..place });
        self.kept(schema, path);
        self.lists(schema, path);
        self.keys(schema, path);
        let readable = OnceCell::new();
        let readable = || *readable.get_or_init(|| Check::read(schema, Formats::OfObjects).is_ok());
        for (index, rule) in each(schema, "x-kubernetes-validations").iter().enumerate() {
            if let Some(rule) = rule.as_object() {
                self.rule(schema, rule, &path.child("x-kubernetes-validations").index(index), &readable);
            }
        }
        // A schema that is wrong here or below says little to expressions.
        if self.errors.len() == before {
            self.expressions(schema, path, place);
        }
    }

    fn items(&mut self, schema: &Props, path: &Path, place: Place) {
        let context = place.context.and_then(|context| context.items());
        let is_map = text(schema, LIST_TYPE) == "map";
        let uncorrelated = place.uncorrelated.or((!is_map).then_some(path));
        let place = Place { context: context.as_ref(), uncorrelated, ..place };
        self.below(schema.get("items"), &path.child("items"), place);
        for (index, value) in each(schema, "items").iter().enumerate() {
            self.below(Some(value), &path.child("items").index(index), place);
        }
    }

    fn plain(&mut self, schema: &Props, path: &Path, place: Place) {
        let kind = text(schema, "type");
        if self.demands.types && !kind.is_empty() && !TYPES.contains(&kind) {
            self.push(Error::not_supported(&path.child("type"), kind, &TYPES));
        }
        if given(schema, "default").is_some() && !place.no_defaults.is_empty() {
            self.push(Error::forbidden(&path.child("default"), format!("must not be set {}", place.no_defaults)));
        }
        let unsupported = |walk: &mut Self, name: &str, there: bool| {
            if there {
                walk.push(Error::forbidden(&path.child(name), format!("{name} is not supported")));
            }
        };
        let filled = |name: &str| schema.get(name).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
        unsupported(self, "id", !text(schema, "id").is_empty());
        unsupported(self, "additionalItems", given(schema, "additionalItems").is_some());
        unsupported(self, "patternProperties", filled("patternProperties"));
        unsupported(self, "definitions", filled("definitions"));
        unsupported(self, "dependencies", given(schema, "dependencies").is_some());
        unsupported(self, "$ref", given(schema, "$ref").is_some());
        if kind == "null" {
            let why = "type cannot be set to null, use nullable as an alternative";
            self.push(Error::forbidden(&path.child("type"), why));
        }
        if !each(schema, "items").is_empty() {
            self.push(Error::forbidden(&path.child("items"), "items must be a schema object and not an array"));
        }
        if place.metadata && flag(schema, "x-kubernetes-embedded-resource") {
            let at = path.child("x-kubernetes-embedded-resource");
            self.push(Error::forbidden(&at, "must not be used inside of resource meta"));
        }
        if flag(schema, "uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.push(Error::forbidden(&path.child("uniqueItems"), why));
        }
    }

    fn maps(&mut self, schema: &Props, path: &Path, place: Place, root: bool) {
        if let Some(additional) = given(schema, "additionalProperties") {
            let at = path.child("additionalProperties");
            if entries(schema, "properties").next().is_some() && *additional != true {
                self.push(Error::forbidden(&at, "additionalProperties and properties are mutual exclusive"));
            }
            let why = "inside additionalProperties applying to object metadata";
            let context = place.context.and_then(|context| context.values());
            let place = Place { context: context.as_ref(), ..place };
            let place = if place.metadata { Place { no_defaults: why, ..place } } else { place };
            self.below(Some(additional), &at, place);
        }
        let is_granular = ["", "atomic", "granular"].contains(&text(schema, MAP_TYPE));
        for (name, below) in entries(schema, "properties") {
            let at = path.child("properties").key(name);
            let own = matches!(&**name, "metadata" | "kind" | "apiVersion");
            let metadata = place.metadata || own && (root || flag(schema, "x-kubernetes-embedded-resource"));
            let why = format!("in top-level {name}");
            let context = place.context.and_then(|context| context.property(name));
            let uncorrelated = place.uncorrelated.or((!is_granular).then_some(path));
            let place = Place { metadata, uncorrelated, context: context.as_ref(), ..place };
            let place = if own && root { Place { no_defaults: &why, ..place } } else { place };
            self.schema(below, &at, place);
        }
    }

    fn kept(&mut self, schema: &Props, path: &Path) {
        const KEPT: &str = "x-kubernetes-preserve-unknown-fields";
        if schema.get(KEPT).is_some_and(|kept| *kept == false) {
            self.push(Error::invalid(&path.child(KEPT), false, "must be true or undefined"));
        }
        let kind = text(schema, "type");
        let Some(map_type) = given(schema, MAP_TYPE).and_then(Value::as_str) else { return };
        self.of_type(kind, "object", MAP_TYPE, path);
        if !["atomic", "granular"].contains(&map_type) {
            self.push(Error::not_supported(&path.child(MAP_TYPE), map_type, &["atomic", "granular"]));
        }
    }

    fn of_type(&mut self, is: &str, wanted: &str, because: &str, path: &Path) {
        let (at, why) = (path.child("type"), format!("must be {wanted} if {because} is specified"));
        if is.is_empty() {
            self.push(Error::required(&at, why));
        } else if is != wanted {
            self.push(Error::invalid(&at, is, why));
        }
    }

    /// The form of a rule in CEL. `readable`: whether the schema can be read, without which no path is looked at.
    fn rule(&mut self, schema: &Props, rule: &Props, path: &Path, readable: &dyn Fn() -> bool) {
        let lines = |text: &str| text.contains(['\n', '\r']);
        let (expression, message) = (text(rule, "rule").trim(), text(rule, "message"));
        if expression.is_empty() {
            self.push(Error::required(&path.child("rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            self.push(Error::invalid(&path.child("message"), message, "must be non-empty if specified"));
        } else if lines(message.trim()) {
            self.push(Error::invalid(&path.child("message"), message, "must not contain line breaks"));
        } else if lines(expression) && message.trim().is_empty() {
            self.push(Error::required(&path.child("message"), "message must be specified if rule contains line breaks"));
        }
        let made = text(rule, "messageExpression");
        if !made.is_empty() && made.trim().is_empty() {
            let at = path.child("messageExpression");
            self.push(Error::required(&at, "messageExpression must be non-empty if specified"));
        }
        if let Some(reason) = given(rule, "reason").and_then(Value::as_str).filter(|reason| !REASONS.contains(reason)) {
            self.push(Error::not_supported(&path.child("reason"), reason, &REASONS));
        }
        let (field, at) = (text(rule, "fieldPath"), path.child("fieldPath"));
        if field.is_empty() {
            return;
        }
        if field.trim().is_empty() {
            self.push(Error::invalid(&at, field, "must be non-empty if specified"));
        }
        if lines(field) {
            self.push(Error::invalid(&at, field, "must not contain line breaks"));
        }
        if readable() && field_path(field, schema, true).is_err() {
            self.push(Error::invalid(&at, field, "must be a valid path"));
        }
    }
}
