//! `kubectl rollout`: status, history, undo, restart.

use clap::{ArgMatches, Command};
use futures::{FutureExt, StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{duration, files, on, rest, switch, text, value, values};
use crate::print::Tabs;
use crate::selection::{self, Target, encode};
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

const REVISION: &str = "deployment.kubernetes.io/revision";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

fn command() -> Command {
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about).arg(rest("resource")).arg(files());
    Command::new("rollout")
        .about("Manage the rollout of a resource")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            sub("status", "Show the status of the rollout")
                .arg(switch("watch", true, "Wait for the end").short('w'))
                .arg(text("timeout", "How long to wait").default_value("0s")),
        )
        .subcommand(sub("history", "View rollout history"))
        .subcommand(sub("undo", "Undo a previous rollout").arg(text("to-revision", "The revision").default_value("0")))
        .subcommand(sub("restart", "Restart a resource"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else { return Err(Failure::message("a command is needed")) };
    let targets = selection::of_command(session, matches, &values(matches, "resource")).await?;
    if targets.is_empty() {
        return Err(Failure::message("required resource not specified"));
    }
    let (found, mut failures) = selection::each(session, &targets, &selection::query(matches)).await;
    for (resource, object) in found {
        let done = match name {
            "status" => status(session, matches, &resource, object).await,
            "history" => history(session, &resource, &object).await,
            "undo" => undo(session, matches, &resource, &object).await,
            _ => restart(session, &resource, &object).await,
        };
        failures.extend(done.err());
    }
    Failure::collect(failures)
}

fn at<'v>(object: &'v Value, field: &str) -> &'v str {
    object["metadata"][field].as_str().unwrap_or("")
}

async fn restart(session: &Session, resource: &Resource, object: &Value) -> Result<(), Failure> {
    if !matches!(resource.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet") {
        return Err(Failure::message(format!("{} \"{}\" restarting is not supported", resource.plural_label(), at(object, "name"))));
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let path = resource.object_path(at(object, "namespace"), at(object, "name"));
    session.json("PATCH", &path, JSON, Some((STRATEGIC, &patch))).await?;
    println!("{}/{} restarted", resource.label(), at(object, "name"));
    Ok(())
}

/// Shows how far a rollout is, and follows it to its end.
async fn status(session: &Session, matches: &ArgMatches, resource: &Resource, object: Value) -> Result<(), Failure> {
    let following = follow(session, on(matches, "watch"), resource, object);
    match duration(value(matches, "timeout").unwrap_or("0s")).filter(|s| *s > 0.0) {
        None => following.await,
        Some(seconds) => tokio::time::timeout(std::time::Duration::from_secs_f64(seconds), following)
            .await
            .map_err(|_| Failure::message("timed out waiting for the condition"))?,
    }
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

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn observed(object: &Value) -> bool {
    number(&object["metadata"]["generation"]) <= number(&object["status"]["observedGeneration"])
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
    let count = |field: &str| number(&status[field]);
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
    let (wanted, updated) = (number(&status["desiredNumberScheduled"]), number(&status["updatedNumberScheduled"]));
    let available = number(&status["numberAvailable"]);
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
    let (ready, updated) = (number(&status["readyReplicas"]), number(&status["updatedReplicas"]));
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
    let current = number(&status["currentReplicas"]);
    let revision = status["currentRevision"].as_str().unwrap_or("");
    (format!("statefulset rolling update complete {current} pods at revision {revision}..."), true)
}

/// A deployment's replica sets with their revisions, the oldest first.
async fn revisions(session: &Session, resource: &Resource, object: &Value) -> Result<Vec<(i64, Value)>, Failure> {
    if resource.kind != "Deployment" {
        return Err(Failure::message(format!("no history viewer has been implemented for \"{}\"", resource.kind)));
    }
    let sets = session.discovery().await?.find("replicasets.apps")?.clone();
    let list = Target { resource: sets, name: None, namespace: at(object, "namespace").to_owned() };
    let owner = at(object, "uid");
    let mut found: Vec<(i64, Value)> = selection::list(session, &list, "")
        .await?
        .into_iter()
        .filter(|set| set["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|o| o["uid"] == owner))
        .filter_map(|set| Some((set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()?, set)))
        .collect();
    found.sort_by_key(|(revision, _)| *revision);
    Ok(found)
}

async fn history(session: &Session, resource: &Resource, object: &Value) -> Result<(), Failure> {
    let mut tabs = Tabs::spaced(2);
    tabs.line(["REVISION", "CHANGE-CAUSE"]);
    for (revision, set) in revisions(session, resource, object).await? {
        let cause = set["metadata"]["annotations"]["kubernetes.io/change-cause"].as_str().unwrap_or("<none>");
        tabs.line([revision.to_string(), cause.to_owned()]);
    }
    println!("{}/{} \n{}", resource.label(), at(object, "name"), tabs.flush());
    Ok(())
}

async fn undo(session: &Session, matches: &ArgMatches, resource: &Resource, object: &Value) -> Result<(), Failure> {
    let mut found = revisions(session, resource, object).await?;
    let wanted: i64 = value(matches, "to-revision").and_then(|r| r.parse().ok()).unwrap_or(0);
    let set = match wanted {
        0 if found.len() < 2 => {
            return Err(Failure::message(format!("no rollout history found for deployment \"{}\"", at(object, "name"))));
        }
        0 => found.swap_remove(found.len() - 2).1,
        wanted => match found.into_iter().find(|(revision, _)| *revision == wanted) {
            Some((_, set)) => set,
            None => return Err(Failure::message(format!("unable to find specified revision {wanted} in history"))),
        },
    };
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
    let path = resource.object_path(at(object, "namespace"), at(object, "name"));
    session.json("PATCH", &path, JSON, Some(("application/json-patch+json", &patch))).await?;
    println!("{}/{} rolled back", resource.label(), at(object, "name"));
    Ok(())
}
