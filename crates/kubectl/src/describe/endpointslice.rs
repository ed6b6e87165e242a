//! The page of an EndpointSlice.

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::tree::{list, text, text_or, texts};
use super::{Events, Member, head};

pub(super) const MEMBER: Member = Member {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    events: Events::Own,
    write: |_, object, page| {
        async move {
            head(page, object);
            page.field(0, "AddressType", text(&object["addressType"]));
            let ports = list(&object["ports"]);
            if ports.is_empty() {
                page.line(0, "Ports: <unset>");
            } else {
                page.line(0, "Ports:");
                page.headers(1, &["Name", "Port", "Protocol"]);
            }
            for port in ports {
                let count = port["port"].as_i64().map_or("<unset>".to_owned(), |n| n.to_string());
                page.row(1, &[text_or(&port["name"], "<unset>"), &count, text(&port["protocol"])]);
            }
            let endpoints = list(&object["endpoints"]);
            page.line(0, if endpoints.is_empty() { "Endpoints: <none>" } else { "Endpoints:" });
            endpoints.iter().for_each(|e| endpoint(page, e));
            Ok(())
        }
        .boxed()
    },
};

fn endpoint(page: &mut Page, endpoint: &Value) {
    let addresses = texts(&endpoint["addresses"]).join(", ");
    page.field(1, "- Addresses", if addresses.is_empty() { "<none>" } else { &addresses });
    page.line(2, "Conditions:");
    let ready = endpoint["conditions"]["ready"].as_bool().map_or("<unset>".to_owned(), |r| r.to_string());
    page.field(3, "Ready", ready);
    let or_unset = |field: &str| endpoint[field].as_str().unwrap_or("<unset>").to_owned();
    page.field(2, "Hostname", or_unset("hostname"));
    let target = &endpoint["targetRef"];
    if target.is_object() {
        page.field(2, "TargetRef", format!("{}/{}", text(&target["kind"]), text(&target["name"])));
    }
    page.field(2, "NodeName", or_unset("nodeName"));
    page.field(2, "Zone", or_unset("zone"));
}
