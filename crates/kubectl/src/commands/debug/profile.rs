//! What a profile changes in the pod of a debugging session (upstream: `kubectl/pkg/cmd/debug/profiles.go`).

use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// The set of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Legacy,
    General,
    Baseline,
    Restricted,
    Netadmin,
    Sysadmin,
}

/// The pod in which the debugging container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The one that is debugged.
    Ephemeral,
    /// A copy of it.
    Copy,
    /// One of its own, on the node that is debugged.
    Node,
}

/// What a copy keeps of its original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    pub labels: bool,
    pub annotations: bool,
    pub liveness: bool,
    pub readiness: bool,
    pub startup: bool,
    pub init_containers: bool,
}

impl Profile {
    /// The profile of that name.
    pub fn named(name: &str) -> Result<Profile, Failure> {
        Ok(match name {
            "legacy" => Profile::Legacy,
            "general" => Profile::General,
            "baseline" => Profile::Baseline,
            "restricted" => Profile::Restricted,
            "netadmin" => Profile::Netadmin,
            "sysadmin" => Profile::Sysadmin,
            other => return Err(Failure::message(format!("unknown profile: {other}"))),
        })
    }

    /// Changes the pod, and the container of that name in it.
    pub fn apply(self, pod: &mut Value, container: &str, style: Style, keep: Keep) {
        if style == Style::Copy {
            self.reduce(pod, keep);
        }
        if style == Style::Node {
            if matches!(self, Profile::Legacy | Profile::General | Profile::Sysadmin) {
                mount_root(pod, container);
            }
            if !matches!(self, Profile::Baseline | Profile::Restricted) {
                ["hostNetwork", "hostPID", "hostIPC"].iter().for_each(|field| pod["spec"][field] = Value::Bool(true));
            }
        }
        let Some(container) = super::container_mut(pod, container) else { return };
        let clears = matches!(self, Profile::Baseline | Profile::Restricted) || (self, style) == (Profile::General, Style::Node);
        if clears && let Some(fields) = container.as_object_mut() {
            fields.remove("securityContext");
        }
        match self {
            Profile::General if style != Style::Node => add(container, &["SYS_PTRACE"]),
            Profile::Netadmin => add(container, &["NET_ADMIN", "NET_RAW"]),
            Profile::Sysadmin => container["securityContext"]["privileged"] = Value::Bool(true),
            Profile::Restricted => {
                container["securityContext"] = json!({
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "runAsNonRoot": true,
                    "seccompProfile": {"type": "RuntimeDefault"},
                });
            }
            Profile::Legacy | Profile::General | Profile::Baseline => {}
        }
    }

    /// Takes away what a copy does not keep.
    fn reduce(self, pod: &mut Value, keep: Keep) {
        let remove = |object: &mut Value, field: &str| object.as_object_mut().and_then(|fields| fields.remove(field));
        if self == Profile::Legacy {
            remove(&mut pod["metadata"], "labels");
            return;
        }
        for (field, kept) in [("labels", keep.labels), ("annotations", keep.annotations)] {
            if !kept {
                remove(&mut pod["metadata"], field);
            }
        }
        let probes =
            [("livenessProbe", keep.liveness), ("readinessProbe", keep.readiness), ("startupProbe", keep.startup)];
        for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
            probes.iter().filter(|(_, kept)| !kept).for_each(|(probe, _)| drop(remove(container, probe)));
        }
        if !keep.init_containers {
            remove(&mut pod["spec"], "initContainers");
        }
        if pod["spec"]["shareProcessNamespace"].is_null() {
            pod["spec"]["shareProcessNamespace"] = Value::Bool(true);
        }
    }
}

/// The node's files, at `/host`.
fn mount_root(pod: &mut Value, container: &str) {
    const NAME: &str = "host-root";
    push(&mut pod["spec"]["volumes"], json!({"name": NAME, "hostPath": {"path": "/"}}));
    if let Some(container) = super::container_mut(pod, container) {
        push(&mut container["volumeMounts"], json!({"name": NAME, "mountPath": "/host"}));
    }
}

fn add(container: &mut Value, capabilities: &[&str]) {
    let context = &mut container["securityContext"];
    if context.is_null() {
        *context = Value::Object(Map::new());
    }
    capabilities.iter().for_each(|name| push(&mut context["capabilities"]["add"], Value::from(*name)));
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(list) => list.push(item),
        other => *other = json!([item]),
    }
}
