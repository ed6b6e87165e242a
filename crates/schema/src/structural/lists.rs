//! Lists that are sets or maps have nothing twice (upstream: `apiserver/schema/listtype`).

use std::collections::HashMap;

use meta::field::{Error, Errors, Path};
use serde_json::{Map, Value};

use super::{Node, shown};
use crate::encode;
use crate::model::{ListType, Others, Type};

/// What is in a list twice, anywhere in a value.
pub fn validate(root: &Type, path: &Path, value: &Value) -> Errors {
    let mut errors = Errors::new();
    if let Value::Object(map) = value {
        of_map(root, path, map, &mut errors);
    }
    errors
}

fn of_map(t: &Type, path: &Path, map: &Map<String, Value>, errors: &mut Errors) {
    for (name, value) in map {
        match (t.field(name), &t.others) {
            (Some((_, field)), _) => below(field.shape.node.as_deref(), &path.child(name), value, errors),
            (None, Others::Each(shape)) => below(shape.node.as_deref(), &path.key(name), value, errors),
            (None, _) => {}
        }
    }
}

fn below(node: Option<&Node>, path: &Path, value: &Value, errors: &mut Errors) {
    let Some(node) = node else { return };
    match value {
        Value::Object(map) => of_map(&node.fields, path, map, errors),
        Value::Array(list) => {
            match node.list_type {
                Some(ListType::Set) => errors.extend(twice(list.iter()).map(|at| duplicate(&path.index(at), &list[at]))),
                Some(ListType::Map) => keyed(node, path, list, errors),
                _ => {}
            }
            for (index, value) in list.iter().enumerate() {
                below(node.element().map(|node| &**node), &path.index(index), value, errors);
            }
        }
        _ => {}
    }
}

fn duplicate(path: &Path, value: &Value) -> Error {
    Error::duplicate(path, value.clone()).showing(shown(value))
}

/// Where there is something that was there once before. What comes a third time is not told again.
fn twice<'v>(values: impl Iterator<Item = &'v Value>) -> impl Iterator<Item = usize> {
    let mut times: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut found = Vec::new();
    for (index, value) in values.enumerate() {
        let mut known = encode::plain(value);
        // To Go, 1 and 1.0 are two values, but not within maps and lists.
        known.push(u8::from(value.is_f64()));
        let times = times.entry(known).or_default();
        *times += 1;
        if *times == 2 {
            found.push(index);
        }
    }
    found.into_iter()
}

fn keyed(node: &Node, path: &Path, list: &[Value], errors: &mut Errors) {
    if let Some((index, wrong)) = list.iter().enumerate().find(|(_, value)| !value.is_object() && !value.is_null()) {
        let why = "must be an object for an array of list-type map";
        return errors.push(Error::invalid(&path.index(index), wrong.clone(), why).showing(shown(wrong)));
    }
    let single = node.map_keys.len() == 1;
    let keys: Vec<Value> = list
        .iter()
        .map(|element| {
            let has = |key: &str| element.get(key).map(|value| (key.to_owned(), value.clone()));
            Value::Object(node.map_keys.iter().filter_map(|key| has(key)).collect())
        })
        .collect();
    // With one key, upstream compares the values themselves.
    let nothing = Value::Object(Map::new());
    let compared = keys.iter().map(|key| key.as_object().and_then(|map| map.values().next()).filter(|_| single).unwrap_or(key));
    let compared: Vec<&Value> = compared.map(|value| if value.as_object().is_some_and(Map::is_empty) { &nothing } else { value }).collect();
    errors.extend(twice(compared.into_iter()).map(|at| duplicate(&path.index(at), &keys[at])));
}
