//! Changes to, and comparisons of, the JSON trees that objects are.

use meta::Object;
use serde_json::{Map, Value};

/// Fields by name.
pub type Fields = Map<String, Value>;

/// Sets a field that is absent or null (upstream: a nil pointer).
pub fn default_absent(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Sets a field that is absent, null, empty or zero (upstream: a zero value).
pub fn default_zero(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    if fields.get(name).is_none_or(is_zero) {
        fields.insert(name.to_owned(), value.into());
    }
}

/// The fields of a present object below.
pub fn child_mut<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    fields.get_mut(name)?.as_object_mut()
}

/// The fields of an object below, made if it is not there.
pub fn child_or_new<'a>(fields: &'a mut Fields, name: &str) -> &'a mut Fields {
    let slot = fields.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    let Value::Object(child) = slot else { unreachable!("made an object above") };
    child
}

/// The objects in a list below.
pub fn each_mut<'a>(fields: &'a mut Fields, name: &str) -> impl Iterator<Item = &'a mut Fields> {
    let list = fields.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Puts `old`'s value in place of `new`'s, also when it is absent.
pub fn restore(new: &mut Object, old: &Object, path: &str) {
    match old.at(path) {
        Some(value) => new.set(path, value.clone()),
        None => {
            new.remove(path);
        }
    }
}

/// What an update of `status` starts with: everything of the old object but `metadata` and `status`.
pub fn only_status(new: &mut Object, old: &Object) {
    let (status, metadata) = (new.remove("status"), new.remove("metadata"));
    let mut fields = old.fields().clone();
    for (name, value) in [("status", status), ("metadata", metadata)] {
        match value {
            Some(value) => fields.insert(name.to_owned(), value),
            None => fields.remove(name),
        };
    }
    *new.fields_mut() = fields;
}

/// What upstream's `ResetObjectMetaForStatus` restores.
pub fn restore_metadata_for_status(new: &mut Object, old: &Object) {
    for name in ["deletionTimestamp", "generation", "selfLink", "labels", "annotations", "finalizers", "ownerReferences"] {
        restore(new, old, &format!("metadata.{name}"));
    }
}

/// Absent, null, empty or zero.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(Value::is_null),
    }
}

/// Upstream's semantic equality: what is absent equals what is null, empty or false, and quantities are
/// not looked at closer (they were made canonical when they were decoded). `name` is that of the field: in a map of
/// texts every text is something.
pub fn same(name: &str, a: Option<&Value>, b: Option<&Value>) -> bool {
    equal(name, a, b, |name, v| !v.is_number() && is_zero(v) || is_no_divisor(name, v))
}

/// The fields that are maps of texts.
const MAPS: [&str; 11] = [
    "annotations", "binaryData", "data", "deprecatedTopology", "labels", "matchLabels", "nodeSelector", "options", "selector",
    "userAnnotations", "volumeAttributes",
];

/// Structs of a pod's specification that are no pointers in upstream: an empty one is like none.
const EMBEDDED: [&str; 5] = ["resources", "preference", "podAffinityTerm", "metadata", "spec"];

/// The same for a part whose fields are pointers in upstream: an empty text, a false flag and a struct without fields
/// are something. (Maps that are empty are gone since they were decoded.)
pub fn same_pointers(a: Option<&Value>, b: Option<&Value>) -> bool {
    equal("", a, b, |name, value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && EMBEDDED.contains(&name),
        value => is_no_divisor(name, value),
    })
}

/// A divisor of nothing is what is printed when there is none.
fn is_no_divisor(name: &str, value: &Value) -> bool {
    name == "divisor" && value == "0"
}

/// `nothing` says whether the value of a field is like none.
fn equal(name: &str, a: Option<&Value>, b: Option<&Value>, nothing: fn(&str, &Value) -> bool) -> bool {
    let of_texts = MAPS.contains(&name);
    let same = |name: &str, a: Option<&Value>, b: Option<&Value>| equal(name, a, b, nothing);
    match (a.filter(|v| !nothing(name, v)), b.filter(|v| !nothing(name, v))) {
        (None, None) => true,
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let entry = |k: &String, v: &Value, other: Option<&Value>| match v {
                Value::String(_) if of_texts => Some(v) == other,
                _ => same(k, Some(v), other),
            };
            a.iter().all(|(k, v)| entry(k, v, b.get(k))) && b.iter().all(|(k, v)| a.contains_key(k) || entry(k, v, None))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same("", Some(a), Some(b)))
        }
        (a, b) => a == b,
    }
}

/// Whether both objects have the same value at a path.
pub fn same_at(new: &Object, old: &Object, path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    same(name, new.at(path), old.at(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sameness_ignores_what_is_empty() {
        assert!(same("", Some(&json!({"a": 1, "b": [], "c": {"d": null}})), Some(&json!({"a": 1, "c": {}}))));
        assert!(!same("", Some(&json!({"a": 0})), Some(&json!({}))));
        assert!(!same("", Some(&json!([1, 2])), Some(&json!([2, 1]))));
        let (flag, none) = (json!({"x": 1, "a": false, "b": []}), json!({"x": 1}));
        assert!(same("", Some(&flag), Some(&none)) && !same_pointers(Some(&flag), Some(&none)));
        assert!(same_pointers(Some(&json!({"x": 1, "a": null, "b": [], "resources": {}})), Some(&none)));
        assert!(!same_pointers(Some(&json!({"x": 1, "namespaceSelector": {}})), Some(&none)));
        assert!(same_pointers(Some(&json!({"x": 1, "divisor": "0"})), Some(&none)));
        assert!(!same_pointers(Some(&json!({"x": 1, "divisor": "1"})), Some(&none)));
    }

    #[test]
    fn an_empty_text_is_something_in_a_map() {
        let object = |v| Object::from_value(v).unwrap_or_default();
        let new = object(json!({"metadata": {"annotations": {"a": ""}}, "spec": {"nodeSelector": {"a": "", "b": "c"}, "host": ""}}));
        let old = object(json!({"metadata": {"annotations": {}}, "spec": {"nodeSelector": {"b": "c"}}}));
        for path in ["metadata.annotations", "metadata", "spec", "spec.nodeSelector"] {
            assert!(!same_at(&new, &old, path) && !same_at(&old, &new, path) && same_at(&new, &new, path), "{path}");
        }
        assert!(same_at(&new, &old, "spec.host"));
    }

    /// Every map of texts is on the list.
    #[test]
    fn the_maps_are_known() {
        let mut seen = std::collections::HashSet::new();
        let mut maps = std::collections::BTreeSet::new();
        let kinds = crate::all();
        let mut left: Vec<&schema::Type> = kinds.iter().map(|kind| kind.schema.root()).collect();
        while let Some(t) = left.pop() {
            if !seen.insert(std::ptr::from_ref(t)) {
                continue;
            }
            for field in &t.fields {
                match &field.shape.kind {
                    schema::Kind::Map { value, .. } if matches!(value.kind, schema::Kind::String | schema::Kind::Bytes) => {
                        maps.insert(&*field.name);
                    }
                    schema::Kind::List { item: inner, .. } | schema::Kind::Map { value: inner, .. } => left.extend(inner.fields()),
                    _ => left.extend(field.shape.fields()),
                }
            }
        }
        // What is sent and not kept.
        maps.remove("stringData");
        assert_eq!(maps.into_iter().collect::<Vec<_>>(), MAPS);
    }

    #[test]
    fn a_status_update_changes_the_status_alone() {
        let object = |v| Object::from_value(v).unwrap_or_default();
        let old = object(json!({"metadata": {"name": "a"}, "spec": {"x": 1}, "status": {"y": 1}}));
        let mut new = object(json!({"metadata": {"name": "a"}, "spec": {"x": 2}, "status": {"y": 2}}));
        only_status(&mut new, &old);
        assert_eq!(new.into_value(), json!({"metadata": {"name": "a"}, "spec": {"x": 1}, "status": {"y": 2}}));
    }
}
