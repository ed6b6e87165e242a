//! Volumes and their sources.

use std::collections::{HashMap, HashSet};

use meta::field::{Error, Errors};
use meta::{Quantity, text};

use super::{Context, choice, elsewhere, env, projected};
use crate::validate::{dns_label, dns_subdomain};
use crate::view::View;

/// Sources in the order in which upstream looks at them.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Checks all volumes and returns those that are in order.
pub(super) fn volumes<'a>(context: &Context<'a>, errors: &mut Errors) -> HashMap<&'a str, View<'a>> {
    let list = context.spec.at("volumes");
    let claims: HashSet<String> = match context.name {
        "" => HashSet::new(),
        pod => list.items().filter(|v| v.has("ephemeral")).map(|v| format!("{pod}-{}", v.text("name"))).collect(),
    };
    let mut good: HashMap<&'a str, View<'a>> = HashMap::new();
    for volume in list.items() {
        let (mut wrong, name) = (Errors::new(), volume.at("name"));
        source(context, &volume, &mut wrong);
        if name.str().is_empty() {
            wrong.push(name.required(""));
        } else {
            dns_label(&name, &mut wrong);
        }
        if good.contains_key(name.str()) {
            wrong.push(name.duplicate());
        }
        if wrong.is_empty() {
            good.insert(name.str(), volume.clone());
        }
        errors.append(&mut wrong);
        let claim = volume.at("persistentVolumeClaim").at("claimName");
        if claims.contains(claim.str()) {
            errors.push(claim.invalid("must not reference a PVC that gets created for an ephemeral volume"));
        }
    }
    good
}

/// Exactly one source.
fn source(context: &Context<'_>, volume: &View<'_>, errors: &mut Errors) {
    let mut given = SOURCES.into_iter().filter_map(|s| volume.get(s).map(|v| (s, v)));
    let Some((name, first)) = given.next() else {
        errors.push(volume.required("must specify a volume type"));
        return;
    };
    match name {
        "emptyDir" => {
            let limit = first.at("sizeLimit");
            if Quantity::parse(limit.str()).is_ok_and(|q| q.sign() < 0) {
                errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
            }
        }
        "hostPath" => host_path(&first, errors),
        "secret" => files(&first, "secretName", errors),
        "configMap" => files(&first, "name", errors),
        "nfs" => nfs(&first, errors),
        "persistentVolumeClaim" => needed(&first, &["claimName"], errors),
        "downwardAPI" => {
            file_mode(&first.at("defaultMode"), errors);
            first.each("items").for_each(|file| env::downward_file(&file, &first, errors));
        }
        "projected" => projected::sources(&first, errors),
        "csi" => csi(&first, errors),
        "ephemeral" => ephemeral(context, volume, &first, errors),
        "image" => {
            if context.is_pod {
                needed(&first, &["reference"], errors);
            }
            choice(&first.at("pullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
        }
        _ => old_source(name, &first, errors),
    }
    for (name, _) in given {
        // Upstream misspells two of them.
        let shown = match name {
            "cephfs" => "cephFS",
            "downwardAPI" => "downwarAPI",
            other => other,
        };
        errors.push(Error::forbidden(&volume.path.child(shown), "may not specify more than 1 volume type"));
    }
}

fn needed(source: &View<'_>, fields: &[&str], errors: &mut Errors) {
    for field in fields.iter().filter(|f| source.text(f).is_empty()) {
        errors.push(source.at(field).required(""));
    }
}

fn host_path(source: &View<'_>, errors: &mut Errors) {
    let path = source.at("path");
    if path.str().is_empty() {
        errors.push(path.required(""));
        return;
    }
    no_backsteps(&path, errors);
    if let Some(sort) = source.get("type") {
        sort.one_of(&HOST_PATH_TYPES, errors);
    }
}

/// A secret or config map as files.
fn files(source: &View<'_>, name: &str, errors: &mut Errors) {
    needed(source, &[name], errors);
    file_mode(&source.at("defaultMode"), errors);
    source.each("items").for_each(|item| key_to_path(&item, errors));
}

/// Which key becomes which file.
pub(super) fn key_to_path(item: &View<'_>, errors: &mut Errors) {
    needed(item, &["key", "path"], errors);
    local_path(&item.at("path"), errors);
    file_mode(&item.at("mode"), errors);
}

/// Permission bits of a file.
pub(super) fn file_mode(mode: &View<'_>, errors: &mut Errors) {
    if mode.int().is_some_and(|m| !(0..=0o777).contains(&m)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

fn nfs(source: &View<'_>, errors: &mut Errors) {
    needed(source, &["server", "path"], errors);
    if !source.text("path").starts_with('/') {
        errors.push(source.at("path").invalid("must be an absolute path"));
    }
}

fn csi(source: &View<'_>, errors: &mut Errors) {
    let driver = source.at("driver");
    if driver.str().is_empty() {
        errors.push(driver.required(""));
    } else {
        if driver.str().len() > 63 {
            errors.push(Error::too_long(&driver.path, 63));
        }
        driver.all_invalid(text::dns1123_subdomain(&driver.str().to_lowercase(), false), errors);
    }
    if let Some(secret) = source.get("nodePublishSecretRef") {
        if secret.text("name").is_empty() {
            errors.push(secret.at("name").required(""));
        } else {
            dns_subdomain(&elsewhere(&secret.at("name"), source.path.child("name")), errors);
        }
    }
}

fn ephemeral(context: &Context<'_>, volume: &View<'_>, source: &View<'_>, errors: &mut Errors) {
    let template = source.at("volumeClaimTemplate");
    if !template.exists() {
        errors.push(template.required(""));
    }
    let spec = template.at("spec");
    if template.exists() {
        if spec.at("accessModes").is_empty() {
            errors.push(spec.at("accessModes").required("at least 1 access mode is required"));
        }
        let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
        spec.each("accessModes").for_each(|mode| mode.one_of(&modes, errors));
        if !spec.at("resources").at("requests").has("storage") {
            errors.push(Error::required(&spec.at("resources").path.key("storage"), ""));
        }
    }
    if !context.name.is_empty() && !volume.text("name").is_empty() {
        let claim = format!("{}-{}", context.name, volume.text("name"));
        for message in text::dns1123_subdomain(&claim, false) {
            errors.push(volume.at("name").invalid(format!("PVC name {claim:?}: {message}")));
        }
    }
}

/// Sources of the time before CSI: what they cannot do without, and what else is known of two of them.
fn old_source(name: &str, source: &View<'_>, errors: &mut Errors) {
    let fields: &[&str] = match name {
        "gitRepo" => &["repository"],
        "gcePersistentDisk" => &["pdName"],
        "awsElasticBlockStore" | "cinder" | "portworxVolume" => &["volumeID"],
        "iscsi" => &["targetPortal", "iqn"],
        "glusterfs" => &["endpoints", "path"],
        "rbd" => &["image"],
        "quobyte" => &["registry", "volume"],
        "flexVolume" => &["driver"],
        "azureFile" => &["secretName", "shareName"],
        "vsphereVolume" => &["volumePath"],
        "photonPersistentDisk" => &["pdID"],
        "azureDisk" => &["diskName", "diskURI"],
        "storageos" => &["volumeName"],
        "scaleIO" => &["gateway", "system", "volumeName"],
        _ => &[],
    };
    needed(source, fields, errors);
    match name {
        "azureDisk" => azure_disk(source, errors),
        "storageos" => storageos(source, errors),
        _ => {}
    }
}

fn azure_disk(source: &View<'_>, errors: &mut Errors) {
    let [mode, kind, uri] = ["cachingMode", "kind", "diskURI"].map(|field| source.at(field));
    if mode.exists() {
        mode.one_of(&["None", "ReadOnly", "ReadWrite"], errors);
    }
    if !kind.exists() {
        return;
    }
    kind.one_of(&["Dedicated", "Managed", "Shared"], errors);
    let (start, form) = match kind.str() {
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
    };
    if !uri.str().starts_with(start) {
        errors.push(uri.not_supported(&[form]));
    }
}

fn storageos(source: &View<'_>, errors: &mut Errors) {
    for field in ["volumeName", "volumeNamespace"].map(|field| source.at(field)) {
        if !field.str().is_empty() {
            dns_label(&field, errors);
        }
    }
    if let Some(secret) = source.get("secretRef") {
        needed(&secret, &["name"], errors);
    }
}

/// A path that stays below where it starts.
pub(super) fn descending_path(path: &View<'_>, errors: &mut Errors) {
    if path.str().starts_with('/') {
        errors.push(path.invalid("must be a relative path"));
    }
    no_backsteps(path, errors);
}

/// The same, and not a name that the kubelet uses itself.
pub(super) fn local_path(path: &View<'_>, errors: &mut Errors) {
    descending_path(path, errors);
    if path.str().starts_with("..") && !path.str().starts_with("../") {
        errors.push(path.invalid("must not start with '..'"));
    }
}

/// A path without `..`.
pub(super) fn no_backsteps(path: &View<'_>, errors: &mut Errors) {
    if path.str().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}
