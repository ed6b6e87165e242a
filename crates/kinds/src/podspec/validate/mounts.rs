//! Volume mounts and block devices of a container.

use std::collections::HashSet;

use meta::field::{Error, Errors};

use super::volume::{descending_path, no_backsteps};
use super::{Context, elsewhere};
use crate::view::View;

/// `volumeMounts`.
pub(super) fn mounts(context: &Context<'_>, container: &View<'_>, errors: &mut Errors) {
    let list = container.at("volumeMounts");
    let devices = |field| container.each("volumeDevices").map(|d| d.text(field)).collect::<HashSet<&str>>();
    let (device_names, device_paths) = (devices("name"), devices("devicePath"));
    let mut paths = HashSet::new();
    for mount in list.items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        if name.str().is_empty() {
            errors.push(name.required(""));
        }
        if !context.volumes.contains_key(name.str()) {
            errors.push(Error::not_found(&name.path, name.str()));
        }
        if path.str().is_empty() {
            errors.push(path.required(""));
        }
        if !paths.insert(path.str()) {
            errors.push(path.invalid("must be unique"));
        }
        if device_names.contains(name.str()) {
            errors.push(name.invalid("must not already exist in volumeDevices"));
        }
        if device_paths.contains(path.str()) {
            errors.push(path.invalid("must not already exist as a path in volumeDevices"));
        }
        // Upstream reports the faults of the following fields at the list.
        let at_list = |field: &str| elsewhere(&mount.at(field), list.path.child(field));
        if !mount.text("subPath").is_empty() {
            descending_path(&at_list("subPath"), errors);
        }
        if !mount.text("subPathExpr").is_empty() {
            if !mount.text("subPath").is_empty() {
                errors.push(mount.at("subPathExpr").invalid("subPathExpr and subPath are mutually exclusive"));
            }
            descending_path(&at_list("subPathExpr"), errors);
        }
        if mount.has("mountPropagation") {
            propagation(&at_list("mountPropagation"), container, errors);
        }
        if mount.has("recursiveReadOnly") {
            recursive_read_only(&mount, &at_list("recursiveReadOnly"), errors);
        }
    }
}

fn propagation(mode: &View<'_>, container: &View<'_>, errors: &mut Errors) {
    mode.one_of(&["Bidirectional", "HostToContainer", "None"], errors);
    if mode.str() == "Bidirectional" && !container.at("securityContext").flag("privileged") {
        errors.push(mode.forbidden("Bidirectional mount propagation is available only to privileged containers"));
    }
}

fn recursive_read_only(mount: &View<'_>, mode: &View<'_>, errors: &mut Errors) {
    match mode.str() {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.flag("readOnly") {
                errors.push(mode.forbidden("may only be specified when readOnly is true"));
            }
            if !matches!(mount.text("mountPropagation"), "" | "None") {
                errors.push(mode.forbidden("may only be specified when mountPropagation is None or not specified"));
            }
        }
        _ => errors.push(mode.not_supported(&["Disabled", "Enabled", "IfPossible"])),
    }
}

/// `volumeDevices`.
pub(super) fn devices(context: &Context<'_>, container: &View<'_>, errors: &mut Errors) {
    let mounts = |field| container.each("volumeMounts").map(|m| m.text(field)).collect::<HashSet<&str>>();
    let (mount_names, mount_paths) = (mounts("name"), mounts("mountPath"));
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for device in container.each("volumeDevices") {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        if name.str().is_empty() {
            errors.push(name.required(""));
        } else if !names.insert(name.str()) {
            errors.push(name.invalid("must be unique"));
        }
        match context.volumes.get(name.str()) {
            None => errors.push(Error::not_found(&name.path, name.str())),
            Some(volume) if !volume.has("persistentVolumeClaim") && !volume.has("ephemeral") => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(name.invalid(detail));
            }
            Some(_) => {}
        }
        if path.str().is_empty() {
            errors.push(path.required(""));
        }
        if paths.contains(path.str()) {
            errors.push(path.invalid("must be unique"));
        }
        let mut backsteps = Errors::new();
        no_backsteps(&path, &mut backsteps);
        if backsteps.is_empty() {
            paths.insert(path.str());
        } else {
            errors.push(path.invalid("can not contain backsteps ('..')"));
        }
        if mount_names.contains(name.str()) {
            errors.push(name.invalid("must not already exist in volumeMounts"));
        }
        if mount_paths.contains(path.str()) {
            errors.push(path.invalid("must not already exist as a path in volumeMounts"));
        }
    }
}
