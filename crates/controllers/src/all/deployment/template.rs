//! Pod templates: their hash, and whether two are the same.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

/// The label that tells the ReplicaSets, and their pods, of one Deployment apart.
pub const HASH: &str = "pod-template-hash";

/// A short name of a template: deterministic, and safe in names. `collisions` makes another one of the
/// same template.
pub fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut sum: u32 = 0x811c_9dc5;
    let mut add = |bytes: &[u8]| bytes.iter().for_each(|b| sum = (sum ^ u32::from(*b)).wrapping_mul(0x0100_0193));
    add(canonical(template).to_string().as_bytes());
    if let Some(collisions) = collisions {
        add(&collisions.to_le_bytes());
    }
    meta::random::safe_encode(&sum.to_string())
}

/// Whether templates ask for the same pods as this one, whatever the hash label says.
pub fn same_as(wanted: &PodTemplateSpec) -> impl Fn(&PodTemplateSpec) -> bool {
    let wanted = canonical(wanted);
    move |other| canonical(other) == wanted
}

/// As JSON, without the hash label, and without the lists and string maps that are empty: they mean the
/// same as absent ones.
fn canonical(template: &PodTemplateSpec) -> Value {
    let mut value = serde_json::to_value(template).unwrap_or_else(|_| unreachable!("typed objects have string keys"));
    if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    prune(&mut value);
    value
}

const MAPS: &[&str] = &["labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests", "overhead", "data"];

fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|key, value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(inner) => !inner.is_empty() || (!MAPS.contains(&key.as_str()) && key != "metadata"),
                _ => true,
            });
            // One order, whatever the map type that serde_json was built with.
            map.sort_keys();
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(value: Value) -> PodTemplateSpec {
        serde_json::from_value(value).expect("a template")
    }

    #[test]
    fn ignores_the_hash_and_emptiness() {
        let spec = json!({"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}]});
        let a = template(json!({"metadata": {"labels": {"app": "x"}}, "spec": spec}));
        let b = template(json!({"metadata": {"labels": {"app": "x", HASH: "h"}, "annotations": {}}, "spec": spec}));
        assert!(same_as(&a)(&b));
        assert_eq!(hash(&a, None), hash(&b, None));
        assert_ne!(hash(&a, None), hash(&a, Some(1)));
        let mut c = a.clone();
        c.spec.as_mut().expect("there").volumes = Some(vec![Default::default()]);
        assert!(!same_as(&a)(&c));
    }
}
