//! `kubectl delete`.

use clap::{ArgMatches, Command};
use futures::{FutureExt, StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::Member;
use crate::failure::Failure;
use crate::flags::{duration, files, on, rest, switch, text, value, values};
use crate::selection::{self, Target, encode};
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("delete")
        .about("Delete resources by file names, stdin, resources and names, or by resources and label selector")
        .arg(rest("resource"))
        .arg(files())
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(text("field-selector", "Fields that objects must have"))
        .arg(switch("all", false, "All objects of the types"))
        .arg(switch("all-namespaces", false, "In all namespaces").short('A'))
        .arg(switch("force", false, "With --grace-period=0: at once"))
        .arg(switch("now", false, "With a grace period of one second"))
        .arg(switch("wait", true, "Wait until the objects are gone"))
        .arg(switch("ignore-not-found", false, "No error if an object is not there"))
        .arg(text("grace-period", "Seconds for the object to end").default_value("-1"))
        .arg(text("cascade", "background, orphan or foreground").num_args(0..=1).require_equals(true).default_value("background").default_missing_value("background"))
        .arg(text("timeout", "How long to wait").default_value("0s"))
        .arg(text("output", "name").short('o'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let words = values(matches, "resource");
    let by_file = !values(matches, "filename").is_empty();
    if words.is_empty() && !by_file {
        return Err(Failure::message("You must provide one or more resources by argument or filename."));
    }
    let query = selection::query(matches);
    let all = on(matches, "all");
    let mut targets = Vec::new();
    let listed = selection::of_command(session, matches, &words).await?;
    if listed.iter().any(|t| t.name.is_none()) && query.is_empty() && !all {
        return Err(Failure::message("resource(s) were provided, but no name was specified"));
    }
    let ignore = on(matches, "ignore-not-found") || all || !query.is_empty();
    for target in listed {
        if target.name.is_some() {
            targets.push(target);
            continue;
        }
        for item in selection::list(session, &target, &query).await? {
            let field = |key: &str| item["metadata"][key].as_str().unwrap_or("").to_owned();
            targets.push(Target { name: Some(field("name")), namespace: field("namespace"), ..target.clone() });
        }
    }
    if targets.is_empty() {
        println!("No resources found");
        return Ok(());
    }
    let (mut failures, mut deleted) = (Vec::new(), Vec::new());
    let options = options(matches)?;
    if options["gracePeriodSeconds"] == 0 {
        eprintln!(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. \
             The resource may continue to run on the cluster indefinitely."
        );
    }
    for target in targets {
        match session.json("DELETE", &target.path(), JSON, Some((JSON, &options))).await {
            Ok(answer) => {
                announce(&target, matches, &options);
                deleted.push((target, uid(&answer)));
            }
            Err(failure) if failure.is_not_found() && ignore => {}
            Err(failure) => failures.push(failure),
        }
    }
    if on(matches, "wait") {
        let waiting = wait(session, &deleted);
        match duration(value(matches, "timeout").unwrap_or("0s")).filter(|s| *s > 0.0) {
            None => waiting.await?,
            Some(seconds) => tokio::time::timeout(std::time::Duration::from_secs_f64(seconds), waiting)
                .await
                .map_err(|_| Failure::message("timed out waiting for the condition"))??,
        }
    }
    Failure::collect(failures)
}

fn options(matches: &ArgMatches) -> Result<Value, Failure> {
    let cascade = match value(matches, "cascade").unwrap_or("background") {
        "foreground" => "Foreground",
        "orphan" | "false" => "Orphan",
        _ => "Background",
    };
    let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": cascade});
    let mut grace = value(matches, "grace-period")
        .unwrap_or("-1")
        .parse::<i64>()
        .map_err(|e| Failure::message(format!("invalid argument for \"--grace-period\" flag: {e}")))?;
    if on(matches, "now") {
        grace = 1;
    }
    match (on(matches, "force"), grace) {
        (true, grace) if grace <= 0 => grace_of(&mut options, 0),
        (true, _) => return Err(Failure::message("--force and --grace-period greater than 0 cannot be specified together")),
        // Without --force upstream raises zero to one, so that the node confirms the end.
        (false, 0) => grace_of(&mut options, 1),
        (false, grace) if grace > 0 => grace_of(&mut options, grace),
        _ => {}
    }
    Ok(options)
}

fn grace_of(options: &mut Value, seconds: i64) {
    options["gracePeriodSeconds"] = Value::from(seconds);
}

fn announce(target: &Target, matches: &ArgMatches, options: &Value) {
    let (label, name) = (target.resource.label(), target.name.as_deref().unwrap_or(""));
    if value(matches, "output") == Some("name") {
        println!("{label}/{name}");
        return;
    }
    let mut operation =
        if options["gracePeriodSeconds"] == 0 { "force deleted".to_owned() } else { "deleted".to_owned() };
    if target.resource.namespaced {
        operation.push_str(&format!(" from {} namespace", target.namespace));
    }
    println!("{label} \"{name}\" {operation}");
}

/// The uid of what was deleted; the answer is the object or a `Status` about it.
fn uid(answer: &Value) -> String {
    let found = answer["metadata"]["uid"].as_str().or_else(|| answer["details"]["uid"].as_str());
    found.unwrap_or("").to_owned()
}

/// Waits until each object is gone or another one has its name.
async fn wait(session: &Session, deleted: &[(Target, String)]) -> Result<(), Failure> {
    for (target, uid) in deleted {
        while let Some(version) = still_there(session, target, uid).await? {
            until_deleted(session, target, uid, &version).await?;
        }
    }
    Ok(())
}

/// The object's version, or `None` if it is gone.
async fn still_there(session: &Session, target: &Target, uid: &str) -> Result<Option<String>, Failure> {
    match session.get(&target.path()).await {
        Ok(object) if !uid.is_empty() && object["metadata"]["uid"] != uid => Ok(None),
        Ok(object) => Ok(Some(object["metadata"]["resourceVersion"].as_str().unwrap_or("").to_owned())),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) if failure.reason() == "Forbidden" => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Follows the object until the watch shows its end or ends itself.
async fn until_deleted(session: &Session, target: &Target, uid: &str, version: &str) -> Result<(), Failure> {
    let name = encode(&format!("metadata.name={}", target.name.as_deref().unwrap_or("")));
    let path = target.resource.path(&target.namespace);
    let path = format!("{path}?fieldSelector={name}&watch=true&resourceVersion={version}");
    let body = session.stream("GET", &path, JSON, None).await?;
    let bytes = body.into_data_stream().map_err(std::io::Error::other).boxed();
    let mut lines = StreamReader::new(bytes).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let same = uid.is_empty() || event["object"]["metadata"]["uid"] == uid;
        if event["type"] == "ERROR" || event["type"] == "DELETED" && same {
            break;
        }
    }
    Ok(())
}
