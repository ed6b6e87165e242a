//! JSON merge patch as upstream's library does it (`gopkg.in/evanphx/json-patch.v4`, `MergePatch`).

use serde_json::{Map, Value};

/// Changes a document as the patch says: null takes a field away.
pub fn merge(document: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, mut value) in patch {
        if value.is_null() {
            document.remove(&name);
            continue;
        }
        match (document.get_mut(&name), &mut value) {
            (Some(Value::Object(present)), Value::Object(patch)) => {
                merge(present, std::mem::take(patch));
                continue;
            }
            // Nulls stay in a list that takes the place of a map.
            (Some(Value::Object(_)), _) => {}
            (_, value) => prune(value),
        }
        document.insert(name, value);
    }
}

/// Takes the nulls out of maps, also of those in lists, where the standard would keep them.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_go_but_from_lists_in_the_place_of_maps() {
        let mut document = json!({"a": {"b": 1, "c": 2}, "d": 3, "e": {"f": 1}, "g": null});
        let patch = json!({"a": {"b": null, "x": {"y": null}}, "d": [{"z": null}, null], "e": [{"z": null}], "g": {"h": null}});
        let (Value::Object(fields), Value::Object(patch)) = (&mut document, patch) else { panic!("maps") };
        merge(fields, patch);
        assert_eq!(document, json!({"a": {"c": 2, "x": {}}, "d": [{}, null], "e": [{"z": null}], "g": {}}));
    }
}
