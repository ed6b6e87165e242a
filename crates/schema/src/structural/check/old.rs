//! Which old value a new one comes from (upstream: `apiserver/pkg/cel/common`, `CorrelatedObject`): fields by their names,
//! elements of lists that are maps by their keys, other elements not at all.

use std::cell::OnceCell;
use std::collections::HashMap;

use serde_json::Value;

use super::Check;

/// A new value and the old one in its place.
pub struct Old<'v> {
    check: &'v Check,
    new: &'v Value,
    old: &'v Value,
    equal: OnceCell<bool>,
    /// Old elements by their keys.
    keyed: OnceCell<HashMap<String, &'v Value>>,
}

impl<'v> Old<'v> {
    /// A new value and the old one in its place: both are held to the same demands.
    pub fn new(check: &'v Check, new: &'v Value, old: &'v Value) -> Old<'v> {
        Old { check, new, old, equal: OnceCell::new(), keyed: OnceCell::new() }
    }

    /// The old value.
    pub fn value(&self) -> &'v Value {
        self.old
    }

    /// Those of a field, if both have it and the schema knows it.
    pub fn key(&self, name: &str) -> Option<Old<'v>> {
        let (new, old) = (self.new.as_object()?.get(name)?, self.old.as_object()?.get(name)?);
        let additional = || self.check.additional.as_ref()?.1.as_ref();
        let check = self.check.properties.get(name).or_else(additional)?;
        Some(Old::new(check, new, old))
    }

    /// Those of an element, if the old list has one of the same keys.
    pub fn index(&self, index: usize) -> Option<Old<'v>> {
        let (new, list) = (self.new.as_array()?.get(index)?, self.old.as_array()?);
        let keys = self.check.map_keys.as_ref().filter(|keys| !keys.is_empty())?;
        let keyed = self.keyed.get_or_init(|| {
            let mut keyed = HashMap::new();
            for old in list {
                if let Some(key) = key(keys, old) {
                    keyed.entry(key).or_insert(old);
                }
            }
            keyed
        });
        let old = keyed.get(&key(keys, new)?)?;
        Some(Old::new(self.check.items.as_ref()?, new, old))
    }

    /// Whether nothing changed. What the schema does not know, and elements that have no keys of their own, count as changed
    /// unless the whole list is the same.
    pub fn is_equal(&self) -> bool {
        *self.equal.get_or_init(|| match (self.new, self.old) {
            (Value::Array(new), Value::Array(old)) => {
                let each = || (0..new.len()).all(|index| self.index(index).is_some_and(|old| old.is_equal()));
                new.len() == old.len() && if self.check.map_keys.is_some() { each() } else { new == old }
            }
            (Value::Object(new), Value::Object(old)) => {
                new.len() == old.len() && new.keys().all(|name| self.key(name).is_some_and(|old| old.is_equal()))
            }
            (new, old) => new == old,
        })
    }
}

/// The values of the keys of an element; `None` if one is missing or is no simple value.
fn key(keys: &[String], element: &Value) -> Option<String> {
    let mut out = String::new();
    for name in keys {
        let value = element.as_object()?.get(name)?;
        if value.is_null() || value.is_array() || value.is_object() {
            return None;
        }
        out.push('\0');
        out.push_str(&value.to_string());
    }
    Some(out)
}
