//! `fieldRef` and `resourceFieldRef`: a pod's own fields as text.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Node, ObjectFieldSelector, Pod, ResourceFieldSelector};
use meta::Quantity;

use crate::spec;

/// What is known of pod and node, beside the objects' specs.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Addresses of the pod.
    pub pod_ips: Vec<IpAddr>,
    /// Addresses of the node.
    pub host_ips: Vec<IpAddr>,
    /// What pods may use of the node; stands in for limits that are not set.
    pub allocatable: BTreeMap<String, Quantity>,
}

impl Facts {
    /// `status.allocatable` of a node.
    pub fn allocatable_of(node: &Node) -> BTreeMap<String, Quantity> {
        let list = node.status.as_ref().and_then(|s| s.allocatable.as_ref()).into_iter().flatten();
        list.filter_map(|(k, q)| Some((k.clone(), Quantity::parse(&q.0).ok()?))).collect()
    }
}

/// The text of a pod's field.
pub fn field(pod: &Pod, selector: &ObjectFieldSelector, facts: &Facts) -> Result<String, String> {
    let path = selector.field_path.as_str();
    let join = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let first = |ips: &[IpAddr]| ips.first().map(ToString::to_string).unwrap_or_default();
    Ok(match path {
        "metadata.name" => spec::name(pod).to_owned(),
        "metadata.namespace" => spec::namespace(pod).to_owned(),
        "metadata.uid" => spec::uid(pod).to_owned(),
        "metadata.labels" => lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => spec::of(pod).node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec::of(pod).service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => join(&facts.host_ips),
        "status.podIP" => first(&facts.pod_ips),
        "status.podIPs" => join(&facts.pod_ips),
        _ => return subscript(pod, path),
    })
}

/// `metadata.labels['x']` and `metadata.annotations['x']`.
fn subscript(pod: &Pod, path: &str) -> Result<String, String> {
    let parts = path.split_once("['").and_then(|(map, key)| Some((map, key.strip_suffix("']")?)));
    let map = match parts.map(|(map, _)| map) {
        Some("metadata.labels") => pod.metadata.labels.as_ref(),
        Some("metadata.annotations") => pod.metadata.annotations.as_ref(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    };
    let key = parts.map(|(_, key)| key).unwrap_or_default();
    Ok(map.and_then(|m| m.get(key)).cloned().unwrap_or_default())
}

/// One `key="value"` a line, by key.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let quote = |v: &String| serde_json::Value::from(v.as_str()).to_string();
    map.into_iter().flatten().map(|(k, v)| format!("{k}={}", quote(v))).collect::<Vec<_>>().join("\n")
}

/// The text of a container's request or limit, in units of the divisor, rounded up.
pub fn resource(container: &Container, selector: &ResourceFieldSelector, facts: &Facts) -> Result<String, String> {
    let unsupported = || format!("Unsupported container resource : {}", selector.resource);
    let (kind, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let amount = match kind {
        "limits" => spec::amount(container, true, name).or_else(|| facts.allocatable.get(name).copied()),
        "requests" => spec::amount(container, false, name),
        _ => return Err(unsupported()),
    };
    let amount = amount.unwrap_or(Quantity::ZERO);
    let divisor = selector.divisor.as_ref().and_then(|d| Quantity::parse(&d.0).ok()).filter(|d| d.sign() > 0);
    let (amount, divisor) = if name == "cpu" {
        (amount.milli_value(), divisor.map_or(1000, |d| d.milli_value()))
    } else {
        (amount.value(), divisor.map_or(1, |d| d.value()))
    };
    let quotient = amount / divisor + i64::from(amount % divisor != 0);
    Ok(quotient.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_round_up_and_fall_back_to_the_node() {
        let c: Container = serde_json::from_value(json!({"name": "c", "resources": {"limits": {"memory": "100Mi"},
            "requests": {"cpu": "250m"}}})).expect("container");
        let mut facts = Facts::default();
        facts.allocatable.insert("cpu".to_owned(), Quantity::parse("4").expect("quantity"));
        let get = |r: &str, d: Option<&str>| {
            let s = ResourceFieldSelector {
                resource: r.to_owned(),
                divisor: d.map(|d| k8s_openapi::apimachinery::pkg::api::resource::Quantity(d.to_owned())),
                ..Default::default()
            };
            resource(&c, &s, &facts)
        };
        assert_eq!(get("requests.cpu", None), Ok("1".to_owned()));
        assert_eq!(get("requests.cpu", Some("1m")), Ok("250".to_owned()));
        assert_eq!(get("limits.memory", Some("1Mi")), Ok("100".to_owned()));
        assert_eq!(get("limits.cpu", None), Ok("4".to_owned()));
        assert!(get("cpu", None).is_err());
    }
}
