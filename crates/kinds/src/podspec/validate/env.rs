//! Environment variables and where they come from.

use std::collections::HashMap;

use meta::field::{Error, Errors};
use meta::{Quantity, text};

use super::volume::{local_path, no_backsteps};
use crate::validate::{dns_label, dns_subdomain};
use crate::view::View;

const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Fields of a pod that exist for this purpose at all.
const POD_FIELDS: [&str; 15] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];

const RESOURCES: [&str; 6] =
    ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];

const BYTE_DIVISORS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// `env`.
pub(super) fn variables(list: &View<'_>, errors: &mut Errors) {
    for variable in list.items() {
        let name = variable.at("name");
        if name.str().is_empty() {
            errors.push(name.required(""));
        } else {
            name.all_invalid(text::relaxed_env_name(name.str()), errors);
        }
        if let Some(source) = variable.get("valueFrom") {
            value_from(&source, !variable.text("value").is_empty(), errors);
        }
    }
}

fn value_from(source: &View<'_>, has_value: bool, errors: &mut Errors) {
    if let Some(field) = source.get("fieldRef") {
        field_ref(&field, &ENV_FIELDS, errors);
    }
    if let Some(field) = source.get("resourceFieldRef") {
        resource_ref(&field, false, errors);
    }
    for key in ["configMapKeyRef", "secretKeyRef"].into_iter().filter_map(|f| source.get(f)) {
        dns_subdomain(&key.at("name"), errors);
        config_key(&key.at("key"), errors);
    }
    if let Some(file) = source.get("fileKeyRef") {
        file_key(&file, errors);
    }
    let all = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let detail = match (all.into_iter().filter(|f| source.has(f)).count(), has_value) {
        (0, _) => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        (_, true) => "may not be specified when `value` is not empty",
        (1, false) => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(Error::invalid(&source.path, "", detail));
}

fn config_key(key: &View<'_>, errors: &mut Errors) {
    if key.str().is_empty() {
        errors.push(key.required(""));
    } else {
        key.all_invalid(text::config_map_key(key.str()), errors);
    }
}

fn file_key(file: &View<'_>, errors: &mut Errors) {
    let (key, volume, path) = (file.at("key"), file.at("volumeName"), file.at("path"));
    for empty in [&key, &volume, &path].into_iter().filter(|f| f.str().is_empty()) {
        errors.push(empty.required(""));
    }
    if !key.str().is_empty() {
        key.all_invalid(text::relaxed_env_name(key.str()), errors);
    }
    if !volume.str().is_empty() {
        dns_label(&volume, errors);
    }
    no_backsteps(&path, errors);
}

/// Files with variables stand in an `emptyDir` of the pod.
pub(super) fn files(spec: &View<'_>, errors: &mut Errors) {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let mut volumes: HashMap<&str, View<'_>> = HashMap::new();
    for volume in spec.each("volumes") {
        volumes.entry(volume.text("name")).or_insert(volume);
    }
    let variables = lists.into_iter().flat_map(|l| spec.each(l)).flat_map(|c| c.each("env"));
    for file in variables.filter_map(|v| v.at("valueFrom").get("fileKeyRef")) {
        let name = file.at("volumeName");
        match volumes.get(name.str()) {
            None => errors.push(Error::not_found(&name.path, name.str())),
            Some(volume) if !volume.has("emptyDir") => {
                errors.push(name.invalid("referenced volume must be of type emptyDir"));
            }
            Some(_) => {}
        }
    }
}

/// `envFrom`.
pub(super) fn sources(list: &View<'_>, errors: &mut Errors) {
    for source in list.items() {
        let prefix = source.at("prefix");
        if !prefix.str().is_empty() {
            prefix.all_invalid(text::relaxed_env_name(prefix.str()), errors);
        }
        let given: Vec<_> = ["configMapRef", "secretRef"].into_iter().filter_map(|f| source.get(f)).collect();
        for reference in &given {
            let name = reference.at("name");
            if name.str().is_empty() {
                errors.push(name.required(""));
            } else {
                name.all_invalid(text::dns1123_subdomain(name.str(), true), errors);
            }
        }
        let detail = match given.len() {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(Error::invalid(&list.path, "", detail));
    }
}

/// A file of the downward API, in a volume.
pub(super) fn downward_file(file: &View<'_>, at: &View<'_>, errors: &mut Errors) {
    // Upstream reports faults of these files at their volume, without their index.
    let file = View::new(file.value(), at.path.clone());
    let (path, field, resource, mode) = (file.at("path"), file.get("fieldRef"), file.get("resourceFieldRef"), file.at("mode"));
    if path.str().is_empty() {
        errors.push(path.required(""));
    }
    local_path(&path, errors);
    match (field, resource) {
        (Some(field), other) => {
            field_ref(&field, &VOLUME_FIELDS, errors);
            if other.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(Error::invalid(&file.path, "resource", detail));
            }
        }
        (None, Some(resource)) => resource_ref(&resource, true, errors),
        (None, None) => errors.push(file.required("one of fieldRef and resourceFieldRef is required")),
    }
    super::volume::file_mode(&mode, errors);
}

fn field_ref(reference: &View<'_>, supported: &[&str], errors: &mut Errors) {
    let (version, field) = (reference.at("apiVersion"), reference.at("fieldPath"));
    if let Some(empty) = [&version, &field].into_iter().find(|f| f.str().is_empty()) {
        errors.push(empty.required(""));
        return;
    }
    if version.str() != "v1" {
        errors.push(field.invalid(format!("error converting fieldPath: unsupported pod version: {}", version.str())));
        return;
    }
    let path = field.str();
    let subscript = path.strip_suffix("']").and_then(|p| p.split_once("['"));
    match subscript {
        Some((map @ ("metadata.annotations" | "metadata.labels"), key)) => {
            let key = if map == "metadata.annotations" { key.to_lowercase() } else { key.to_owned() };
            let wrong = text::qualified_name(&key).into_iter();
            errors.extend(wrong.map(|m| Error::invalid(&reference.path, key.as_str(), m)));
        }
        Some(_) => {
            errors.push(field.invalid(format!("error converting fieldPath: field label does not support subscript: {path}")));
        }
        None if !POD_FIELDS.contains(&path) => {
            errors.push(field.invalid(format!("error converting fieldPath: field label not supported: {path}")));
        }
        None if path == "spec.host" => {}
        None => field.one_of(supported, errors),
    }
}

fn resource_ref(reference: &View<'_>, volume: bool, errors: &mut Errors) {
    let resource = reference.at("resource");
    let name = resource.str();
    let huge = name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-");
    if volume && reference.text("containerName").is_empty() {
        errors.push(reference.at("containerName").required(""));
    } else if name.is_empty() {
        errors.push(resource.required(""));
    } else if !huge {
        resource.one_of(&RESOURCES, errors);
    }
    let divisor = match Quantity::parse(reference.text("divisor")) {
        Ok(divisor) if !divisor.is_zero() => divisor.to_string(),
        _ => return,
    };
    let (good, of) = match name.rsplit('.').next() {
        Some("cpu") => (["1", "1m"].contains(&divisor.as_str()), "cpu resource"),
        Some("memory") => (BYTE_DIVISORS.contains(&divisor.as_str()), "memory resource"),
        Some("ephemeral-storage") => (BYTE_DIVISORS.contains(&divisor.as_str()), "local ephemeral storage resource"),
        _ if huge => (BYTE_DIVISORS.contains(&divisor.as_str()), "hugepages resource"),
        _ => return,
    };
    if !good {
        let values = if of == "cpu resource" { "1m and 1".to_owned() } else { BYTE_DIVISORS.join(", ") };
        let detail = format!("only divisor's values {values} are supported with the {of}");
        errors.push(Error::invalid(&reference.at("divisor").path, name, detail));
    }
}
