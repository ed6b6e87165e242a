//! The page of a Deployment, with its old and new ReplicaSets.

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::time::date;
use super::tree::{either, number, owner, text};
use super::{Events, Member, conditions, labels, marks, template};
use crate::failure::Failure;
use crate::selection::encode;
use crate::session::Session;

pub(super) const MEMBER: Member = Member {
    group: "apps",
    kind: "Deployment",
    events: Events::Own,
    write: |session, object, page| {
        async move {
            // Without permission for ReplicaSets the lines about them are left out.
            let sets = replica_sets(session, object).await.unwrap_or_default();
            write(page, object);
            let Some((old, new)) = sets else { return Ok(()) };
            page.field(0, "OldReplicaSets", names(&old));
            page.field(0, "NewReplicaSet", names(&new));
            Ok(())
        }
        .boxed()
    },
};

fn write(page: &mut Page, object: &Value) {
    let (spec, status) = (&object["spec"], &object["status"]);
    page.field(0, "Name", text(&object["metadata"]["name"]));
    page.field(0, "Namespace", text(&object["metadata"]["namespace"]));
    page.field(0, "CreationTimestamp", date(&object["metadata"]["creationTimestamp"]));
    marks(page, object);
    page.field(0, "Selector", labels::selector(&spec["selector"]));
    let count = |field: &str| number(&status[field]);
    page.field(
        0,
        "Replicas",
        format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            number(&spec["replicas"]),
            count("updatedReplicas"),
            count("replicas"),
            count("availableReplicas"),
            count("unavailableReplicas")
        ),
    );
    page.field(0, "StrategyType", text(&spec["strategy"]["type"]));
    page.field(0, "MinReadySeconds", number(&spec["minReadySeconds"]));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let (unavailable, surge) = (either(&rolling["maxUnavailable"]), either(&rolling["maxSurge"]));
        page.field(0, "RollingUpdateStrategy", format!("{unavailable} max unavailable, {surge} max surge"));
    }
    template::write(page, &spec["template"]);
    conditions(page, object);
}

type Sets = (Vec<Value>, Vec<Value>);

/// (old, new) sets of the Deployment, the oldest first; `None` if it has none.
async fn replica_sets(session: &Session, deployment: &Value) -> Result<Option<Sets>, Failure> {
    let namespace = text(&deployment["metadata"]["namespace"]);
    let selector = encode(&labels::selector(&deployment["spec"]["selector"]));
    let path = format!("/apis/apps/v1/namespaces/{namespace}/replicasets?labelSelector={selector}");
    let mut sets = session.items(&path).await?;
    sets.retain(|set| owner(set).is_some_and(|o| o["uid"] == deployment["metadata"]["uid"]));
    let created = |set: &Value| text(&set["metadata"]["creationTimestamp"]).to_owned();
    sets.sort_by_key(|set| (created(set), text(&set["metadata"]["name"]).to_owned()));
    let wanted = &deployment["spec"]["template"];
    let new = sets.iter().position(|set| same_template(&set["spec"]["template"], wanted));
    let new: Vec<Value> = new.map(|at| sets.remove(at)).into_iter().collect();
    Ok((!sets.is_empty() || !new.is_empty()).then_some((sets, new)))
}

/// Whether two pod templates make the same pods.
pub fn same_template(a: &Value, b: &Value) -> bool {
    plain(a) == plain(b)
}

/// A template without the hash that the controller adds, and without empty fields.
fn plain(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    without_empty(template)
}

fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(k, v)| (k, without_empty(v))).filter(|(_, v)| !is_empty(v));
            Value::Object(kept.collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(without_empty).collect()),
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}

fn names(sets: &[Value]) -> String {
    let one = |set: &Value| {
        let (made, wanted) = (number(&set["status"]["replicas"]), number(&set["spec"]["replicas"]));
        format!("{} ({made}/{wanted} replicas created)", text(&set["metadata"]["name"]))
    };
    let all: Vec<String> = sets.iter().map(one).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(", ") }
}
