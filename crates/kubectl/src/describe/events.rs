//! The events about an object, and their table.

use serde_json::Value;

use super::page::Page;
use super::time::since;
use super::tree::{first, number, text};
use crate::failure::Failure;
use crate::selection::encode;
use crate::session::Session;

/// Which events are meant; an empty field selects nothing by itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The object's namespace, empty for cluster-wide ones.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

impl<'a> About<'a> {
    /// Events of an object that was read from the server.
    pub fn object(object: &'a Value, kind: &'a str) -> About<'a> {
        let field = |key: &str| text(&object["metadata"][key]);
        // A node speaks of its static pod by the number that the mirror pod has of it (upstream: `describePod`).
        let shows = text(&object["metadata"]["annotations"]["kubernetes.io/config.mirror"]);
        About { namespace: field("namespace"), name: field("name"), kind, uid: if shows.is_empty() { field("uid") } else { shows } }
    }
}

/// The events, in the server's order.
pub async fn search(session: &Session, about: About<'_>) -> Result<Vec<Value>, Failure> {
    let mut terms = vec![
        ("involvedObject.name", about.name),
        ("involvedObject.namespace", about.namespace),
        ("involvedObject.kind", about.kind),
        ("involvedObject.uid", about.uid),
    ];
    terms.retain(|(field, value)| !value.is_empty() || field.ends_with(".namespace"));
    let selector = terms.into_iter().map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(",");
    let base = match about.namespace {
        "" => "/api/v1/events".to_owned(),
        namespace => format!("/api/v1/namespaces/{namespace}/events"),
    };
    session.items(&format!("{base}?fieldSelector={}", encode(&selector))).await
}

/// Writes the table, the events seen last at its end.
pub fn write(page: &mut Page, mut events: Vec<Value>) {
    if events.is_empty() {
        page.field(0, "Events", "<none>");
        return;
    }
    page.part();
    events.sort_by_key(|e| meta::time::parse(text(&e["lastTimestamp"])));
    page.line(0, "Events:");
    page.row(1, &["Type", "Reason", "Age", "From", "Message"]);
    page.row(1, &["----", "------", "----", "----", "-------"]);
    for event in &events {
        page.row(1, &[text(&event["type"]), text(&event["reason"]), &age(event), source(event), &message(event)]);
    }
}

fn age(event: &Value) -> String {
    let start = if event["eventTime"].is_string() { &event["eventTime"] } else { &event["firstTimestamp"] };
    let (series, count) = (&event["series"], number(&event["count"]));
    if series.is_object() {
        let last = since(&series["lastObservedTime"]);
        return format!("{last} (x{} over {})", number(&series["count"]), since(start));
    }
    if count > 1 {
        return format!("{} (x{count} over {})", since(&event["lastTimestamp"]), since(start));
    }
    since(start)
}

fn source(event: &Value) -> &str {
    first(&[text(&event["source"]["component"]), text(&event["reportingComponent"])])
}

fn message(event: &Value) -> String {
    let message = text(&event["message"]).trim();
    match text(&event["involvedObject"]["fieldPath"]) {
        "" => message.to_owned(),
        path => format!("{path}: {message}"),
    }
}
