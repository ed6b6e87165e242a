//! The page of Endpoints.

use futures::FutureExt;

use super::tree::{list, number, text, text_or};
use super::{Events, Member, head};
use serde_json::Value;

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "Endpoints",
    events: Events::Own,
    write: |_, object, page| {
        async move {
            head(page, object);
            page.line(0, "Subsets:");
            for subset in list(&object["subsets"]) {
                page.field(1, "Addresses", addresses(&subset["addresses"]));
                page.field(1, "NotReadyAddresses", addresses(&subset["notReadyAddresses"]));
                let ports = list(&subset["ports"]);
                if !ports.is_empty() {
                    page.line(1, "Ports:");
                    page.headers(2, &["Name", "Port", "Protocol"]);
                }
                for port in ports {
                    let count = number(&port["port"]).to_string();
                    page.row(2, &[text_or(&port["name"], "<unset>"), &count, text(&port["protocol"])]);
                }
                page.line(0, "");
            }
            Ok(())
        }
        .boxed()
    },
};

fn addresses(value: &Value) -> String {
    let all: Vec<&str> = list(value).iter().map(|a| text(&a["ip"])).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
}
