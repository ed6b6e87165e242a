//! Containers of the three sorts.

use std::collections::HashSet;

use meta::field::{Error, Errors};
use meta::text;
use serde_json::Value;

use super::{Context, choice, env, handler, mounts, resources, security};
use crate::tree::is_zero;
use crate::validate::{dns_label, protocol};
use crate::view::View;

const NOT_EPHEMERAL: &str = "cannot be set for an Ephemeral Container";

/// The main containers: at least one.
pub(super) fn containers(context: &Context<'_>, errors: &mut Errors) {
    let list = context.spec.at("containers");
    if list.is_empty() {
        errors.push(list.required(""));
        return;
    }
    let mut names = HashSet::new();
    for container in list.items() {
        common(context, &container, errors);
        if !names.insert(container.text("name")) {
            errors.push(container.at("name").duplicate());
        }
        handler::lifecycle(context, &container, errors);
        handler::probes(context, &container, errors);
        restart_rules(&container, false, errors);
    }
    host_port_conflicts(&list.items().collect::<Vec<_>>(), errors);
}

/// Containers that run before; with `restartPolicy: Always` also beside the main ones.
pub(super) fn init_containers(context: &Context<'_>, errors: &mut Errors) {
    let mut names: HashSet<&str> = context.spec.each("containers").map(|c| c.text("name")).collect();
    for container in context.spec.each("initContainers") {
        common(context, &container, errors);
        restart_rules(&container, true, errors);
        let name = container.at("name");
        if !name.str().is_empty() && !names.insert(name.str()) {
            errors.push(name.duplicate());
        }
        host_port_conflicts(std::slice::from_ref(&container), errors);
        if container.text("restartPolicy") == "Always" {
            handler::lifecycle(context, &container, errors);
            handler::probes(context, &container, errors);
            continue;
        }
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(field) = container.get(field) {
                errors.push(field.forbidden("may not be set for init containers without restartPolicy=Always"));
            }
        }
        for policy in container.each("resizePolicy").filter(|p| p.text("restartPolicy") == "RestartContainer") {
            let detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            errors.push(policy.at("restartPolicy").invalid(detail));
        }
    }
}

/// Containers that join a running pod.
pub(super) fn ephemeral_containers(context: &Context<'_>, errors: &mut Errors) {
    let lists = ["containers", "initContainers"];
    let others: HashSet<&str> = lists.into_iter().flat_map(|l| context.spec.each(l)).map(|c| c.text("name")).collect();
    let mut names = others.clone();
    for container in context.spec.each("ephemeralContainers") {
        common(context, &container, errors);
        image_without_space(&container, errors);
        if !names.insert(container.text("name")) {
            errors.push(container.at("name").duplicate());
        }
        let target = container.text("targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.push(Error::not_found(&container.at("targetContainerName").path, target));
        }
        let refused = ["ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules"];
        for field in refused.into_iter().chain(["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"]) {
            if let Some(field) = container.get(field).filter(|f| f.value().is_some_and(|v| !is_zero(v))) {
                errors.push(field.forbidden(NOT_EPHEMERAL));
            }
        }
        for mount in container.each("volumeMounts") {
            for field in ["subPath", "subPathExpr"].into_iter().filter(|f| !mount.text(f).is_empty()) {
                errors.push(mount.at(field).forbidden(NOT_EPHEMERAL));
            }
        }
    }
}

/// Pods, other than templates, have no space around images.
pub(crate) fn image_without_space(container: &View<'_>, errors: &mut Errors) {
    let image = container.at("image");
    if image.str().trim() != image.str() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

fn common(context: &Context<'_>, container: &View<'_>, errors: &mut Errors) {
    let name = container.at("name");
    if name.str().is_empty() {
        errors.push(name.required(""));
    } else {
        dns_label(&name, errors);
    }
    if container.text("image").is_empty() {
        errors.push(container.at("image").required(""));
    }
    choice(&container.at("terminationMessagePolicy"), &["File", "FallbackToLogsOnError"], errors);
    ports(&container.at("ports"), errors);
    env::variables(&container.at("env"), errors);
    env::sources(&container.at("envFrom"), errors);
    mounts::mounts(context, container, errors);
    mounts::devices(context, container, errors);
    choice(&container.at("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    resources::requirements(&context.spec, &container.at("resources"), false, errors);
    resources::resize_policy(context, &container.at("resizePolicy"), errors);
    security::of_container(context, &container.at("securityContext"), errors);
}

fn ports(ports: &View<'_>, errors: &mut Errors) {
    let mut names = HashSet::new();
    for port in ports.items() {
        let name = port.at("name");
        if !name.str().is_empty() {
            let wrong = text::port_name(name.str());
            if wrong.is_empty() && !names.insert(name.str()) {
                errors.push(name.duplicate());
            }
            name.all_invalid(wrong, errors);
        }
        let inside = port.at("containerPort");
        match inside.int().unwrap_or(0) {
            0 => errors.push(inside.required("")),
            number => inside.all_invalid(text::port_number(number), errors),
        }
        if port.number("hostPort") != 0 {
            port.at("hostPort").all_invalid(text::port_number(port.number("hostPort")), errors);
        }
        protocol(&port.at("protocol"), errors);
    }
}

fn host_port_conflicts(containers: &[View<'_>], errors: &mut Errors) {
    let mut seen = HashSet::new();
    for port in containers.iter().flat_map(|c| c.each("ports")).filter(|p| p.number("hostPort") != 0) {
        let shown = format!("{}/{}/{}", port.text("protocol"), port.text("hostIP"), port.number("hostPort"));
        if !seen.insert(shown.clone()) {
            errors.push(Error::duplicate(&port.at("hostPort").path, shown));
        }
    }
}

/// A container's own restart policy and its exceptions by exit code. Those of an init container are not looked at
/// without a policy.
fn restart_rules(container: &View<'_>, is_init: bool, errors: &mut Errors) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if policy.exists() {
        policy.one_of(&["Always", "Never", "OnFailure"], errors);
    } else if !rules.is_empty() {
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
        if is_init {
            return;
        }
    }
    if rules.list().len() > 20 {
        errors.push(Error::too_many(&rules.path, rules.list().len(), 20));
    }
    for rule in rules.items() {
        rule.at("action").one_of(&["Restart", "RestartAllContainers"], errors);
        let Some(codes) = rule.get("exitCodes") else {
            errors.push(rule.at("exitCodes").required("must be specified"));
            continue;
        };
        codes.at("operator").one_of(&["In", "NotIn"], errors);
        let values: &[Value] = codes.at("values").list();
        if values.len() > 255 {
            errors.push(Error::too_many(&codes.at("values").path, values.len(), 255));
        }
    }
}
