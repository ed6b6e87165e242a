//! Defaults of volumes (upstream: `pkg/apis/core/v1/{defaults,zz_generated.defaults}.go`).

use serde_json::{Value, json};

use super::{image, resources};
use crate::tree::{Fields, child_mut, child_or_new, default_absent, default_zero, each_mut};

/// Mode of the files of secrets, config maps and their like: 0644.
const FILE_MODE: i64 = 0o644;

/// Fills in one volume; a volume without any source is an `emptyDir`.
pub fn volume(volume: &mut Fields) {
    if volume.iter().all(|(name, value)| name == "name" || value.is_null()) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = child_mut(volume, name) {
            default_absent(source, "defaultMode", FILE_MODE);
            each_mut(source, "items").for_each(item);
        }
    }
    for source in child_mut(volume, "projected").into_iter().flat_map(|p| each_mut(p, "sources")) {
        if let Some(api) = child_mut(source, "downwardAPI") {
            each_mut(api, "items").for_each(item);
        }
        if let Some(token) = child_mut(source, "serviceAccountToken") {
            default_absent(token, "expirationSeconds", 3600);
        }
    }
    if let Some(path) = child_mut(volume, "hostPath") {
        default_absent(path, "type", "");
    }
    if let Some(own) = child_mut(volume, "image") {
        let reference = own.get("reference").and_then(Value::as_str).unwrap_or("").to_owned();
        default_zero(own, "pullPolicy", image::pull_policy(&reference));
    }
    if let Some(template) = child_mut(volume, "ephemeral").and_then(|e| child_mut(e, "volumeClaimTemplate")) {
        claim_spec(child_or_new(template, "spec"));
    }
    old_sources(volume);
}

/// Defaults of the specification of a PersistentVolumeClaim.
pub fn claim_spec(spec: &mut Fields) {
    default_absent(spec, "volumeMode", "Filesystem");
    resources::canonical_both(child_or_new(spec, "resources"));
}

/// A divisor that is not said stays so until it is printed as `0`: upstream takes a list of such items for another one
/// than the list that it has stored.
fn item(item: &mut Fields) {
    if let Some(field) = child_mut(item, "fieldRef") {
        default_zero(field, "apiVersion", "v1");
    }
}

/// Sources of the time before CSI.
fn old_sources(volume: &mut Fields) {
    let defaults = [
        ("iscsi", "iscsiInterface", "default"),
        ("rbd", "pool", "rbd"),
        ("rbd", "user", "admin"),
        ("rbd", "keyring", "/etc/ceph/keyring"),
        ("scaleIO", "storageMode", "ThinProvisioned"),
        ("scaleIO", "fsType", "xfs"),
        ("azureDisk", "cachingMode", "ReadWrite"),
        ("azureDisk", "fsType", "ext4"),
        ("azureDisk", "kind", "Shared"),
    ];
    for (source, field, value) in defaults {
        if let Some(source) = child_mut(volume, source) {
            default_zero(source, field, value);
        }
    }
    if let Some(disk) = child_mut(volume, "azureDisk") {
        default_absent(disk, "readOnly", false);
    }
}
