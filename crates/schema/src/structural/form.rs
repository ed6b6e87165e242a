//! Whether a schema is structural (upstream: `apiserver/schema/validation.go` and `complete.go`): what it demands of a value
//! stands where it says what the value is.

use meta::field::{Error, Errors, Path};
use serde_json::Value;

use super::props::{self, Props};

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What keeps a schema from being structural, in the order of the alphabet.
pub fn validate(path: &Path, schema: &Props) -> Errors {
    let mut errors = Errors::new();
    invariants(schema, Level::Root, path, &mut errors);
    complete_values(schema, Some(schema), path, path, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

fn invariants(s: &Props, level: Level, path: &Path, errors: &mut Errors) {
    let kind = props::text(s, "type");
    match props::schema(s, "items") {
        Some(items) => invariants(items, Level::Item, &path.child("items"), errors),
        None if kind == "array" => errors.push(Error::required(&path.child("items"), "must be specified")),
        None => {}
    }
    for (name, below) in props::map(s, "properties") {
        invariants(below, Level::Field, &path.child("properties").key(name), errors);
    }
    let additional = props::value(s, "additionalProperties");
    if additional.is_some() && level == Level::Root {
        errors.push(Error::forbidden(&path.child("additionalProperties"), "must not be used at the root"));
    }
    if let Some(below) = additional.and_then(Value::as_object) {
        invariants(below, Level::Field, &path.child("additionalProperties"), errors);
    }
    extensions(s, path, errors);
    let all_of_first = props::list(s, "allOf").next().is_some_and(is_int_or_string);
    values(s, is_int_or_string(s), all_of_first, path, errors);
    types(s, level, path, errors);
    metadata(s, level, path, errors);
}

/// `anyOf` of a number and a text, and nothing else.
fn is_int_or_string(s: &Props) -> bool {
    let mut types = props::list(s, "anyOf").map(|below| {
        // That there are no other fields says nothing here.
        let more = below.iter().any(|(name, value)| name != "type" && (name != "additionalProperties" || *value != false));
        if more { "" } else { props::text(below, "type") }
    });
    [types.next(), types.next(), types.next()] == [Some("integer"), Some("string"), None]
}

fn extensions(s: &Props, path: &Path, errors: &mut Errors) {
    if !props::flag(s, "x-kubernetes-int-or-string") {
        return;
    }
    for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if props::flag(s, name) {
            errors.push(Error::invalid(&path.child(name), true, "must be false if x-kubernetes-int-or-string is true"));
        }
    }
}

/// The type that there must be.
fn types(s: &Props, level: Level, path: &Path, errors: &mut Errors) {
    let kind = props::text(s, "type");
    let at = path.child("type");
    let embedded = props::flag(s, "x-kubernetes-embedded-resource");
    let kept = props::flag(s, "x-kubernetes-preserve-unknown-fields");
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if kind.is_empty() { Error::required(&at, why) } else { Error::invalid(&at, kind, why) });
    } else if kind.is_empty() && !kept && !props::flag(s, "x-kubernetes-int-or-string") {
        let place = match level {
            Level::Root => "at the root",
            Level::Item => "for specified array items",
            Level::Field => "for specified object fields",
        };
        errors.push(Error::required(&at, format!("must not be empty {place}")));
    }
    if embedded && props::value(s, "additionalProperties").is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(Error::forbidden(&path.child("additionalProperties"), why));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(Error::invalid(&at, kind, "must be object at the root"));
    }
    if embedded && !kept && props::map(s, "properties").next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(Error::required(&path.child("properties"), why));
    }
}

/// What a schema may say of what every object has.
fn metadata(s: &Props, level: Level, path: &Path, errors: &mut Errors) {
    let Some(properties) = props::schema(s, "properties") else { return };
    let path = path.child("properties");
    let resource = level == Level::Root || props::flag(s, "x-kubernetes-embedded-resource");
    for (name, wanted) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
        let Some(below) = props::schema(properties, name).filter(|_| resource) else { continue };
        let is = props::text(below, "type");
        if is != wanted {
            errors.push(Error::invalid(&path.key(name).child("type"), is, format!("must be {wanted}")));
        }
    }
    let Some(below) = props::schema(properties, "metadata").filter(|_| level == Level::Root) else { return };
    let names = |name: &String| name == "name" || name == "generateName";
    let more = below.iter().any(|(key, value)| match &**key {
        "type" | "default" => false,
        "properties" => value.as_object().is_some_and(|map| !map.is_empty() && !map.keys().all(names)),
        "additionalProperties" => !value.is_null(),
        _ => !crate::structural::is_unset(value),
    });
    if more {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(Error::forbidden(&path.key("metadata"), why));
    }
}

/// What is demanded of values.
fn values(s: &Props, skip_any_of: bool, skip_first_all_of: bool, path: &Path, errors: &mut Errors) {
    for (name, skip) in [("anyOf", skip_any_of), ("allOf", false), ("oneOf", false)] {
        for (index, below) in props::list(s, name).enumerate().filter(|_| !skip) {
            let skip = name == "allOf" && index == 0 && skip_first_all_of;
            nested(below, skip, &path.child(name).index(index), errors);
        }
    }
    if let Some(below) = props::schema(s, "not") {
        nested(below, false, &path.child("not"), errors);
    }
    let pattern = props::text(s, "pattern");
    if !pattern.is_empty()
        && let Err(why) = meta::pattern::compile(pattern)
    {
        let why = format!("must be a valid regular expression, but isn't: {why}");
        errors.push(Error::invalid(&path.child("pattern"), pattern, why));
    }
}

/// Demands below `allOf` and the like say nothing else.
fn nested(s: &Props, skip_any_of: bool, path: &Path, errors: &mut Errors) {
    values(s, skip_any_of, false, path, errors);
    if let Some(items) = props::schema(s, "items") {
        nested(items, false, &path.child("items"), errors);
    }
    for (name, below) in props::map(s, "properties") {
        nested(below, false, &path.child("properties").key(name), errors);
    }
    let mut forbid = |name: &str, why: &str| errors.push(Error::forbidden(&path.child(name), format!("must be {why} to be structural")));
    for name in ["type", "title", "description"] {
        if !props::text(s, name).is_empty() {
            forbid(name, "empty");
        }
    }
    if s.get("additionalProperties").is_some_and(|value| value.is_object() || *value == Value::Bool(true)) {
        forbid("additionalProperties", "undefined");
    }
    for name in ["default", "x-kubernetes-list-type", "x-kubernetes-map-type"] {
        if props::value(s, name).is_some() {
            forbid(name, "undefined");
        }
    }
    for name in ["nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"] {
        if props::flag(s, name) {
            forbid(name, "false");
        }
    }
    for name in ["x-kubernetes-list-map-keys", "x-kubernetes-validations"] {
        if s.get(name).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            forbid(name, "empty");
        }
    }
    if props::map(s, "properties").any(|(name, _)| name == "metadata") {
        let at = path.child("properties").key("metadata");
        errors.push(Error::forbidden(&at, "must not be specified in a nested context"));
    }
}

/// Every place of which something is demanded is described by the schema itself.
fn complete_values(v: &Props, s: Option<&Props>, described: &Path, demanded: &Path, errors: &mut Errors) {
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, below) in props::list(v, name).enumerate() {
            complete(below, s, described, &demanded.child(name).index(index), errors);
        }
    }
    if let Some(below) = props::schema(v, "not") {
        complete(below, s, described, &demanded.child("not"), errors);
    }
}

fn complete(v: &Props, s: Option<&Props>, described: &Path, demanded: &Path, errors: &mut Errors) {
    let missing = |described: &Path, demanded: &Path| Error::required(described, format!("because it is defined in {demanded}"));
    let Some(s) = s else { return errors.push(missing(described, demanded)) };
    complete_values(v, Some(s), described, demanded, errors);
    if let Some(items) = props::schema(v, "items") {
        complete(items, props::schema(s, "items"), &described.child("items"), &demanded.child("items"), errors);
    }
    for (name, below) in props::map(v, "properties") {
        let (described, demanded) = (described.child("properties").key(name), demanded.child("properties").key(name));
        match props::schema(s, "properties").and_then(|properties| props::schema(properties, name)) {
            Some(s) => complete(below, Some(s), &described, &demanded, errors),
            None => errors.push(missing(&described, &demanded)),
        }
    }
}
