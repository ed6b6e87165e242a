//! What is wrong with a pod or a pod template (upstream: `ValidatePodSpec` and what it calls).

mod affinity;
mod claims;
mod container;
mod dns;
mod env;
mod handler;
mod mounts;
mod projected;
mod resources;
mod security;
mod volume;
mod windows;

use std::collections::{HashMap, HashSet};

use meta::field::{Error, Errors, Path};
use meta::{Object, text};

use crate::kinds::priorityclass::preemption_policy;
use crate::validate::metadata::{annotations, labels};
use crate::validate::taint::tolerations;
use crate::validate::{dns_label, dns_subdomain, ip, qualified_name};
use crate::view::View;

pub use resources::overhead;

const MIRROR: &str = "kubernetes.io/config.mirror";

/// What the parts of a pod specification need to know of the whole.
pub(crate) struct Context<'a> {
    /// It is a pod, not a template.
    pub is_pod: bool,
    /// The pod's name, or empty.
    pub name: &'a str,
    /// The specification.
    pub spec: View<'a>,
    /// Volumes that are in order, by name.
    pub volumes: HashMap<&'a str, View<'a>>,
}

/// A new pod.
pub fn pod(object: &Object) -> Errors {
    let mut errors = stored_pod(object);
    let spec = View::of(object, "spec");
    if !spec.at("ephemeralContainers").is_empty() {
        errors.push(spec.at("ephemeralContainers").forbidden("cannot be set on create"));
    }
    if !spec.text("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
        errors.push(spec.at("nodeName").forbidden("cannot be set until all schedulingGates have been cleared"));
    }
    errors
}

/// What holds for new and changed pods alike.
pub fn stored_pod(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let (metadata, spec) = (View::of(object, "metadata"), View::of(object, "spec"));
    own_annotations(&metadata.at("annotations"), &spec, &mut errors);
    specification(&spec, true, object.name(), object.annotation(MIRROR).is_some(), &mut errors);
    if spec.text("serviceAccountName").is_empty() {
        let sources = spec.each("volumes").flat_map(|v| v.at("projected").each("sources"));
        for token in sources.filter_map(|s| s.get("serviceAccountToken")) {
            errors.push(token.forbidden("must not be specified when serviceAccountName is not set"));
        }
    }
    for list in ["containers", "initContainers"] {
        spec.each(list).for_each(|c| container::image_without_space(&c, &mut errors));
    }
    errors
}

/// The template of a workload.
pub fn template(template: &View<'_>, errors: &mut Errors) {
    let (metadata, spec) = (template.at("metadata"), template.at("spec"));
    let in_template = |field: &str| View::new(metadata.at(field).value(), template.path.child(field));
    errors.extend(labels(in_template("labels").value(), &in_template("labels").path));
    errors.extend(annotations(in_template("annotations").value(), &in_template("annotations").path));
    own_annotations(&in_template("annotations"), &spec, errors);
    specification(&spec, false, "", in_template("annotations").has(MIRROR), errors);
    if !spec.at("ephemeralContainers").is_empty() {
        errors.push(spec.at("ephemeralContainers").forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// Annotations that mean something.
pub(crate) fn own_annotations(annotations: &View<'_>, spec: &View<'_>, errors: &mut Errors) {
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let invalid = |key: &str, detail: &str| Error::invalid(&annotations.path.key(key), annotations.text(key), detail);
    if annotations.has(MIRROR) && spec.text("nodeName").is_empty() {
        errors.push(invalid(MIRROR, "must set spec.nodeName if mirror pod annotation is set"));
    }
    let cost = annotations.text(COST);
    let plain = !cost.starts_with('+') && (cost == "0" || !cost.trim_start_matches('-').starts_with('0'));
    if annotations.has(COST) && !(plain && cost.parse::<i32>().is_ok()) {
        errors.push(invalid(COST, "must be a 32bit integer"));
    }
}

fn specification(spec: &View<'_>, is_pod: bool, name: &str, mirror: bool, errors: &mut Errors) {
    if !spec.has("terminationGracePeriodSeconds") {
        errors.push(spec.at("terminationGracePeriodSeconds").required(""));
    }
    let mut context = Context { is_pod, name, spec: spec.clone(), volumes: HashMap::new() };
    context.volumes = volume::volumes(&context, errors);
    claims::of_pod(&spec.at("resourceClaims"), mirror, errors);
    container::containers(&context, errors);
    container::init_containers(&context, errors);
    container::ephemeral_containers(&context, errors);
    resources::of_pod(spec, errors);
    host_ports(&context, errors);
    choice(&spec.at("restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    choice(&spec.at("dnsPolicy"), &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], errors);
    let selector = spec.at("nodeSelector");
    errors.extend(labels(selector.value(), &selector.path));
    security::of_pod(spec, errors);
    affinity::affinity(&spec.at("affinity"), errors);
    dns::config(spec, errors);
    for gate in spec.each("readinessGates") {
        qualified_name(&gate.at("conditionType"), errors);
    }
    scheduling_gates(spec, errors);
    affinity::spread(&spec.at("topologySpreadConstraints"), errors);
    windows::host_process(spec, errors);
    security::host_users(spec, errors);
    names(spec, errors);
    tolerations(&spec.at("tolerations"), errors);
    for alias in spec.each("hostAliases") {
        ip::address(&alias.at("ip"), false, errors);
        alias.each("hostnames").for_each(|name| dns_subdomain(&name, errors));
    }
    classes(spec, errors);
    overhead(&spec.at("overhead"), errors);
    security::operating_system(spec, errors);
    env::files(spec, errors);
}

/// One of several words, and not none.
pub(super) fn choice(field: &View<'_>, supported: &[&str], errors: &mut Errors) {
    if field.str().is_empty() {
        errors.push(field.required(""));
    } else {
        field.one_of(supported, errors);
    }
}

fn host_ports(context: &Context<'_>, errors: &mut Errors) {
    if !context.spec.flag("hostNetwork") {
        return;
    }
    for port in context.spec.each("containers").flat_map(|c| c.each("ports")) {
        let (outside, inside) = (port.number("hostPort"), port.number("containerPort"));
        if (context.is_pod || outside != 0) && outside != inside {
            let detail = "must match `containerPort` when `hostNetwork` is true";
            errors.push(Error::invalid(&port.at("hostPort").path, outside, detail));
        }
    }
}

fn scheduling_gates(spec: &View<'_>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for gate in spec.each("schedulingGates") {
        let name = gate.text("name");
        errors.extend(text::qualified_name(name).into_iter().map(|m| Error::invalid(&gate.path, name, m)));
        if !seen.insert(name) {
            errors.push(Error::duplicate(&gate.path, name));
        }
    }
}

fn names(spec: &View<'_>, errors: &mut Errors) {
    if let Some(name) = spec.get("hostnameOverride") {
        if spec.flag("setHostnameAsFQDN") {
            errors.push(name.forbidden("may not be specified when setHostnameAsFQDN is true"));
        }
        if spec.flag("hostNetwork") {
            errors.push(name.forbidden("may not be specified when hostNetwork is true"));
        }
        if name.str().len() > 64 {
            errors.push(Error::too_long(&name.path, 64));
        }
        dns_subdomain(&name, errors);
    }
    for field in ["serviceAccountName", "nodeName"] {
        if !spec.text(field).is_empty() {
            dns_subdomain(&spec.at(field), errors);
        }
    }
    let deadline = spec.at("activeDeadlineSeconds");
    if let Some(seconds) = deadline.int() {
        deadline.all_invalid(text::in_range(seconds, 1, i64::from(i32::MAX)), errors);
    }
    for field in ["hostname", "subdomain"] {
        if !spec.text(field).is_empty() {
            dns_label(&spec.at(field), errors);
        }
    }
}

fn classes(spec: &View<'_>, errors: &mut Errors) {
    if !spec.text("priorityClassName").is_empty() {
        dns_subdomain(&spec.at("priorityClassName"), errors);
    }
    if let Some(class) = spec.get("runtimeClassName") {
        dns_subdomain(&class, errors);
    }
    preemption_policy(&spec.at("preemptionPolicy"), errors);
}

/// A field, reported at another path than its own: upstream's paths are not always where the fault is.
pub(super) fn elsewhere<'a>(field: &View<'a>, path: Path) -> View<'a> {
    View::new(field.value(), path)
}

#[cfg(test)]
mod tests;
