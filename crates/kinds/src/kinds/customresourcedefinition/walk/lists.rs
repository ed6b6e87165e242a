//! Lists that are sets or maps: what their elements and keys must be.

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use serde_json::{Value, json};

use super::super::definition::Props;
use super::super::printed;
use super::{LIST_TYPE, MAP_KEYS, MAP_TYPE, Walk, each, flag, given, text};

impl Walk<'_> {
    /// The type of a list.
    pub(super) fn lists(&mut self, schema: &Props, path: &Path) {
        let kind = text(schema, "type");
        let Some(list_type) = given(schema, LIST_TYPE).and_then(Value::as_str) else { return };
        if kind != "array" {
            self.of_type(kind, "array", LIST_TYPE, path);
        } else if self.demands.atomic_sets && is_loose_set(schema) {
            let items = schema.get("items").and_then(Value::as_object);
            let list = items.is_some_and(|items| text(items, "type") == "array");
            let at = path.child("items").child(if list { LIST_TYPE } else { MAP_TYPE });
            // Upstream shows the type of the list in both cases.
            let shown = items.and_then(|items| given(items, LIST_TYPE)).cloned().unwrap_or_default();
            self.push(Error::invalid(&at, shown, "must be atomic as item of a list with x-kubernetes-list-type=set"));
        }
        if !["atomic", "set", "map"].contains(&list_type) {
            self.push(Error::not_supported(&path.child(LIST_TYPE), list_type, &["atomic", "set", "map"]));
        }
    }

    /// The keys of a list that is a map.
    pub(super) fn keys(&mut self, schema: &Props, path: &Path) {
        let keys = each(schema, MAP_KEYS);
        let list_type = given(schema, LIST_TYPE).and_then(Value::as_str);
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        match list_type {
            _ if keys.is_empty() => {}
            None => self.push(Error::required(&path.child(LIST_TYPE), why)),
            Some("map") => {}
            Some(other) => self.push(Error::invalid(&path.child(LIST_TYPE), other, why)),
        }
        if list_type == Some("map") {
            if keys.is_empty() {
                self.push(Error::required(&path.child(MAP_KEYS), "must not be empty if x-kubernetes-list-type is map"));
            }
            self.keyed(schema, keys, path);
        }
        if self.demands.map_keys {
            loose_keys(schema, path, self.errors);
        }
    }

    fn keyed(&mut self, schema: &Props, keys: &[Value], path: &Path) {
        let at = path.child("items");
        let items = match given(schema, "items") {
            None => return self.push(Error::required(&at, "must have a schema if x-kubernetes-list-type is map")),
            Some(Value::Object(items)) => items,
            Some(other) => {
                let error = Error::invalid(&at, "", "must only have a single schema if x-kubernetes-list-type is map");
                return self.push(error.showing(printed::items(other)));
            }
        };
        let kind = text(items, "type");
        if kind != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            return self.push(Error::invalid(&at.child("type"), kind, why));
        }
        let mut known = HashSet::new();
        for key in keys.iter().filter_map(Value::as_str) {
            let property = items.get("properties").and_then(|properties| properties.get(key)).and_then(Value::as_object);
            match property.map(|property| text(property, "type")) {
                Some("array" | "object") => {
                    let at = at.child("properties").key(key).child("type");
                    self.push(Error::invalid(&at, kind, "must be a scalar type if parent array's x-kubernetes-list-type is map"));
                }
                Some(_) => {}
                None => self.push(Error::invalid(&path.child(MAP_KEYS), json!(keys), "entries must all be names of item properties")),
            }
            if !known.insert(key) {
                self.push(Error::invalid(&path.child(MAP_KEYS), json!(keys), "must not contain duplicate entries"));
            }
        }
    }
}

/// A set whose elements are not taken as a whole.
pub fn is_loose_set(schema: &Props) -> bool {
    let Some(items) = schema.get("items").and_then(Value::as_object).filter(|_| text(schema, LIST_TYPE) == "set") else { return false };
    match text(items, "type") {
        "array" => given(items, LIST_TYPE).is_some_and(|list_type| *list_type != "atomic"),
        "object" => given(items, MAP_TYPE).is_none_or(|map_type| *map_type != "atomic"),
        _ => false,
    }
}

/// A list whose elements or their keys may be missing or null.
pub fn is_loose_keys(schema: &Props) -> bool {
    let mut errors = Errors::new();
    loose_keys(schema, &Path::default(), &mut errors);
    !errors.is_empty()
}

fn loose_keys(schema: &Props, path: &Path, errors: &mut Errors) {
    let list_type = text(schema, LIST_TYPE);
    let Some(items) = schema.get("items").and_then(Value::as_object) else { return };
    if !matches!(list_type, "set" | "map") {
        return;
    }
    let path = path.child("items");
    if flag(items, "nullable") {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(Error::forbidden(&path.child("nullable"), why));
    }
    let all: HashSet<&str> = each(items, "required").iter().filter_map(Value::as_str).collect();
    let keys = each(schema, MAP_KEYS).iter().filter(|_| list_type == "map").filter_map(Value::as_str);
    for key in keys {
        let Some(property) = items.get("properties").and_then(|map| map.get(key)).and_then(Value::as_object) else { continue };
        let at = path.child("properties").key(key);
        let this = "this property is in x-kubernetes-list-map-keys, so it";
        if !all.contains(key) && given(property, "default").is_none() {
            errors.push(Error::required(&at.child("default"), format!("{this} must have a default or be a required property")));
        }
        if flag(property, "nullable") {
            errors.push(Error::forbidden(&at.child("nullable"), format!("{this} cannot be nullable")));
        }
    }
}
