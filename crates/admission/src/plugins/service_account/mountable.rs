//! An account may say that its pods use only the secrets that it lists.

use std::collections::HashSet;

use meta::Object;
use serde_json::Value;

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

/// Checks the pod's secrets (of its ephemeral containers alone, when they are what changes). The error is
/// upstream's text.
pub(super) fn check(account: &Object, pod: &Object, ephemeral: bool) -> Result<(), String> {
    if !matches!(account.annotation(ENFORCE), Some("true" | "True" | "TRUE" | "t" | "T" | "1")) {
        return Ok(());
    }
    let allowed: HashSet<&str> = names(account.list_at("secrets")).collect();
    let by = format!("is not allowed because service account {} does not reference that", account.name());
    if ephemeral {
        return containers(pod, "spec.ephemeralContainers", "ephemeral container", &allowed, &by);
    }
    for volume in pod.list_at("spec.volumes") {
        let Some(source) = volume.get("secret").filter(|s| s.is_object()) else { continue };
        let secret = text(source, "/secretName");
        if !allowed.contains(secret) {
            return Err(format!("volume with secret.secretName=\"{secret}\" {by} secret"));
        }
    }
    containers(pod, "spec.initContainers", "init container", &allowed, &by)?;
    containers(pod, "spec.containers", "container", &allowed, &by)?;
    let pull: HashSet<&str> = names(account.list_at("imagePullSecrets")).collect();
    for (index, secret) in names(pod.list_at("spec.imagePullSecrets")).enumerate() {
        if !pull.contains(secret) {
            return Err(format!("imagePullSecrets[{index}].name=\"{secret}\" {by} imagePullSecret"));
        }
    }
    Ok(())
}

fn containers(pod: &Object, list: &str, sort: &str, allowed: &HashSet<&str>, by: &str) -> Result<(), String> {
    for container in pod.list_at(list) {
        let name = text(container, "/name");
        for variable in items(container, "env") {
            let Some(secret) = variable.pointer("/valueFrom/secretKeyRef").map(|s| text(s, "/name")) else { continue };
            if !allowed.contains(secret) {
                let variable = text(variable, "/name");
                return Err(format!(
                    "{sort} {name} with envVar {variable} referencing secret.secretName=\"{secret}\" {by} secret"
                ));
            }
        }
        for source in items(container, "envFrom") {
            let Some(secret) = source.pointer("/secretRef").map(|s| text(s, "/name")) else { continue };
            if !allowed.contains(secret) {
                return Err(format!(
                    "{sort} {name} with envFrom referencing secret.secretName=\"{secret}\" {by} secret"
                ));
            }
        }
    }
    Ok(())
}

fn names(list: &[Value]) -> impl Iterator<Item = &str> {
    list.iter().map(|entry| text(entry, "/name"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}
