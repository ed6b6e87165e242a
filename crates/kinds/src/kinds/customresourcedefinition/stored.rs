//! The form in which definitions are stored: JSON of `apiextensions.k8s.io/v1beta1`, as upstream stores them to this day
//! (`pkg/apis/apiextensions/v1beta1`, `v1/conversion.go`). There, what all versions have in common stands once.

use meta::Object;
use serde_json::{Map, Value};

use crate::tree::{child_mut, child_or_new, each_mut};

const STORED: &str = "apiextensions.k8s.io/v1beta1";
const SERVED: &str = "apiextensions.k8s.io/v1";

/// What a version has for itself, and what it is called where all have it in common.
const COMMON: [(&str, &str); 4] = [
    ("schema", "validation"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

type Fields = Map<String, Value>;

/// A definition as it is stored.
pub fn to_stored(object: &Object) -> Object {
    let mut stored = object.clone();
    stored.set("apiVersion", STORED);
    let Some(spec) = stored.at_mut("spec").and_then(Value::as_object_mut) else { return stored };
    each_mut(spec, "versions").for_each(|version| rename(version, "jsonPath", "JSONPath"));
    for (own, common) in COMMON {
        hoist(spec, own, common);
    }
    if let Some(first) = spec.get("versions").and_then(|versions| versions.get(0)?.get("name")).cloned() {
        spec.insert("version".to_owned(), first);
    }
    spec.entry("preserveUnknownFields").or_insert(Value::Bool(false));
    if let Some(conversion) = child_mut(spec, "conversion")
        && let Some(Value::Object(mut webhook)) = conversion.remove("webhook")
    {
        let client = webhook.remove("clientConfig").map(|client| ("webhookClientConfig".to_owned(), client));
        let versions = webhook.remove("conversionReviewVersions");
        conversion.extend(client.into_iter().chain(versions.map(|v| ("conversionReviewVersions".to_owned(), v))));
    }
    stored
}

/// A stored definition as it is served; one that is stored in that form already stays as it is.
pub fn from_stored(mut object: Object) -> Object {
    if object.api_version() != STORED {
        return object;
    }
    object.set("apiVersion", SERVED);
    let Some(spec) = object.at_mut("spec").and_then(Value::as_object_mut) else { return object };
    let name = spec.remove("version");
    let versions = spec.entry("versions").or_insert(Value::Null);
    if let (true, Some(name)) = (versions.as_array().is_none_or(Vec::is_empty), name) {
        *versions = serde_json::json!([{"name": name, "served": true, "storage": true}]);
    }
    for (own, common) in COMMON {
        if let Some(value) = spec.remove(common) {
            for version in each_mut(spec, "versions") {
                version.entry(own).or_insert_with(|| value.clone());
            }
        }
    }
    each_mut(spec, "versions").for_each(|version| rename(version, "JSONPath", "jsonPath"));
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    if let Some(conversion) = child_mut(spec, "conversion") {
        let names = [("webhookClientConfig", "clientConfig"), ("conversionReviewVersions", "conversionReviewVersions")];
        let found: Vec<_> = names.iter().filter_map(|(from, to)| Some(((*to).to_owned(), conversion.remove(*from)?))).collect();
        if !found.is_empty() {
            child_or_new(conversion, "webhook").extend(found);
        }
    }
    object
}

/// Moves what all versions have alike to where it stands once.
fn hoist(spec: &mut Fields, own: &str, common: &str) {
    let versions = spec.get("versions").and_then(Value::as_array);
    let mut values = versions.into_iter().flatten().map(|version| version.get(own));
    let Some(Some(first)) = values.next() else { return };
    if values.any(|other| other != Some(first)) {
        return;
    }
    let value = first.clone();
    each_mut(spec, "versions").for_each(|version| drop(version.remove(own)));
    spec.insert(common.to_owned(), value);
}

/// The columns of the two forms name their paths differently.
fn rename(version: &mut Fields, from: &str, to: &str) {
    for column in each_mut(version, "additionalPrinterColumns") {
        if let Some(path) = column.remove(from) {
            column.insert(to.to_owned(), path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(spec: Value) -> Object {
        Object::from_value(json!({"apiVersion": SERVED, "kind": "CustomResourceDefinition", "metadata": {"name": "a"}, "spec": spec}))
            .unwrap_or_default()
    }

    #[test]
    fn what_all_versions_have_in_common_stands_once() {
        let schema = json!({"openAPIV3Schema": {"type": "object"}});
        let columns = json!([{"name": "A", "type": "string", "jsonPath": ".a"}]);
        let one = json!({"name": "v1", "served": true, "storage": true, "schema": schema, "additionalPrinterColumns": columns});
        let hook = json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x"}, "conversionReviewVersions": ["v1"]}});
        let single = definition(json!({"versions": [one], "conversion": hook}));
        let stored = to_stored(&single);
        assert_eq!(stored.at("spec.validation"), Some(&schema));
        assert_eq!(stored.at("spec.versions"), Some(&json!([{"name": "v1", "served": true, "storage": true}])));
        assert_eq!(stored.at("spec.additionalPrinterColumns"), Some(&json!([{"name": "A", "type": "string", "JSONPath": ".a"}])));
        assert_eq!((stored.str_at("spec.version"), stored.bool_at("spec.preserveUnknownFields")), ("v1", Some(false)));
        assert_eq!(stored.at("spec.conversion.webhookClientConfig.url"), Some(&json!("https://x")));
        assert_eq!(from_stored(stored), single);
        let mut other = one.clone();
        other["name"] = json!("v2");
        other["schema"] = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let two = definition(json!({"versions": [one, other]}));
        let stored = to_stored(&two);
        assert_eq!(stored.at("spec.validation"), None, "they differ");
        assert!(stored.at("spec.additionalPrinterColumns").is_some());
        assert_eq!(from_stored(stored), two);
        assert_eq!(from_stored(two.clone()), two);
    }
}
