//! The volume by which a container reaches the API: token, authority and namespace.

use meta::{Object, random};
use serde_json::{Value, json};

const PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Adds the volume, and a mount to each container that has none at the path. A volume of ours that is
/// there already is used.
pub(super) fn mount(pod: &mut Object) {
    let existing = pod.list_at("spec.volumes").iter().find_map(|v| text(v, "name").strip_prefix(PREFIX));
    let (name, exists) = match existing {
        Some(rest) => (format!("{PREFIX}{rest}"), true),
        None => (random::name_from(PREFIX), false),
    };
    let mut needed = false;
    for list in ["spec.initContainers", "spec.containers"] {
        let Some(Value::Array(containers)) = pod.at_mut(list) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            let mounts = container.entry("volumeMounts").or_insert(Value::Null);
            if mounts.is_null() {
                *mounts = json!([]);
            }
            let Value::Array(mounts) = mounts else { continue };
            if !mounts.iter().any(|mount| text(mount, "mountPath") == MOUNT_PATH) {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH}));
                needed = true;
            }
        }
    }
    if needed && !exists {
        let mut volumes = pod.list_at("spec.volumes").to_vec();
        volumes.push(json!({"name": name, "projected": sources()}));
        pod.set("spec.volumes", volumes);
    }
}

fn sources() -> Value {
    json!({
        "defaultMode": 0o644,
        "sources": [
            // An hour and seven seconds: so long, and the API server knows a client that may not reload its token.
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ],
    })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}
