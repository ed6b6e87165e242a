//! Warnings about pods and templates that are valid and yet hardly meant so (upstream:
//! `pkg/api/pod/warnings.go`).

use std::collections::{HashMap, HashSet};

use meta::Quantity;
use meta::field::Path;

use super::{CONTAINER_LISTS, overlaps};
use crate::validate::ip;
use crate::view::View;

const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "non-functional in v1.16+; use the \"priorityClassName\" field instead"),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

const OLD_VOLUMES: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

const OLD_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    ("failure-domain.beta.kubernetes.io/region", "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// All warnings about a pod or a template, given its metadata and its specification.
pub fn of(metadata: &View<'_>, spec: &View<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    placement(spec, &mut warnings);
    node_affinity(spec, &mut warnings);
    let annotations = metadata.at("annotations");
    for (key, message) in OLD_ANNOTATIONS.into_iter().filter(|(key, _)| annotations.has(key)) {
        warnings.push(format!("{}: {message}", annotations.path.key(key)));
    }
    for volume in spec.each("volumes") {
        let old = OLD_VOLUMES.into_iter().filter_map(|(name, message)| Some((volume.get(name)?, message)));
        warnings.extend(old.map(|(source, message)| format!("{}: {message}", source.path)));
    }
    overlaps::of(spec, &mut warnings);
    twice(spec, "hostAliases", "ip", &mut warnings);
    twice(spec, "imagePullSecrets", "name", &mut warnings);
    for secret in spec.each("imagePullSecrets").filter(|s| s.text("name").is_empty()) {
        warnings.push(format!("{}: invalid empty name \"\"", secret.at("name").path));
    }
    fractions(&spec.at("overhead"), &mut warnings);
    let containers: Vec<View<'_>> = CONTAINER_LISTS.into_iter().flat_map(|list| spec.each(list)).collect();
    for container in &containers {
        fractions(&container.at("resources").at("limits"), &mut warnings);
        fractions(&container.at("resources").at("requests"), &mut warnings);
        hidden_variables(container, &mut warnings);
    }
    ports(&containers, &mut warnings);
    port_names(&containers, &mut warnings);
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds < 0) {
        warnings.push(format!("{}: must be >= 0; negative values are invalid and will be treated as 1", grace.path));
    }
    null_selectors(spec, &mut warnings);
    let servers = spec.at("dnsConfig").each("nameservers");
    warnings.extend(servers.filter_map(|s| ip::warning(&s.path.to_string(), s.str())));
    let aliases = spec.each("hostAliases").map(|a| a.at("ip"));
    warnings.extend(aliases.filter_map(|a| ip::warning(&a.path.to_string(), a.str())));
    warnings
}

/// What is said of a label of nodes that nobody should use any more.
pub fn old_label(key: &str) -> Option<&'static str> {
    OLD_LABELS.iter().find(|(label, _)| *label == key).map(|(_, message)| *message)
}

fn placement(spec: &View<'_>, warnings: &mut Vec<String>) {
    let selector = spec.at("nodeSelector");
    for (key, _) in selector.pairs() {
        warnings.extend(old_label(key).map(|message| format!("{}: {message}", selector.path.key(key))));
    }
    for constraint in spec.each("topologySpreadConstraints") {
        let key = constraint.at("topologyKey");
        warnings.extend(old_label(key.str()).map(|message| format!("{}: {} is {message}", key.path, key.str())));
        if !constraint.has("labelSelector") {
            let path = constraint.at("labelSelector").path;
            warnings.push(format!("{path}: a null labelSelector results in matching no pod"));
        }
    }
}

/// Terms of an affinity to nodes: old labels, and values that no label can have.
fn node_affinity(spec: &View<'_>, warnings: &mut Vec<String>) {
    let affinity = spec.at("affinity").at("nodeAffinity");
    let required = affinity.at("requiredDuringSchedulingIgnoredDuringExecution").each("nodeSelectorTerms");
    let preferred = affinity.each("preferredDuringSchedulingIgnoredDuringExecution").map(|t| t.at("preference"));
    let terms = required.map(|term| (term, false)).chain(preferred.map(|term| (term, true)));
    for (requirement, check_values) in terms.flat_map(|(term, check)| term.each("matchExpressions").map(move |r| (r, check))) {
        let key = requirement.at("key");
        if let Some(message) = old_label(key.str()) {
            warnings.push(format!("{}: {} is {message}", key.path, key.str()));
        }
        for value in requirement.each("values").filter(|_| check_values) {
            let wrong = meta::text::label_value(value.str()).into_iter();
            warnings.extend(wrong.map(|m| format!("{}: {} is invalid, {m}", value.path, value.str())));
        }
    }
}

/// What is compared with everything before it is compared until there are this many warnings: no client is told more
/// (`limits::WARNINGS`).
pub(super) const MOST: usize = 1000;

fn twice(spec: &View<'_>, list: &str, field: &str, warnings: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for entry in spec.each(list) {
        let value = entry.text(field);
        if !seen.insert(value) {
            warnings.push(format!("{}: duplicate {field} {value:?}", entry.at(field).path));
        }
    }
}

fn fractions(list: &View<'_>, warnings: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        let Ok(amount) = Quantity::parse(list.text(name)) else { continue };
        if amount.milli_value() % 1000 != 0 && amount.milli_value() != i64::MAX {
            let shown = amount.to_string();
            warnings.push(format!("{}: fractional byte value {shown:?} is invalid, must be an integer", list.path.key(name)));
        }
    }
}

/// A variable that is set again, other than in terms of itself.
fn hidden_variables(container: &View<'_>, warnings: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for variable in container.each("env") {
        let (name, value) = (variable.text("name"), variable.text("value"));
        let reference = format!("$({name})");
        let extends = !variable.has("valueFrom") && value != reference && value.contains(&reference);
        if !seen.insert(name) && !extends {
            let detail = "which may be dropped when using apply";
            warnings.push(format!("{}: hides previous definition of {name:?}, {detail}", variable.path));
        }
    }
}

fn ports(containers: &[View<'_>], warnings: &mut Vec<String>) {
    let mut known: HashMap<(i64, &str), Ports<'_>> = HashMap::new();
    for port in containers.iter().flat_map(|c| c.each("ports")) {
        if warnings.len() >= MOST {
            return;
        }
        let others = known.entry((port.number("containerPort"), port.text("protocol"))).or_default();
        for other in others.near(&port).into_iter().map(|at| &others.all[at]) {
            let same_ip = port.text("hostIP") == other.text("hostIP");
            let (a, b) = (port.number("hostPort"), other.number("hostPort"));
            let any_ip = port.text("hostIP").is_empty() != other.text("hostIP").is_empty();
            let word = if same_ip && a == b {
                "duplicate"
            } else if a == 0 || b == 0 {
                "overlapping"
            } else if a == b && any_ip {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.push(format!("{}: {word} port definition with {}", port.path, other.path));
        }
        others.add(port);
    }
}

/// Ports of one number and protocol, by what makes two of them meet.
#[derive(Default)]
struct Ports<'a> {
    all: Vec<View<'a>>,
    /// By the port of the host.
    outside: HashMap<i64, Vec<usize>>,
    /// By the port and the address of the host.
    bound: HashMap<(i64, &'a str), Vec<usize>>,
}

impl<'a> Ports<'a> {
    fn add(&mut self, port: View<'a>) {
        let (outside, at) = (port.number("hostPort"), self.all.len());
        self.outside.entry(outside).or_default().push(at);
        self.bound.entry((outside, port.text("hostIP"))).or_default().push(at);
        self.all.push(port);
    }

    /// Those that may meet the port, in their order.
    fn near(&self, port: &View<'a>) -> Vec<usize> {
        let (outside, address) = (port.number("hostPort"), port.text("hostIP"));
        if outside == 0 {
            return (0..self.all.len()).collect();
        }
        let everywhere = self.outside.get(&0).into_iter();
        let mut near: Vec<usize> = if address.is_empty() {
            everywhere.chain(self.outside.get(&outside)).flatten().copied().collect()
        } else {
            let bound = [address, ""].into_iter().filter_map(|address| self.bound.get(&(outside, address)));
            everywhere.chain(bound).flatten().copied().collect()
        };
        near.sort_unstable();
        near
    }
}

fn port_names(containers: &[View<'_>], warnings: &mut Vec<String>) {
    let mut known: HashMap<&str, Path> = HashMap::new();
    for port in containers.iter().flat_map(|c| c.each("ports")).filter(|p| !p.text("name").is_empty()) {
        let name = port.text("name");
        if let Some(other) = known.get(name) {
            let detail = "services and probes that select ports by name will use";
            warnings.push(format!("{}: duplicate port name {name:?} with {other}, {detail} {other}", port.path));
        } else {
            known.insert(name, port.path);
        }
    }
}

fn null_selectors(spec: &View<'_>, warnings: &mut Vec<String>) {
    let mut check = |term: View<'_>| {
        if !term.has("labelSelector") {
            let path = term.at("labelSelector").path;
            warnings.push(format!("{path}: a null labelSelector results in matching no pod"));
        }
    };
    for pods in ["podAffinity", "podAntiAffinity"].into_iter().map(|f| spec.at("affinity").at(f)) {
        pods.each("requiredDuringSchedulingIgnoredDuringExecution").for_each(&mut check);
        let preferred = pods.each("preferredDuringSchedulingIgnoredDuringExecution");
        preferred.map(|weighted| weighted.at("podAffinityTerm")).for_each(&mut check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hidden_variables_and_double_ports() {
        let spec = json!({"containers": [{"name": "a", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
            "ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 80, "name": "x"}]}]});
        let warnings = of(&View::new(None, Path::new("metadata")), &View::new(Some(&spec), Path::new("spec")));
        assert_eq!(
            warnings,
            [
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[1]: duplicate port name \"x\" with spec.containers[0].ports[0], services and probes that \
                 select ports by name will use spec.containers[0].ports[0]",
            ]
        );
    }
}
