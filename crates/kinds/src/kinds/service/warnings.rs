//! What a client is told about a service that is no error (upstream: `pkg/api/service/warnings.go`).

use meta::Object;

use crate::validate::ip;
use crate::view::View;

/// Warnings about addresses and about fields that have no effect.
pub(super) fn service(object: &Object) -> Vec<String> {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    let spec = View::of(object, "spec");
    let (sort, balancer, outside) = (spec.text("type"), spec.at("loadBalancerIP"), spec.at("externalIPs"));
    let of = |address: View<'_>| ip::warning(&address.path.to_string(), address.str());
    let mut warnings = Vec::new();
    if object.annotation(HINTS).is_some() {
        let advice = "please use service.kubernetes.io/topology-mode instead";
        warnings.push(format!("annotation {HINTS} is deprecated, {advice}"));
    }
    warnings.extend(spec.each("clusterIPs").filter(|a| a.str() != "None").filter_map(of));
    let headless = sort == "ClusterIP" && spec.text("clusterIP") == "None";
    let ignored = [
        (headless && !balancer.str().is_empty(), "spec.loadBalancerIP is ignored for headless services"),
        (headless && !outside.is_empty(), "spec.externalIPs is ignored for headless services"),
        (headless && spec.text("sessionAffinity") != "None", "spec.SessionAffinity is ignored for headless services"),
    ];
    let say = |list: &[(bool, &str)]| list.iter().filter(|(yes, _)| *yes).map(|(_, text)| (*text).to_owned()).collect::<Vec<_>>();
    warnings.extend(say(&ignored));
    warnings.extend(outside.items().filter_map(of));
    let used = !outside.is_empty() && !headless && sort != "ExternalName";
    warnings.extend(say(&[(used, "spec.externalIPs is deprecated and may no longer be implemented in some clusters")]));
    if !balancer.str().is_empty() {
        warnings.extend(of(balancer));
    }
    let ranges = spec.each("loadBalancerSourceRanges");
    warnings.extend(ranges.filter_map(|r| ip::range_warning(&r.path.to_string(), r.str())));
    let prefers_close = spec.text("trafficDistribution") == "PreferClose";
    warnings.extend(say(&[
        (sort == "ExternalName" && !outside.is_empty(), "spec.externalIPs is ignored when spec.type is \"ExternalName\""),
        (
            sort != "ExternalName" && !spec.text("externalName").is_empty(),
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ),
        (prefers_close, "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""),
    ]));
    warnings
}

/// Warnings about the addresses of a load balancer.
pub(super) fn status(object: &Object) -> Vec<String> {
    let ingress = View::of(object, "status").at("loadBalancer").at("ingress");
    ingress.items().filter_map(|entry| ip::warning(&entry.path.to_string(), entry.text("ip"))).collect()
}
