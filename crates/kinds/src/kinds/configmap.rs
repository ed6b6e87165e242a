//! ConfigMap.

use meta::field::{Error, Errors, Path};
use meta::{Object, text};
use serde_json::Value;

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME};
use crate::rules::{Column, Rules, age};
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

/// The most bytes that all values of a ConfigMap or Secret may have together.
pub(super) const SIZE_LIMIT: usize = 1 << 20;

static COLUMNS: [Column; 3] = [NAME, crate::print::text("Data", "Number of keys"), AGE];

struct ConfigMap;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "ConfigMap", "configmaps", ConfigMap).short("cm")
}

impl Rules for ConfigMap {
    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let (data, binary) = (View::of(object, "data"), View::of(object, "binaryData"));
        let mut size = 0;
        for (key, value) in data.map() {
            let messages = text::config_map_key(key).into_iter();
            let twice = binary.has(key).then(|| "duplicate of key present in binaryData".to_owned());
            errors.extend(messages.chain(twice).map(|m| Error::invalid(&data.path.key(key), key.as_str(), m)));
            size += value.as_str().map_or(0, str::len);
        }
        for (key, value) in binary.map() {
            let messages = text::config_map_key(key).into_iter();
            errors.extend(messages.map(|m| Error::invalid(&binary.path.key(key), key.as_str(), m)));
            size += value.as_str().map_or(0, decoded_length);
        }
        if size > SIZE_LIMIT {
            errors.push(Error::too_long(&Path::new("[]"), SIZE_LIMIT));
        }
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(frozen(new, old, &["data", "binaryData"]));
        errors.extend(own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix)));
        errors.extend(self.validate(new));
        errors
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let keys = View::of(object, "data").map().len() + View::of(object, "binaryData").map().len();
        vec![object.name().into(), keys.into(), age(object, now).into()]
    }
}

/// What may not change once `immutable` is set.
pub(super) fn frozen(new: &Object, old: &Object, fields: &[&str]) -> Errors {
    if old.bool_at("immutable") != Some(true) {
        return Errors::new();
    }
    let detail = "field is immutable when `immutable` is set";
    let thawed = (new.bool_at("immutable") != Some(true)).then_some("immutable");
    let changed = fields.iter().copied().filter(|f| !crate::tree::same_at(new, old, f));
    thawed.into_iter().chain(changed).map(|f| Error::forbidden(&Path::new(f), detail)).collect()
}

/// The length of what standard base64 encodes.
pub(super) fn decoded_length(base64: &str) -> usize {
    base64.len() / 4 * 3 - base64.bytes().rev().take(2).filter(|b| *b == b'=').count().min(base64.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_frozen_gets_no_empty_text_either() {
        let object = |v| Object::from_value(v).unwrap_or_default();
        let old = object(json!({"immutable": true, "data": {"a": "b"}}));
        let new = object(json!({"immutable": true, "data": {"a": "b", "c": ""}}));
        assert_eq!(frozen(&new, &old, &["data"]).len(), 1);
        assert_eq!(frozen(&old, &old, &["data"]).len(), 0);
    }

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn keys_are_checked_and_frozen() {
        let bad = ConfigMap.validate(&object(json!({"data": {"a b": "x", "c": "y"}, "binaryData": {"c": "eA=="}})));
        let texts: Vec<String> = bad.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
                 (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                "data[c]: Invalid value: \"c\": duplicate of key present in binaryData",
            ]
        );
        let metadata = json!({"name": "a", "namespace": "b", "resourceVersion": "1"});
        let old = object(json!({"metadata": metadata, "immutable": true, "data": {"a": "1"}}));
        let errors = ConfigMap.validate_update(&object(json!({"metadata": metadata, "data": {"a": "2"}})), &old);
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[1].to_string(), "data: Forbidden: field is immutable when `immutable` is set");
        assert_eq!((decoded_length("eA=="), decoded_length("eHg="), decoded_length("")), (1, 2, 0));
    }
}
