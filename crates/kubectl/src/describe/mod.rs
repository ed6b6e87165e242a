//! `kubectl describe`: one file for each kind with a page of its own; all others get the generic page.

mod certificatesigningrequest;
mod configmap;
mod containers;
mod deployment;
mod endpoints;
mod endpointslice;
mod env;
mod events;
mod generic;
mod labels;
mod namespace;
mod node;
mod node_pods;
mod page;
mod pod;
mod priorityclass;
mod quotas;
mod replicaset;
mod resources;
mod role;
mod rolebinding;
mod secret;
mod service;
mod serviceaccount;
mod template;
mod time;
mod tree;
mod volumes;

pub use time::since;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::discovery::Resource;
use crate::failure::Failure;
use crate::session::Session;
use events::About;
use page::Page;

/// Which events stand at the end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Events {
    /// None ever.
    Never,
    /// Those about the object.
    Own,
    /// Those about the object, whatever kind they name.
    AnyKind,
    /// Those of a node: its uid is its uid to controllers, its name to the node agent.
    Node,
}

/// A kind with a page of its own.
struct Member {
    group: &'static str,
    kind: &'static str,
    events: Events,
    write: for<'a> fn(&'a Session, &'a Value, &'a mut Page) -> BoxFuture<'a, Result<(), Failure>>,
}

static ALL: &[Member] = &[
    pod::MEMBER,
    node::MEMBER,
    namespace::MEMBER,
    service::MEMBER,
    deployment::MEMBER,
    replicaset::MEMBER,
    configmap::MEMBER,
    certificatesigningrequest::MEMBER,
    secret::MEMBER,
    serviceaccount::MEMBER,
    endpoints::MEMBER,
    endpointslice::MEMBER,
    priorityclass::MEMBER,
    role::ROLE,
    role::CLUSTER_ROLE,
    rolebinding::ROLE_BINDING,
    rolebinding::CLUSTER_ROLE_BINDING,
    quotas::RESOURCE_QUOTA,
    quotas::LIMIT_RANGE,
];

/// A pod template as the page of a workload shows it, its columns not set.
pub fn template(template: &Value) -> String {
    let mut page = Page::default();
    template::write(&mut page, template);
    page.plain()
}

/// The labels that the pods of a workload or Service have, in the form of a selector; `None` if it has no pods.
pub fn selector_of(object: &Value) -> Option<String> {
    let selector = &object["spec"]["selector"];
    match tree::text(&object["kind"]) {
        "ReplicationController" | "Service" if !tree::is_empty(selector) => Some(labels::joined(selector)),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => Some(labels::selector(selector)),
        _ => None,
    }
}

pub use deployment::same_template;

/// The page of one object, read anew.
pub async fn describe(
    session: &Session,
    resource: &Resource,
    namespace: &str,
    name: &str,
    with_events: bool,
) -> Result<String, Failure> {
    let object = session.get(&resource.object_path(namespace, name)).await?;
    let member = ALL.iter().find(|m| m.group == resource.group && m.kind == resource.kind).unwrap_or(&generic::MEMBER);
    let mut page = Page::default();
    (member.write)(session, &object, &mut page).await?;
    if with_events && member.events != Events::Never {
        events::write(&mut page, about(session, member.events, &object, &resource.kind).await);
    }
    Ok(page.finish())
}

/// A page shows what can be read: without permission for events it has none.
async fn about(session: &Session, which: Events, object: &Value, kind: &str) -> Vec<Value> {
    let own = About::object(object, if which == Events::AnyKind { "" } else { kind });
    let mut found = events::search(session, own).await.unwrap_or_default();
    if which == Events::Node {
        let by_name = About { uid: own.name, ..own };
        found.extend(events::search(session, by_name).await.unwrap_or_default());
    }
    found
}

/// Name and namespace, labels and annotations, as most pages begin.
fn head(page: &mut Page, object: &Value) {
    let metadata = &object["metadata"];
    page.field(0, "Name", tree::text(&metadata["name"]));
    page.field(0, "Namespace", tree::text(&metadata["namespace"]));
    marks(page, object);
}

/// Labels and annotations.
fn marks(page: &mut Page, object: &Value) {
    labels::labels(page, "Labels", &object["metadata"]["labels"]);
    labels::annotations(page, "Annotations", &object["metadata"]["annotations"]);
}

/// The table of conditions of a workload.
fn conditions(page: &mut Page, object: &Value) {
    let conditions = tree::list(&object["status"]["conditions"]);
    if conditions.is_empty() {
        return;
    }
    page.line(0, "Conditions:");
    page.headers(1, &["Type", "Status", "Reason"]);
    for c in conditions {
        page.line(1, format!("{} \t{}\t{}", tree::text(&c["type"]), tree::text(&c["status"]), tree::text(&c["reason"])));
    }
}
