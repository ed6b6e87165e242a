//! The page of a Service.

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::tree::{either, list, number, text, text_or, texts};
use super::{Events, Member, head, labels};
use crate::selection::encode;

/// So many endpoints are named; of more, the count.
const SHOWN: usize = 3;

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "Service",
    events: Events::Own,
    write: |session, object, page| {
        async move {
            let metadata = &object["metadata"];
            let label = format!("kubernetes.io/service-name={}", text(&metadata["name"]));
            let base = "/apis/discovery.k8s.io/v1/namespaces";
            let path = format!("{base}/{}/endpointslices?labelSelector={}", text(&metadata["namespace"]), encode(&label));
            let slices = session.items(&path).await.unwrap_or_default();
            head(page, object);
            write(page, object, &slices);
            Ok(())
        }
        .boxed()
    },
};

fn write(page: &mut Page, object: &Value, slices: &[Value]) {
    let spec = &object["spec"];
    let joined = |field: &str| texts(&spec[field]).join(",");
    let or_none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
    page.field(0, "Selector", labels::joined(&spec["selector"]));
    page.field(0, "Type", text(&spec["type"]));
    page.field_if(0, "IP Family Policy", text(&spec["ipFamilyPolicy"]));
    page.field(0, "IP Families", or_none(joined("ipFamilies")));
    page.field(0, "IP", text(&spec["clusterIP"]));
    page.field(0, "IPs", or_none(joined("clusterIPs")));
    page.field_if(0, "External IPs", &joined("externalIPs"));
    page.field_if(0, "Desired LoadBalancer IP", text(&spec["loadBalancerIP"]));
    page.field_if(0, "External Name", text(&spec["externalName"]));
    page.field_if(0, "LoadBalancer Ingress", &ingress(&object["status"]["loadBalancer"]["ingress"]));
    list(&spec["ports"]).iter().for_each(|p| port(page, p, slices));
    page.field(0, "Session Affinity", text(&spec["sessionAffinity"]));
    page.field_if(0, "External Traffic Policy", text(&spec["externalTrafficPolicy"]));
    page.field_if(0, "Internal Traffic Policy", text(&spec["internalTrafficPolicy"]));
    if number(&spec["healthCheckNodePort"]) != 0 {
        page.field(0, "HealthCheck NodePort", number(&spec["healthCheckNodePort"]));
    }
    page.field_if(0, "LoadBalancer Source Ranges", &joined("loadBalancerSourceRanges"));
    page.field_if(0, "Traffic Distribution", text(&spec["trafficDistribution"]));
}

fn port(page: &mut Page, port: &Value, slices: &[Value]) {
    let (name, protocol) = (text_or(&port["name"], "<unset>"), text(&port["protocol"]));
    page.field(0, "Port", format!("{name}\t{}/{protocol}", number(&port["port"])));
    page.field(0, "TargetPort", format!("{}/{protocol}", either(&port["targetPort"])));
    page.field_if(0, "AppProtocol", text(&port["appProtocol"]));
    if number(&port["nodePort"]) != 0 {
        page.field(0, "NodePort", format!("{name}\t{}/{protocol}", number(&port["nodePort"])));
    }
    page.field(0, "Endpoints", endpoints(slices, text(&port["name"])));
}

fn ingress(ingress: &Value) -> String {
    let one = |i: &Value| match (text(&i["ip"]), text(&i["ipMode"])) {
        ("", _) => text(&i["hostname"]).to_owned(),
        (ip, "") => ip.to_owned(),
        (ip, mode) => format!("{ip} ({mode})"),
    };
    list(ingress).iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The ready endpoints behind a port of the Service.
fn endpoints(slices: &[Value], port_name: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let (mut shown, mut ready, mut more) = (Vec::new(), 0, false);
    let mut add = |endpoint: &Value, port: Option<i64>| {
        // As upstream: one that is not ready counts as seen, but not as an endpoint.
        more |= shown.len() == SHOWN;
        if !endpoint["conditions"]["ready"].as_bool().unwrap_or(true) {
            return;
        }
        ready += 1;
        if !more {
            let address = text(&endpoint["addresses"][0]);
            shown.push(match port {
                None => address.to_owned(),
                Some(port) if address.contains(':') => format!("[{address}]:{port}"),
                Some(port) => format!("{address}:{port}"),
            });
        }
    };
    for slice in slices {
        let ports = list(&slice["ports"]);
        let fitting = ports.iter().filter(|p| text(&p["name"]) == port_name).map(|p| Some(number(&p["port"])));
        let each: Vec<Option<i64>> = if ports.is_empty() { vec![None] } else { fitting.collect() };
        for port in each {
            list(&slice["endpoints"]).iter().for_each(|e| add(e, port));
        }
    }
    match more {
        true => format!("{} + {} more...", shown.join(","), ready - SHOWN),
        false => shown.join(","),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::endpoints;

    #[test]
    fn three_endpoints_are_named_and_the_others_counted() {
        let endpoint = |n: u8, ready: bool| json!({"addresses": [format!("10.0.0.{n}")], "conditions": {"ready": ready}});
        let slice = |all: Vec<serde_json::Value>| [json!({"ports": [{"name": "", "port": 80}], "endpoints": all})];
        let ready = |n: u8| (1..=n).map(|i| endpoint(i, true)).collect::<Vec<_>>();
        assert_eq!(endpoints(&[], ""), "<none>");
        assert_eq!(endpoints(&slice(ready(2)), ""), "10.0.0.1:80,10.0.0.2:80");
        assert_eq!(endpoints(&slice(ready(5)), ""), "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
        assert_eq!(endpoints(&slice(vec![endpoint(1, false)]), ""), "");
    }
}
