//! The page of a ReplicaSet, and the count of its pods.

use futures::FutureExt;
use serde_json::Value;

use super::tree::{controller, number, owner, text};
use super::{Events, Member, conditions, labels, marks, template};
use crate::failure::Failure;
use crate::selection::encode;
use crate::session::Session;

pub(super) const MEMBER: Member = Member {
    group: "apps",
    kind: "ReplicaSet",
    events: Events::Own,
    write: |session, object, page| {
        async move {
            let counts = pods(session, object).await;
            page.field(0, "Name", text(&object["metadata"]["name"]));
            page.field(0, "Namespace", text(&object["metadata"]["namespace"]));
            page.field(0, "Selector", labels::selector_or_none(&object["spec"]["selector"]));
            marks(page, object);
            page.field_if(0, "Controlled By", &controller(object).unwrap_or_default());
            let (current, wanted) = (number(&object["status"]["replicas"]), number(&object["spec"]["replicas"]));
            page.field(0, "Replicas", format!("{current} current / {wanted} desired"));
            page.field(0, "Pods Status", counts.unwrap_or_else(|e| format!("error in fetching pods: {e}")));
            template::write(page, &object["spec"]["template"]);
            conditions(page, object);
            Ok(())
        }
        .boxed()
    },
};

/// `3 Running / 0 Waiting / 0 Succeeded / 0 Failed`.
async fn pods(session: &Session, set: &Value) -> Result<String, Failure> {
    let selector = encode(&labels::selector(&set["spec"]["selector"]));
    let namespace = text(&set["metadata"]["namespace"]);
    let found = session.items(&format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")).await?;
    let own = |pod: &&Value| owner(pod).is_some_and(|o| o["uid"] == set["metadata"]["uid"]);
    let own: Vec<&str> = found.iter().filter(own).map(|pod| text(&pod["status"]["phase"])).collect();
    let count = |phase: &str| own.iter().filter(|p| **p == phase).count();
    Ok(format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    ))
}
