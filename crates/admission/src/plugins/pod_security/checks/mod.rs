//! What the levels ask of a pod: one file a check, and one list (upstream: `pod-security-admission/policy`).

mod allow_privilege_escalation;
mod app_armor_profile;
mod capabilities;
mod host_namespaces;
mod host_path_volumes;
mod host_ports;
mod host_probes;
mod privileged;
mod proc_mount;
mod restricted_volumes;
mod run_as;
mod se_linux_options;
mod seccomp_profile;
mod sysctls;
mod windows_host_process;

use std::collections::BTreeSet;

use kinds::view::View;
use meta::Object;

use super::level::{Level, Standard, Version};

/// A pod, or the template of one.
pub struct Pod<'a> {
    /// Its metadata.
    pub metadata: View<'a>,
    /// Its spec.
    pub spec: View<'a>,
}

/// What a check says against a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it is about, in a word or two.
    pub reason: String,
    /// Who does what.
    pub detail: String,
}

/// `None`: the pod is as it should be.
type Ask = fn(&Pod<'_>) -> Option<Violation>;

/// One check.
struct Check {
    level: Level,
    /// The check of the level below whose place it takes, and from which minor version on it does.
    instead_of: Option<(&'static str, u32)>,
    /// How upstream calls it.
    id: &'static str,
    /// From which minor version on it asks what.
    versions: &'static [(u32, Ask)],
}

const fn baseline(id: &'static str, versions: &'static [(u32, Ask)]) -> Check {
    Check { level: Level::Baseline, instead_of: None, id, versions }
}

const fn restricted(id: &'static str, versions: &'static [(u32, Ask)]) -> Check {
    Check { level: Level::Restricted, instead_of: None, id, versions }
}

impl Check {
    const fn instead_of(mut self, id: &'static str, since: u32) -> Self {
        self.instead_of = Some((id, since));
        self
    }
}

/// Every check, in the order in which messages name them: that of upstream's ids, level by level.
const ALL: &[Check] = &[
    baseline("appArmorProfile", &[(0, app_armor_profile::ask)]),
    baseline("capabilities_baseline", &[(0, capabilities::baseline)]),
    baseline("hostNamespaces", &[(0, host_namespaces::ask)]),
    baseline("hostPathVolumes", &[(0, host_path_volumes::ask)]),
    baseline("hostPorts", &[(0, host_ports::ask)]),
    baseline("hostProbesAndHostLifecycle", &[(34, host_probes::ask)]),
    baseline("privileged", &[(0, privileged::ask)]),
    baseline("procMount", &[(0, proc_mount::ask), (35, |pod| of_node_users(pod, proc_mount::ask))]),
    baseline("seLinuxOptions", &[(0, se_linux_options::since_0), (31, se_linux_options::since_31)]),
    baseline("seccompProfile_baseline", &[(0, seccomp_profile::annotations), (19, seccomp_profile::baseline)]),
    baseline(
        "sysctls",
        &[(0, sysctls::since_0), (27, sysctls::since_27), (29, sysctls::since_29), (32, sysctls::since_32)],
    ),
    baseline("windowsHostProcess", &[(0, windows_host_process::ask)]),
    restricted(
        "allowPrivilegeEscalation",
        &[(8, allow_privilege_escalation::ask), (25, |pod| of_linux(pod, allow_privilege_escalation::ask))],
    ),
    restricted(
        "capabilities_restricted",
        &[(22, capabilities::restricted), (25, |pod| of_linux(pod, capabilities::restricted))],
    )
    .instead_of("capabilities_baseline", 22),
    restricted("procMount_restricted", &[(35, proc_mount::ask)]).instead_of("procMount", 35),
    restricted("restrictedVolumes", &[(0, restricted_volumes::ask)]).instead_of("hostPathVolumes", 0),
    restricted("runAsNonRoot", &[(0, run_as::non_root), (35, |pod| of_node_users(pod, run_as::non_root))]),
    restricted("runAsUser", &[(23, run_as::user), (35, |pod| of_node_users(pod, run_as::user))]),
    restricted(
        "seccompProfile_restricted",
        &[(19, seccomp_profile::restricted), (25, |pod| of_linux(pod, seccomp_profile::restricted))],
    )
    .instead_of("seccompProfile_baseline", 19),
];

/// All that a level says against a pod. A version that is newer than all checks is the newest of theirs.
pub fn violations(standard: Standard, pod: &Pod<'_>) -> Vec<Violation> {
    let minor = match standard.version {
        Version::Minor(minor) => minor,
        Version::Latest => u32::MAX,
    };
    let replaced = |id: &str| {
        let here = ALL.iter().filter(|check| check.level <= standard.level).filter_map(|check| check.instead_of);
        here.into_iter().any(|(other, since)| other == id && since <= minor)
    };
    let asked = ALL.iter().filter(|check| check.level <= standard.level && !replaced(check.id));
    let newest = |check: &Check| check.versions.iter().rev().find(|(since, _)| *since <= minor).map(|(_, ask)| *ask);
    asked.filter_map(newest).filter_map(|ask| ask(pod)).collect()
}

/// Pods of Windows cannot have the fields that are asked for.
fn of_linux(pod: &Pod<'_>, ask: Ask) -> Option<Violation> {
    if pod.spec.at("os").text("name") == "windows" { None } else { ask(pod) }
}

/// Users of a pod that has its own are none of the node's.
fn of_node_users(pod: &Pod<'_>, ask: Ask) -> Option<Violation> {
    if pod.spec.at("hostUsers").bool() == Some(false) { None } else { ask(pod) }
}

impl<'a> Pod<'a> {
    /// An object of the kind.
    pub fn of(object: &'a Object) -> Self {
        Pod { metadata: View::of(object, "metadata"), spec: View::of(object, "spec") }
    }

    /// All containers of all sorts.
    fn containers(&self) -> impl Iterator<Item = View<'a>> + use<'a, '_> {
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| self.spec.each(list))
    }

    /// The pod's security context.
    fn security(&self) -> View<'a> {
        self.spec.at("securityContext")
    }

    /// The names of the containers for which this holds.
    fn where_container(&self, mut bad: impl FnMut(&View<'a>) -> bool) -> Vec<&'a str> {
        self.containers().filter(|container| bad(container)).map(|container| container.text("name")).collect()
    }

    /// Whoever has a bad security context: `pod`, `container "a"`, `pod and containers "a", "b"`; nobody: empty.
    fn setters(&self, mut bad: impl FnMut(&View<'a>) -> bool) -> String {
        let pod = bad(&self.security()).then(|| "pod".to_owned());
        let containers = self.where_container(|container| bad(&container.at("securityContext")));
        let containers = (!containers.is_empty()).then(|| named("container", &containers));
        pod.into_iter().chain(containers).collect::<Vec<_>>().join(" and ")
    }
}

/// `container "a"`, `containers "a", "b"`.
fn named<S: AsRef<str>>(what: &str, names: &[S]) -> String {
    format!("{} {}", plural(what, names.len()), listed(names))
}

fn plural(what: &str, count: usize) -> String {
    format!("{what}{}", if count == 1 { "" } else { "s" })
}

/// `"a", "b"`.
fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| format!("\"{}\"", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A violation of that reason, if there is a detail.
fn against(reason: &str, detail: impl Into<String>) -> Option<Violation> {
    let detail = detail.into();
    (!detail.is_empty()).then(|| Violation { reason: reason.to_owned(), detail })
}

/// Values in the order in which messages have them.
type Values<'a> = BTreeSet<&'a str>;
