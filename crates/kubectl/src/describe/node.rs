//! The page of a Node.

use std::collections::BTreeSet;

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::time::date;
use super::tree::{entries, list, text, text_or, texts, truth};
use super::{Events, Member, labels, marks, node_pods};
use crate::selection::encode;

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "Node",
    events: Events::Node,
    write: |session, object, page| {
        async move {
            let name = text(&object["metadata"]["name"]);
            let pods = node_pods::list_of(session, name).await?;
            let slices = encode(&format!("spec.nodeName={name}"));
            let slices = format!("/apis/resource.k8s.io/v1/resourceslices?fieldSelector={slices}");
            // A server without dynamic resources has none to show.
            let slices = session.items(&slices).await.unwrap_or_default();
            let lease = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
            let lease = session.get(&lease).await;
            identity(page, object);
            match lease {
                Ok(lease) => write_lease(page, &lease["spec"]),
                Err(failure) => page.field(0, "Lease", format!("Failed to get lease: {failure}")),
            }
            state(page, object, &slices);
            system(page, object);
            match pods {
                Some(pods) => node_pods::write(page, object, &pods),
                None => page.field(0, "Pods", "not authorized"),
            }
            Ok(())
        }
        .boxed()
    },
};

fn identity(page: &mut Page, node: &Value) {
    page.field(0, "Name", text(&node["metadata"]["name"]));
    let roles: BTreeSet<&str> = entries(&node["metadata"]["labels"])
        .into_iter()
        .filter_map(|(key, value)| match key {
            "kubernetes.io/role" => Some(text(value)),
            key => key.strip_prefix("node-role.kubernetes.io/"),
        })
        .filter(|role| !role.is_empty())
        .collect();
    let roles: Vec<&str> = roles.into_iter().collect();
    page.field(0, "Roles", if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") });
    marks(page, node);
    page.field(0, "CreationTimestamp", date(&node["metadata"]["creationTimestamp"]));
    labels::taints(page, &node["spec"]["taints"]);
    page.field(0, "Unschedulable", truth(&node["spec"]["unschedulable"]));
}

fn write_lease(page: &mut Page, spec: &Value) {
    let time = |field: &str| match spec[field].is_string() {
        true => date(&spec[field]),
        false => "<unset>".to_owned(),
    };
    page.line(0, "Lease:");
    page.field(1, "HolderIdentity", spec["holderIdentity"].as_str().unwrap_or("<unset>"));
    page.field(1, "AcquireTime", time("acquireTime"));
    page.field(1, "RenewTime", time("renewTime"));
}

fn state(page: &mut Page, node: &Value, slices: &[Value]) {
    let status = &node["status"];
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        page.line(0, "Conditions:");
        page.headers(1, &["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"]);
    }
    for c in conditions {
        let (heartbeat, transition) = (date(&c["lastHeartbeatTime"]), date(&c["lastTransitionTime"]));
        let (reason, message) = (text(&c["reason"]), text(&c["message"]));
        let (kind, state) = (text(&c["type"]), text(&c["status"]));
        page.line(1, format!("{kind} \t{state} \t{heartbeat} \t{transition} \t{reason} \t{message}"));
    }
    page.line(0, "Addresses:");
    for address in list(&status["addresses"]) {
        page.field(1, text(&address["type"]), text(&address["address"]));
    }
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        let all = entries(&status[field]);
        if !all.is_empty() {
            page.line(0, format!("{title}:"));
        }
        all.into_iter().for_each(|(name, amount)| page.field(1, name, text(amount)));
    }
    node_pods::slices(page, slices);
}

fn system(page: &mut Page, node: &Value) {
    let info = &node["status"]["nodeInfo"];
    page.line(0, "System Info:");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        page.field(1, title, text_or(&info[field], ""));
    }
    page.field_if(0, "PodCIDR", text(&node["spec"]["podCIDR"]));
    page.field_if(0, "PodCIDRs", &texts(&node["spec"]["podCIDRs"]).join(","));
    page.field_if(0, "ProviderID", text(&node["spec"]["providerID"]));
}
