//! Security contexts of pods and containers.

use std::collections::HashSet;

use meta::field::{Error, Errors};
use meta::text;
use serde_json::json;

use super::volume::descending_path;
use super::{Context, choice, windows};
use crate::podspec::CONTAINER_LISTS;
use crate::view::View;

/// `securityContext` of the pod.
pub(super) fn of_pod(spec: &View<'_>, errors: &mut Errors) {
    let security = spec.at("securityContext");
    for id in ["fsGroup", "runAsUser", "runAsGroup"] {
        user_id(&security.at(id), errors);
    }
    security.each("supplementalGroups").for_each(|group| user_id(&group, errors));
    if spec.flag("shareProcessNamespace") && spec.flag("hostPID") {
        let path = security.path.child("shareProcessNamespace");
        errors.push(Error::invalid(&path, true, "ShareProcessNamespace and HostPID cannot both be enabled"));
    }
    sysctls(&security.at("sysctls"), spec, errors);
    optional(&security.at("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], errors);
    seccomp(&security.at("seccompProfile"), errors);
    windows::options(&security.at("windowsOptions"), errors);
    app_armor(&security.at("appArmorProfile"), errors);
    optional(&security.at("supplementalGroupsPolicy"), &["Merge", "Strict"], errors);
    optional(&security.at("seLinuxChangePolicy"), &["Recursive"], errors);
    image_pull_secrets(spec, errors);
}

fn image_pull_secrets(spec: &View<'_>, errors: &mut Errors) {
    for secret in spec.each("imagePullSecrets") {
        if secret.map().keys().any(|key| key != "name") {
            errors.push(secret.invalid("only name may be set"));
        }
    }
}

fn optional(field: &View<'_>, supported: &[&str], errors: &mut Errors) {
    if field.exists() {
        field.one_of(supported, errors);
    }
}

fn user_id(id: &View<'_>, errors: &mut Errors) {
    if let Some(number) = id.int() {
        id.all_invalid(text::user_or_group_id(number), errors);
    }
}

/// Why a setting of a namespace that the pod shares with the host cannot be the pod's.
fn of_the_host(name: &str, spec: &View<'_>) -> Option<&'static str> {
    let name = name.replace('/', ".");
    let of_ipc = name == "kernel.sem" || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|start| name.starts_with(start));
    if name.starts_with("net.") && spec.flag("hostNetwork") {
        return Some("may not be specified when 'hostNetwork' is true");
    }
    (of_ipc && spec.flag("hostIPC")).then_some("may not be specified when 'hostIPC' is true")
}

fn sysctls(list: &View<'_>, spec: &View<'_>, errors: &mut Errors) {
    const FORM: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let edge = |b: Option<char>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let part = |p: &str| edge(p.chars().next()) && edge(p.chars().next_back()) && p.chars().all(inner);
    let mut seen = HashSet::new();
    for name in list.items().map(|s| s.at("name")) {
        if name.str().is_empty() {
            errors.push(name.required(""));
        } else if name.str().len() > 253 || !name.str().split(['.', '/']).all(part) {
            errors.push(name.invalid(format!("must have at most 253 characters and match regex {FORM}")));
        } else if seen.contains(name.str()) {
            errors.push(name.duplicate());
        }
        errors.extend(of_the_host(name.str(), spec).map(|why| name.invalid(why)));
        seen.insert(name.str());
    }
}

/// `securityContext` of a container.
pub(super) fn of_container(context: &Context<'_>, security: &View<'_>, errors: &mut Errors) {
    if !security.exists() {
        return;
    }
    user_id(&security.at("runAsUser"), errors);
    user_id(&security.at("runAsGroup"), errors);
    if let Some(mount) = security.get("procMount") {
        mount.one_of(&["Default", "Unmasked"], errors);
        if mount.str() == "Unmasked" && context.spec.at("hostUsers").bool() != Some(false) {
            errors.push(mount.invalid("`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(&security.at("seccompProfile"), errors);
    if security.at("allowPrivilegeEscalation").bool() == Some(false) {
        if security.flag("privileged") {
            errors.push(security.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
        }
        if security.at("capabilities").at("add").strings().any(|c| c == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(security.invalid(detail));
        }
    }
    windows::options(&security.at("windowsOptions"), errors);
    app_armor(&security.at("appArmorProfile"), errors);
}

fn seccomp(profile: &View<'_>, errors: &mut Errors) {
    if !profile.exists() {
        return;
    }
    let (sort, file) = (profile.at("type"), profile.at("localhostProfile"));
    if sort.str().is_empty() {
        errors.push(sort.required("type is required when seccompProfile is set"));
    } else {
        sort.one_of(&["Localhost", "RuntimeDefault", "Unconfined"], errors);
    }
    match (sort.str() == "Localhost", file.exists()) {
        (true, false) => errors.push(file.required("must be set when seccomp type is Localhost")),
        (true, true) => descending_path(&file, errors),
        (false, true) => {
            // Upstream shows its internal form of the whole profile.
            let shown = format!(r#"{{"Type":{},"LocalhostProfile":{}}}"#, json!(sort.str()), json!(file.str()));
            let error = Error::invalid(&file.path, json!(null), "can only be set when seccomp type is Localhost");
            errors.push(error.showing(shown));
        }
        (false, false) => {}
    }
}

fn app_armor(profile: &View<'_>, errors: &mut Errors) {
    if !profile.exists() {
        return;
    }
    let (sort, file) = (profile.at("type"), profile.at("localhostProfile"));
    match sort.str() {
        "Localhost" if file.str().trim() != file.str() => errors.push(file.invalid("must not be padded with whitespace")),
        "Localhost" if file.str().is_empty() => errors.push(file.required("must be set when AppArmor type is Localhost")),
        "Localhost" if file.str().len() > 4095 => errors.push(Error::too_long(&file.path, 4095)),
        "Localhost" => {}
        "RuntimeDefault" | "Unconfined" if file.exists() => {
            errors.push(file.invalid("can only be set when AppArmor type is Localhost"));
        }
        "RuntimeDefault" | "Unconfined" => {}
        "" => errors.push(sort.required("type is required when appArmorProfile is set")),
        _ => errors.push(sort.not_supported(&["Localhost", "RuntimeDefault", "Unconfined"])),
    }
}

/// User namespaces cannot be had together with these.
pub(super) fn host_users(spec: &View<'_>, errors: &mut Errors) {
    if spec.at("hostUsers").bool() != Some(false) {
        return;
    }
    let detail = "when `hostUsers` is false";
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.flag(field) {
            errors.push(Error::forbidden(&spec.path.child(shown), detail));
        }
    }
    for container in CONTAINER_LISTS.into_iter().flat_map(|list| spec.each(list)) {
        if !container.at("volumeDevices").is_empty() {
            errors.push(container.at("volumeDevices").forbidden(detail));
        }
    }
}

/// `os`, and what a Linux pod cannot have.
pub(super) fn operating_system(spec: &View<'_>, errors: &mut Errors) {
    let Some(os) = spec.get("os") else { return };
    if os.text("name").is_empty() {
        choice(&os.at("name"), &[], errors);
    } else if !matches!(os.text("name"), "linux" | "windows") {
        errors.push(Error::not_supported(&os.path, os.text("name"), &["linux", "windows"]));
    }
    if os.text("name") != "linux" {
        return;
    }
    let containers = CONTAINER_LISTS.into_iter().flat_map(|list| spec.each(list));
    let contexts = std::iter::once(spec.clone()).chain(containers).map(|owner| owner.at("securityContext"));
    for options in contexts.filter_map(|security| security.get("windowsOptions")) {
        errors.push(options.forbidden("windows options cannot be set for a linux pod"));
    }
}
