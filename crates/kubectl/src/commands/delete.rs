//! `kubectl delete`.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use futures::{FutureExt, StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::Member;
use crate::failure::Failure;
use crate::flags::{
    dry_run, dry_run_of, files, number, number_of, on, recursive, rest, seconds_of, switch, text, time, value, values,
};
use crate::selection::{self, Query, Target, USAGE, encode};
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("delete")
        .about("Delete resources by file names, stdin, resources and names, or by resources and label selector")
        .arg(rest("resource"))
        .arg(files())
        .arg(recursive())
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(text("field-selector", "Fields that objects must have"))
        .arg(switch("all", false, "All objects of the types"))
        .arg(switch("all-namespaces", false, "In all namespaces").short('A'))
        .arg(switch("force", false, "With --grace-period=0: at once"))
        .arg(switch("now", false, "With a grace period of one second"))
        .arg(switch("wait", true, "Wait until the objects are gone"))
        .arg(switch("ignore-not-found", false, "No error if an object is not there"))
        .arg(number("grace-period", "Seconds for the object to end"))
        .arg(text("cascade", "background, orphan or foreground").num_args(0..=1).require_equals(true).default_missing_value("background"))
        .arg(time("timeout", "How long to wait"))
        .arg(dry_run())
        .arg(text("output", "name").short('o'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let words = values(matches, "resource");
    let options = Options::read(matches)?;
    let query = selection::query(matches);
    if on(matches, "all") && !query.is_empty() {
        return Err(Failure::message("setting 'all' parameter but found a non empty selector. "));
    }
    if words.is_empty() && values(matches, "filename").is_empty() {
        return Err(Failure::message(USAGE));
    }
    let listed = selection::of_command(session, matches, &words).await?;
    if listed.iter().any(|t| t.name.is_none()) && query.is_empty() && !on(matches, "all") {
        return Err(Failure::message("resource(s) were provided, but no name was specified"));
    }
    options.warn()?;
    let explicit = matches.value_source("ignore-not-found") == Some(ValueSource::CommandLine);
    let ignore = on(matches, "ignore-not-found") || !explicit && (on(matches, "all") || !query.is_empty());
    let (targets, mut failures) = expand(session, listed, &query).await;
    if targets.is_empty() && failures.is_empty() {
        println!("No resources found");
        return Ok(());
    }
    let (mut deleted, mut found) = (Vec::new(), 0);
    if session.namespace_given && !session.everywhere && targets.iter().any(|t| !t.resource.namespaced) {
        eprintln!("Warning: deleting cluster-scoped resources, not scoped to the provided namespace");
    }
    for target in targets {
        match options.delete(session, &target).await {
            Ok(uid) => {
                found += 1;
                options.announce(&target);
                deleted.push((target, uid));
            }
            Err(failure) if failure.is_not_found() && ignore => {}
            Err(failure) => failures.push(match &target.source {
                Some(source) => failure.when("deleting", source),
                None => failure,
            }),
        }
    }
    Failure::collect(failures)?;
    if found == 0 || !on(matches, "wait") || options.dry_run != "none" {
        return Ok(());
    }
    let waiting = wait(session, &deleted);
    match seconds_of(matches, "timeout").filter(|s| *s > 0.0) {
        None => waiting.await,
        Some(seconds) => match tokio::time::timeout(std::time::Duration::from_secs_f64(seconds), waiting).await {
            Ok(waited) => waited,
            Err(_) => Err(timed_out(&deleted)),
        },
    }
}

fn timed_out(deleted: &[(Target, String)]) -> Failure {
    let name = |t: &Target| format!("{}/{}", t.resource.name, t.name.as_deref().unwrap_or(""));
    let names: Vec<String> = deleted.iter().map(|(t, _)| name(t)).collect();
    Failure::message(format!("timed out waiting for the condition on {}", names.join(", ")))
}

/// The objects of lists in the place of the lists.
async fn expand(session: &Session, listed: Vec<Target>, query: &Query) -> (Vec<Target>, Vec<Failure>) {
    let (mut targets, mut failures) = (Vec::new(), Vec::new());
    for target in listed {
        if target.name.is_some() {
            targets.push(target);
            continue;
        }
        match selection::list(session, &target, query).await {
            Ok(items) => targets.extend(items.iter().map(|item| {
                let field = |key: &str| item["metadata"][key].as_str().unwrap_or("").to_owned();
                Target { name: Some(field("name")), namespace: field("namespace"), ..target.clone() }
            })),
            Err(failure) => failures.push(failure),
        }
    }
    (targets, failures)
}

/// How objects are deleted.
struct Options {
    grace: Option<i64>,
    force: bool,
    cascade: &'static str,
    dry_run: &'static str,
    names_alone: bool,
}

impl Options {
    fn read(matches: &ArgMatches) -> Result<Options, Failure> {
        let cascade = match value(matches, "cascade").unwrap_or("background") {
            "foreground" => "Foreground",
            "orphan" | "false" | "0" | "f" | "F" | "FALSE" | "False" => "Orphan",
            "background" | "true" | "1" | "t" | "T" | "TRUE" | "True" => "Background",
            other => {
                return Err(Failure::message(format!(
                    "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
                )));
            }
        };
        let (force, given) = (on(matches, "force"), number_of(matches, "grace-period").unwrap_or(-1));
        if on(matches, "now") && given != -1 {
            return Err(Failure::message("--now and --grace-period cannot be specified together"));
        }
        let grace = match given {
            _ if on(matches, "now") => Some(1),
            // Without --force upstream raises zero to one, so that the node confirms the end.
            0 if !force => Some(1),
            negative if negative < 0 => force.then_some(0),
            seconds => Some(seconds),
        };
        let output = value(matches, "output").unwrap_or("");
        if !matches!(output, "" | "name") {
            return Err(Failure::message(format!("unexpected -o output mode: {output}. We only support '-o name'")));
        }
        let names_alone = output == "name";
        Ok(Options { grace, force, cascade, dry_run: dry_run_of(matches)?, names_alone })
    }

    fn warn(&self) -> Result<(), Failure> {
        match self.grace {
            Some(0) if self.force => eprintln!(
                "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. \
                 The resource may continue to run on the cluster indefinitely."
            ),
            Some(_) if self.force => {
                return Err(Failure::message("--force and --grace-period greater than 0 cannot be specified together"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Deletes one object and gives its uid.
    async fn delete(&self, session: &Session, target: &Target) -> Result<String, Failure> {
        if self.dry_run == "client" {
            return Ok(String::new());
        }
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": self.cascade});
        if let Some(seconds) = self.grace {
            body["gracePeriodSeconds"] = Value::from(seconds);
        }
        if self.dry_run == "server" {
            body["dryRun"] = json!(["All"]);
        }
        Ok(uid(&session.json("DELETE", &target.path(), JSON, Some((JSON, &body))).await?))
    }

    fn announce(&self, target: &Target) {
        let (label, name) = (target.resource.label(), target.name.as_deref().unwrap_or(""));
        if self.names_alone {
            println!("{label}/{name}");
            return;
        }
        let mut operation = if self.grace == Some(0) { "force deleted".to_owned() } else { "deleted".to_owned() };
        if target.resource.namespaced {
            operation.push_str(&format!(" from {} namespace", target.namespace));
        }
        operation.push_str(match self.dry_run {
            "client" => " (dry run)",
            "server" => " (server dry run)",
            _ => "",
        });
        println!("{label} \"{name}\" {operation}");
    }
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
