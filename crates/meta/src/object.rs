//! An API object as the server handles it: a JSON tree behind accessors.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::names::{Gvk, Key};

/// One API object. Always a JSON object at its root. Unknown fields survive;
/// dropping them is the schema's decision, not this type's.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Wraps a tree; anything but a JSON object at the root is handed back.
    pub fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Object(map) => Ok(Object(map)),
            other => Err(other),
        }
    }

    /// Builds an object from a typed struct (`k8s-openapi`).
    pub fn from_typed<T: Serialize>(typed: &T) -> Result<Self, serde_json::Error> {
        match serde_json::to_value(typed)? {
            Value::Object(map) => Ok(Object(map)),
            other => Err(serde::ser::Error::custom(format!("not an object: {other}"))),
        }
    }

    /// The object as a typed struct. Reads without cloning the tree.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.0)
    }

    /// The fields at the root.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The fields at the root, to change.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// Gives the tree away.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The value at a dotted path of plain field names (`spec.template.spec`). No list indexes.
    pub fn at(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let mut value = self.0.get(parts.next()?)?;
        for part in parts {
            value = value.as_object()?.get(part)?;
        }
        Some(value)
    }

    /// The same, to change. `None` when a step is absent.
    pub fn at_mut(&mut self, path: &str) -> Option<&mut Value> {
        let mut parts = path.split('.');
        let mut value = self.0.get_mut(parts.next()?)?;
        for part in parts {
            value = value.as_object_mut()?.get_mut(part)?;
        }
        Some(value)
    }

    /// The string at a path; `""` when absent, null or not a string.
    pub fn str_at(&self, path: &str) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or("")
    }

    /// The integer at a path.
    pub fn i64_at(&self, path: &str) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }

    /// The boolean at a path.
    pub fn bool_at(&self, path: &str) -> Option<bool> {
        self.at(path).and_then(Value::as_bool)
    }

    /// The list at a path; empty when absent.
    pub fn list_at(&self, path: &str) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Sets the value at a path and makes the objects on the way. A non-object on
    /// the way is replaced.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) {
        let (parents, leaf) = path.rsplit_once('.').map_or((None, path), |(p, l)| (Some(p), l));
        self.map_or_insert(parents).insert(leaf.to_owned(), value.into());
    }

    /// Sets the value at a path if there is none (absent or null).
    pub fn set_default(&mut self, path: &str, value: impl Into<Value>) {
        if self.at(path).is_none_or(Value::is_null) {
            self.set(path, value);
        }
    }

    /// Removes and returns the value at a path.
    pub fn remove(&mut self, path: &str) -> Option<Value> {
        match path.rsplit_once('.') {
            None => self.0.remove(path),
            Some((parent, leaf)) => self.at_mut(parent)?.as_object_mut()?.remove(leaf),
        }
    }

    fn map_or_insert(&mut self, path: Option<&str>) -> &mut Map<String, Value> {
        let mut map = &mut self.0;
        for part in path.into_iter().flat_map(|p| p.split('.')) {
            let slot = map.entry(part).or_insert(Value::Null);
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(next) = slot else { unreachable!("made an object above") };
            map = next;
        }
        map
    }

    /// `apiVersion`, or empty.
    pub fn api_version(&self) -> &str {
        self.str_at("apiVersion")
    }

    /// `kind`, or empty.
    pub fn kind(&self) -> &str {
        self.str_at("kind")
    }

    /// Group, version and kind from the type fields.
    pub fn gvk(&self) -> Gvk {
        Gvk::from_api_version(self.api_version(), self.kind())
    }

    /// Sets `apiVersion` and `kind`.
    pub fn set_gvk(&mut self, gvk: &Gvk) {
        self.set("apiVersion", gvk.api_version());
        self.set("kind", &*gvk.kind);
    }

    /// `metadata.name`, or empty.
    pub fn name(&self) -> &str {
        self.str_at("metadata.name")
    }

    /// `metadata.namespace`, or empty.
    pub fn namespace(&self) -> &str {
        self.str_at("metadata.namespace")
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    /// `metadata.uid`, or empty.
    pub fn uid(&self) -> &str {
        self.str_at("metadata.uid")
    }

    /// `metadata.resourceVersion`, or empty.
    pub fn resource_version(&self) -> &str {
        self.str_at("metadata.resourceVersion")
    }

    /// `metadata.generation`, or 0.
    pub fn generation(&self) -> i64 {
        self.i64_at("metadata.generation").unwrap_or(0)
    }

    /// `metadata.deletionTimestamp`, if the object is being deleted.
    pub fn deletion_timestamp(&self) -> Option<&str> {
        self.at("metadata.deletionTimestamp").and_then(Value::as_str)
    }

    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.at("metadata.labels")?.as_object()?.get(key)?.as_str()
    }

    /// All labels.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        string_map(self.at("metadata.labels"))
    }

    /// One annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.at("metadata.annotations")?.as_object()?.get(key)?.as_str()
    }

    /// All finalizers.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.list_at("metadata.finalizers").iter().filter_map(Value::as_str)
    }
}

/// The string entries of a JSON object.
pub fn string_map(value: Option<&Value>) -> impl Iterator<Item = (&str, &str)> {
    value.and_then(Value::as_object).into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_made_read_and_removed() {
        let mut o = Object::default();
        o.set("metadata.name", "a");
        o.set_default("metadata.name", "b");
        o.set_default("spec.replicas", 1);
        assert_eq!(o.clone().into_value(), json!({"metadata": {"name": "a"}, "spec": {"replicas": 1}}));
        assert_eq!(o.remove("spec.replicas"), Some(json!(1)));
        assert_eq!(o.i64_at("spec.replicas"), None);
        assert_eq!(o.remove("status.x"), None);
    }

    #[test]
    fn only_objects_are_objects() {
        assert_eq!(Object::from_value(json!([1])), Err(json!([1])));
    }
}
