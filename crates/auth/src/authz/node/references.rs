//! The names that a pod or a volume mentions (upstream: `pkg/api/v1/pod`, `pkg/api/v1/persistentvolume`).

use meta::{Key, Object};
use serde_json::Value;

use super::graph::Kind;

/// Everything that the pod leads to its node: itself and what it refers to. A mirror pod gives no
/// access to anything: the node itself made it.
pub(super) fn led_by_pod(pod: &Object) -> Vec<(Kind, Key)> {
    let mut found = vec![(Kind::Pod, pod.key())];
    if pod.annotation("kubernetes.io/config.mirror").is_none() {
        found.extend(of_pod(pod));
    }
    found
}

/// The objects that the pod refers to, each once.
pub fn of_pod(pod: &Object) -> Vec<(Kind, Key)> {
    let mut found = Vec::new();
    let mut add = |kind: Kind, name: &str| {
        let vertex = (kind, Key::new(pod.namespace(), name));
        if !name.is_empty() && !found.contains(&vertex) {
            found.push(vertex);
        }
    };
    add(Kind::ServiceAccount, pod.str_at("spec.serviceAccountName"));
    pod.list_at("spec.imagePullSecrets").iter().for_each(|s| add(Kind::Secret, text(s, "/name")));
    for list in ["spec.initContainers", "spec.containers", "spec.ephemeralContainers"] {
        pod.list_at(list).iter().for_each(|container| of_container(container, &mut add));
    }
    for volume in pod.list_at("spec.volumes") {
        of_volume(volume, pod.name(), &mut add);
    }
    of_claims(pod, &mut add);
    found
}

fn of_container(container: &Value, add: &mut impl FnMut(Kind, &str)) {
    for source in items(container, "/envFrom") {
        add(Kind::Secret, text(source, "/secretRef/name"));
        add(Kind::ConfigMap, text(source, "/configMapRef/name"));
    }
    for variable in items(container, "/env") {
        add(Kind::Secret, text(variable, "/valueFrom/secretKeyRef/name"));
        add(Kind::ConfigMap, text(variable, "/valueFrom/configMapKeyRef/name"));
    }
}

/// Where a volume source in a pod names a secret.
const SECRETS: &[&str] = &[
    "/secret/secretName",
    "/azureFile/secretName",
    "/cephfs/secretRef/name",
    "/cinder/secretRef/name",
    "/flexVolume/secretRef/name",
    "/rbd/secretRef/name",
    "/scaleIO/secretRef/name",
    "/iscsi/secretRef/name",
    "/storageos/secretRef/name",
    "/csi/nodePublishSecretRef/name",
];

fn of_volume(volume: &Value, pod: &str, add: &mut impl FnMut(Kind, &str)) {
    SECRETS.iter().for_each(|path| add(Kind::Secret, text(volume, path)));
    add(Kind::ConfigMap, text(volume, "/configMap/name"));
    for source in items(volume, "/projected/sources") {
        add(Kind::Secret, text(source, "/secret/name"));
        add(Kind::ConfigMap, text(source, "/configMap/name"));
    }
    add(Kind::Claim, text(volume, "/persistentVolumeClaim/claimName"));
    if volume.get("ephemeral").is_some_and(Value::is_object) {
        add(Kind::Claim, &format!("{pod}-{}", text(volume, "/name")));
    }
}

fn of_claims(pod: &Object, add: &mut impl FnMut(Kind, &str)) {
    let made = pod.list_at("status.resourceClaimStatuses");
    for claim in pod.list_at("spec.resourceClaims") {
        add(Kind::ResourceClaim, text(claim, "/resourceClaimName"));
        if !text(claim, "/resourceClaimTemplateName").is_empty() {
            let status = made.iter().find(|s| text(s, "/name") == text(claim, "/name"));
            add(Kind::ResourceClaim, status.map_or("", |s| text(s, "/resourceClaimName")));
        }
    }
    add(Kind::ResourceClaim, pod.str_at("status.extendedResourceClaimStatus.resourceClaimName"));
}

/// Where a volume names a secret that the kubelet reads; the namespace is beside the name, or the claim's.
const VOLUME_SECRETS: &[(&str, &str, &str)] = &[
    ("/azureFile", "secretName", "secretNamespace"),
    ("/cephfs/secretRef", "name", "namespace"),
    ("/cinder/secretRef", "name", "namespace"),
    ("/flexVolume/secretRef", "name", "namespace"),
    ("/rbd/secretRef", "name", "namespace"),
    ("/scaleIO/secretRef", "name", "namespace"),
    ("/iscsi/secretRef", "name", "namespace"),
    ("/storageos/secretRef", "name", "namespace"),
    ("/csi/nodePublishSecretRef", "name", "namespace"),
    ("/csi/nodeStageSecretRef", "name", "namespace"),
    ("/csi/nodeExpandSecretRef", "name", "namespace"),
];

/// The secrets through which a bound volume is mounted.
pub(super) fn secrets_of_volume(volume: &Object) -> Vec<Key> {
    let Some(spec) = volume.at("spec") else {
        return Vec::new();
    };
    let claim = volume.str_at("spec.claimRef.namespace");
    let mut found = Vec::new();
    for (path, name, namespace) in VOLUME_SECRETS {
        let Some(source) = spec.pointer(path) else {
            continue;
        };
        let field = |field: &str| source.get(field).and_then(Value::as_str).unwrap_or("");
        let namespace = if field(namespace).is_empty() { claim } else { field(namespace) };
        if !field(name).is_empty() {
            found.push(Key::new(namespace, field(name)));
        }
    }
    found
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
