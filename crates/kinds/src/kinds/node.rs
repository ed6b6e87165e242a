//! Node.

use std::collections::{BTreeSet, HashSet};

use meta::Object;
use meta::field::{Error, Errors, Path};
use meta::text::quoted;
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::{CHANGE, Descriptor, PROXY};
use crate::podspec::resources::canonical;
use crate::print::{AGE, NAME, or, wide};
use crate::rules::{Column, Context, Rules, Word, age};
use crate::tree::{child_mut, child_or_new, default_absent, only_status, restore};
use crate::validate::ip;
use crate::validate::resources::amount;
use crate::validate::taint::taints;
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

static COLUMNS: [Column; 10] = [
    NAME,
    crate::print::text("Status", "Whether it can run pods"),
    crate::print::text("Roles", "Roles by label"),
    AGE,
    crate::print::text("Version", "Version of its agent"),
    wide("Internal-IP", "Address within the cluster"),
    wide("External-IP", "Address from outside"),
    wide("OS-Image", "Operating system"),
    wide("Kernel-Version", "Kernel"),
    wide("Container-Runtime", "Container runtime"),
];

struct Node;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Node", "nodes", Node)
        .cluster_scoped()
        .short("no")
        .stored_at("/registry/minions/")
        .sub_of("proxy", ("", "v1", "NodeProxyOptions"), PROXY)
        .sub("status", CHANGE)
}

impl Rules for Node {
    fn default(&self, object: &mut Object) {
        object.set_default("spec", json!({}));
        pod_cidrs(object);
        let status = child_or_new(object.fields_mut(), "status");
        for list in ["capacity", "allocatable"] {
            if let Some(list) = child_mut(status, list) {
                canonical(list);
            }
        }
        if let Some(capacity) = status.get("capacity").cloned() {
            default_absent(status, "allocatable", capacity);
        }
        let endpoint = child_or_new(child_or_new(status, "daemonEndpoints"), "kubeletEndpoint");
        default_absent(endpoint, "Port", 0);
        let info = child_or_new(status, "nodeInfo");
        for name in [
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "containerRuntimeVersion",
            "kubeletVersion",
            "kubeProxyVersion",
            "operatingSystem",
            "architecture",
        ] {
            default_absent(info, name, "");
        }
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.remove("spec.configSource");
        object.remove("status.config");
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
        if old.at("spec.configSource").is_none() {
            new.remove("spec.configSource");
        }
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        if subresource == "status" {
            only_status(new, old);
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let spec = View::of(object, "spec");
        taints(&spec.at("taints"), &Path::new("metadata").child("taints"), &mut errors);
        amounts(object, &mut errors);
        let swap = View::of(object, "status").at("nodeInfo").at("swap");
        if swap.get("capacity").is_some_and(|bytes| bytes.int().is_some_and(|n| n <= 0)) {
            let path = Path::new("metadata").child("nodeSwapStatus").child("capacity");
            errors.push(Error::invalid(&path, swap.number("capacity"), "must be greater than 0"));
        }
        declared_features(&View::of(object, "status").at("declaredFeatures"), &mut errors);
        let ranges = spec.at("podCIDRs");
        let nets: Vec<_> = ranges.items().filter_map(|r| ip::range(&r, false, &mut errors)).collect();
        let families: HashSet<bool> = nets.iter().map(|n| n.addr().is_ipv4()).collect();
        let broken = ranges.list().len() != nets.len();
        if broken && ranges.list().len() > 1 {
            let odd = ranges.items().enumerate().find(|(_, r)| r.str().parse::<ipnet::IpNet>().is_err());
            errors.extend(odd.map(|(i, r)| {
                let why = format!("invalid CIDR[{i}]: <nil> (invalid CIDR address: {})", r.str());
                Error::internal(&ranges.path, format!("invalid PodCIDRs. failed to check with dual stack with error:{why}"))
            }));
            errors.push(ranges.invalid("may specify no more than one CIDR for each IP family"));
        } else if nets.len() > 1 && (nets.len() > 2 || families.len() != nets.len()) {
            errors.push(ranges.invalid("may specify no more than one CIDR for each IP family"));
        }
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors.extend(self.validate_subresource("status", new, old));
        errors
    }

    /// `status`, and what updates of both halves have in common.
    fn validate_subresource(&self, _subresource: &str, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        amounts(new, &mut errors);
        declared_features(&View::of(new, "status").at("declaredFeatures"), &mut errors);
        let mut seen = HashSet::new();
        for address in View::of(new, "status").each("addresses") {
            if !seen.insert((address.text("type"), address.text("address"))) {
                let shown = format!(r#"{{"Type":{:?},"Address":{:?}}}"#, address.text("type"), address.text("address"));
                errors.push(Error::duplicate(&address.path, Value::Null).showing(shown));
            }
        }
        let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
        let forbid = |field: &str, detail: &str| Error::forbidden(&is.path.child(field), detail);
        if !was.at("podCIDRs").is_empty() && was.at("podCIDRs").list() != is.at("podCIDRs").list() {
            errors.push(forbid("podCIDRs", "node updates may not change podCIDR except from \"\" to valid"));
        }
        if !was.text("providerID").is_empty() && was.text("providerID") != is.text("providerID") {
            errors.push(forbid("providerID", "node updates may not change providerID except from \"\" to valid"));
        }
        taints(&is.at("taints"), &Path::new("metadata").child("taints"), &mut errors);
        if is.text("externalID") != was.text("externalID") {
            errors.push(forbid("externalID", "may not be updated"));
        }
        errors
    }

    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        let externally = !new.str_at("spec.externalID").is_empty();
        let warning = "spec.externalID: this field is deprecated, and is unused by Kubernetes";
        let ranges = View::of(new, "spec").each("podCIDRs");
        let ranges = ranges.filter_map(|r| ip::range_warning(&r.path.to_string(), r.str()));
        externally.then(|| warning.to_owned()).into_iter().chain(ranges).collect()
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        vec![("spec.unschedulable".into(), object.bool_at("spec.unschedulable").unwrap_or(false).to_string())]
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let info = View::of(object, "status").at("nodeInfo");
        let known = |field| or(info.text(field), "<unknown>");
        let kernel = match info.text("architecture") {
            "" => known("kernelVersion").to_owned(),
            architecture => format!("{} ({architecture})", known("kernelVersion")),
        };
        vec![
            object.name().into(),
            status(object).into(),
            roles(object).into(),
            age(object, now).into(),
            info.text("kubeletVersion").into(),
            address(object, "InternalIP").into(),
            address(object, "ExternalIP").into(),
            known("osImage").into(),
            kernel.into(),
            known("containerRuntimeVersion").into(),
        ]
    }
}

/// Keeps the singular field equal to the first of the plural one.
fn pod_cidrs(object: &mut Object) {
    let one = object.str_at("spec.podCIDR").to_owned();
    let first = object.list_at("spec.podCIDRs").first().and_then(Value::as_str).unwrap_or("").to_owned();
    if !one.is_empty() && one != first {
        object.set("spec.podCIDRs", json!([one]));
    } else if one.is_empty() && !first.is_empty() {
        object.set("spec.podCIDR", first);
    }
}

/// Why a name is none of a feature: `MyFeature`, `MyFeature/mySubFeature`.
fn feature_name(name: &str) -> Option<String> {
    const LONGEST: usize = 253;
    if name.len() > LONGEST {
        return Some(format!("invalid feature name {}: must be no more than {LONGEST} characters", quoted(name)));
    }
    let word = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(|c| c.is_ascii_alphanumeric());
    let good = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('/').all(word);
    let rule = "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or \
                MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
    (!good).then(|| format!("invalid feature name {}: {rule}", quoted(name)))
}

/// Names of features, sorted, each once.
fn declared_features(features: &View<'_>, errors: &mut Errors) {
    let names: Vec<View<'_>> = features.items().collect();
    for (i, name) in names.iter().enumerate() {
        errors.extend(feature_name(name.str()).map(|why| name.invalid(why)));
        match names.get(i + 1) {
            Some(next) if next.str() == name.str() => errors.push(Error::duplicate(&next.path, next.str())),
            Some(next) if next.str() < name.str() => errors.push(next.invalid("list must be sorted alphabetically")),
            _ => {}
        }
    }
}

fn amounts(object: &Object, errors: &mut Errors) {
    for list in ["capacity", "allocatable"] {
        let list = View::of(object, "status").at(list);
        for (name, value) in list.map() {
            amount(name, &View::new(Some(value), list.path.child(name)), errors);
        }
    }
}

fn status(object: &Object) -> String {
    let mut conditions = View::of(object, "status").each("conditions");
    let ready = conditions.find(|c| c.text("type") == "Ready");
    let word = ready.map_or("Unknown", |c| if c.text("status") == "True" { "Ready" } else { "NotReady" });
    let cordoned = object.bool_at("spec.unschedulable") == Some(true);
    format!("{word}{}", if cordoned { ",SchedulingDisabled" } else { "" })
}

fn roles(object: &Object) -> String {
    let role = |(key, value): (&str, &str)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()).filter(|r| !r.is_empty()),
        None => (key == "kubernetes.io/role" && !value.is_empty()).then(|| value.to_owned()),
    };
    let roles: BTreeSet<String> = object.labels().filter_map(role).collect();
    or(&roles.into_iter().collect::<Vec<_>>().join(","), "<none>").to_owned()
}

fn address<'a>(object: &'a Object, sort: &str) -> &'a str {
    let mut addresses = View::of(object, "status").each("addresses");
    addresses.find(|a| a.text("type") == sort).map_or("<none>", |a| a.text("address"))
}
