//! Objects within a custom resource (upstream: `apiserver/schema/objectmeta/validation.go`).

use meta::field::{Error, Errors, Path};
use meta::{Object, text};
use serde_json::{Map, Value};

use crate::validate::metadata;

/// What is wrong with the kind and the metadata of an object within a custom resource.
pub fn embedded(path: &Path, map: &Map<String, Value>) -> Errors {
    let mut errors = Errors::new();
    for name in ["apiVersion", "kind"] {
        let at = path.child(name);
        let Some(value) = map.get(name) else {
            errors.push(Error::required(&at, ""));
            continue;
        };
        match value.as_str() {
            None => errors.push(Error::invalid(&at, value.clone(), "must be a string")),
            Some("") => errors.push(Error::invalid(&at, "", "must not be empty")),
            Some(text) => errors.extend(wrong_name(name, text).map(|why| Error::invalid(&at, text, why))),
        }
    }
    if let Some(own) = map.get("metadata").filter(|own| own.is_object()) {
        let mut object = Object::default();
        object.set("metadata", own.clone());
        if object.name().is_empty() {
            object.set("metadata.name", "fakename");
        }
        let namespaced = !object.namespace().is_empty();
        let wrong = metadata(&object, namespaced, &text::path_segment);
        errors.extend(wrong.into_iter().map(|error| Error { path: path.child(&error.path.to_string()), ..error }));
    }
    errors
}

fn wrong_name(name: &str, text: &str) -> Option<String> {
    if name == "apiVersion" {
        return (text.matches('/').count() > 1).then(|| format!("unexpected GroupVersion string: {text}"));
    }
    let wrong = text::dns1035_label(&text.to_lowercase(), false);
    (!wrong.is_empty()).then(|| format!("may have mixed case, but should otherwise match: {}", wrong.join(",")))
}
