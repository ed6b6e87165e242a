//! `kubectl rollout status`.

use futures::{FutureExt, StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::{Verb, Work};
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{number, on, seconds_of, switch, time};
use crate::selection::encode;
use crate::session::{JSON, Session};

pub(super) static VERB: Verb = Verb {
    command: |command| {
        command
            .arg(switch("watch", true, "Wait for the end").short('w'))
            .arg(number("revision", "Only while this is the newest revision"))
            .arg(time("timeout", "How long to wait").default_value("0s"))
    },
    name: "status",
    about: "Show the status of the rollout",
    run: |work| run(work).boxed(),
};

/// Shows how far a rollout is, and follows it to its end.
async fn run(work: Work<'_>) -> Result<(), Failure> {
    let following = follow(work.session, on(work.matches, "watch"), work.resource, work.object);
    match seconds_of(work.matches, "timeout").filter(|s| *s > 0.0) {
        None => following.await,
        Some(seconds) => tokio::time::timeout(std::time::Duration::from_secs_f64(seconds), following)
            .await
            .map_err(|_| Failure::message("timed out waiting for the condition"))?,
    }
}

fn at<'v>(object: &'v Value, field: &str) -> &'v str {
    object["metadata"][field].as_str().unwrap_or("")
}

async fn follow(session: &Session, watch: bool, resource: &Resource, mut object: Value) -> Result<(), Failure> {
    let (namespace, name) = (at(&object, "namespace").to_owned(), at(&object, "name").to_owned());
    let mut shown = String::new();
    loop {
        if step(resource, &object, &mut shown)? || !watch {
            return Ok(());
        }
        let field = encode(&format!("metadata.name={name}"));
        let version = at(&object, "resourceVersion");
        let path =
            format!("{}?fieldSelector={field}&watch=true&resourceVersion={version}", resource.path(&namespace));
        let body = session.stream("GET", &path, JSON, None).await?;
        let bytes = body.into_data_stream().map_err(std::io::Error::other).boxed();
        let mut lines = StreamReader::new(bytes).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event["type"].as_str() {
                Some("DELETED") => return Err(Failure::message("object has been deleted")),
                Some("ERROR") => break,
                Some("BOOKMARK") => {}
                _ if step(resource, &event["object"], &mut shown)? => return Ok(()),
                _ => {}
            }
        }
        object = session.get(&resource.object_path(&namespace, &name)).await?;
    }
}

/// Prints the state if it is new; true at the end of the rollout.
fn step(resource: &Resource, object: &Value, shown: &mut String) -> Result<bool, Failure> {
    let (text, done) = match resource.kind.as_str() {
        "Deployment" => deployment(object)?,
        "DaemonSet" => daemon_set(object),
        "StatefulSet" => stateful_set(object),
        kind => return Err(Failure::message(format!("no status viewer has been implemented for {kind}"))),
    };
    if text != *shown {
        println!("{text}");
        *shown = text;
    }
    Ok(done)
}

fn count_of(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn observed(object: &Value) -> bool {
    count_of(&object["metadata"]["generation"]) <= count_of(&object["status"]["observedGeneration"])
}

fn deployment(object: &Value) -> Result<(String, bool), Failure> {
    let (name, status) = (at(object, "name"), &object["status"]);
    if !observed(object) {
        return Ok(("Waiting for deployment spec update to be observed...".to_owned(), false));
    }
    let conditions = status["conditions"].as_array();
    if conditions.into_iter().flatten().any(|c| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded") {
        return Err(Failure::message(format!("deployment \"{name}\" exceeded its progress deadline")));
    }
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let count = |field: &str| count_of(&status[field]);
    let (all, updated, available) = (count("replicas"), count("updatedReplicas"), count("availableReplicas"));
    let waiting = |what: String| format!("Waiting for deployment \"{name}\" rollout to finish: {what}...");
    Ok(if updated < wanted {
        (waiting(format!("{updated} out of {wanted} new replicas have been updated")), false)
    } else if all > updated {
        (waiting(format!("{} old replicas are pending termination", all - updated)), false)
    } else if available < updated {
        (waiting(format!("{available} of {updated} updated replicas are available")), false)
    } else {
        (format!("deployment \"{name}\" successfully rolled out"), true)
    })
}

fn daemon_set(object: &Value) -> (String, bool) {
    let (name, status) = (at(object, "name"), &object["status"]);
    if !observed(object) {
        return ("Waiting for daemon set spec update to be observed...".to_owned(), false);
    }
    let (wanted, updated) = (count_of(&status["desiredNumberScheduled"]), count_of(&status["updatedNumberScheduled"]));
    let available = count_of(&status["numberAvailable"]);
    let waiting = |what: String| format!("Waiting for daemon set \"{name}\" rollout to finish: {what}...");
    if updated < wanted {
        return (waiting(format!("{updated} out of {wanted} new pods have been updated")), false);
    }
    if available < wanted {
        return (waiting(format!("{available} of {wanted} updated pods are available")), false);
    }
    (format!("daemon set \"{name}\" successfully rolled out"), true)
}

fn stateful_set(object: &Value) -> (String, bool) {
    let status = &object["status"];
    if !observed(object) {
        return ("Waiting for statefulset spec update to be observed...".to_owned(), false);
    }
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let (ready, updated) = (count_of(&status["readyReplicas"]), count_of(&status["updatedReplicas"]));
    if ready < wanted {
        return (format!("Waiting for {} pods to be ready...", wanted - ready), false);
    }
    if status["updateRevision"] != status["currentRevision"] {
        let revision = status["updateRevision"].as_str().unwrap_or("");
        return (
            format!("waiting for statefulset rolling update to complete {updated} pods at revision {revision}..."),
            false,
        );
    }
    let current = count_of(&status["currentReplicas"]);
    let revision = status["currentRevision"].as_str().unwrap_or("");
    (format!("statefulset rolling update complete {current} pods at revision {revision}..."), true)
}
