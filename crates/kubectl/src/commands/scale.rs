//! `kubectl scale`.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::{Value, json};

use super::Member;
use super::create::done;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{dry_run, dry_run_of, files, number, number_of, output, recursive, rest, switch, text, value, values};
use crate::selection::{self, USAGE};
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("scale")
        .about("Set a new size for a deployment, replica set, or replication controller")
        .arg(rest("resource"))
        .arg(files())
        .arg(recursive())
        .arg(number("replicas", "The new number of replicas").required(true))
        .arg(number("current-replicas", "Only if there are so many now"))
        .arg(text("resource-version", "Only if the object has this version"))
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(switch("all", false, "All objects of the types"))
        .arg(output())
        .arg(dry_run())
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let dry_run = dry_run_of(matches)?;
    let (count, expected) = (number_of(matches, "replicas").unwrap_or(-1), number_of(matches, "current-replicas"));
    if count < 0 {
        return Err(Failure::message("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0"));
    }
    if expected.is_some_and(|e| e < -1) {
        return Err(Failure::message("The --current-replicas must specify an integer of -1 or greater"));
    }
    let words = values(matches, "resource");
    if words.is_empty() && values(matches, "filename").is_empty() {
        return Err(Failure::message(USAGE));
    }
    let targets = selection::of_command(session, matches, &words).await?;
    let query = selection::query(matches);
    if targets.iter().any(|t| t.name.is_none()) && query.is_empty() && !crate::flags::on(matches, "all") {
        return Err(Failure::message("resource(s) were provided, but no name was specified"));
    }
    let (found, failures) = selection::each(session, &targets, &query).await;
    if found.is_empty() {
        Failure::collect(failures)?;
        return Err(Failure::message("no objects passed to scale"));
    }
    let output = value(matches, "output").unwrap_or("");
    for (resource, mut object) in found {
        if dry_run != "client" {
            let only = (expected.filter(|e| *e >= 0), value(matches, "resource-version"));
            one(session, &resource, &object, count, only, dry_run).await?;
        }
        object["spec"]["replicas"] = Value::from(count);
        done(&resource, &object, "scaled", dry_run, output)?;
    }
    Failure::collect(failures)
}

/// Sets the size of one object, if it is still as expected.
async fn one(
    session: &Session,
    resource: &Resource,
    object: &Value,
    count: i64,
    (replicas, version): (Option<i64>, Option<&str>),
    dry_run: &str,
) -> Result<(), Failure> {
    let field = |key: &str| object["metadata"][key].as_str().unwrap_or("");
    let path = format!("{}/scale", resource.object_path(field("namespace"), field("name")));
    let query = if dry_run == "server" { "?dryRun=All" } else { "" };
    let mut patch = json!({"spec": {"replicas": count}});
    if replicas.is_some() || version.is_some() {
        let scale = session.get(&path).await?;
        let current = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        if let Some(wanted) = replicas.filter(|wanted| *wanted != current) {
            return Err(Failure::message(format!("Expected replicas to be {wanted}, was {current}")));
        }
        let current = &scale["metadata"]["resourceVersion"];
        if let Some(wanted) = version.filter(|wanted| current != wanted) {
            let current = current.as_str().unwrap_or("");
            return Err(Failure::message(format!("Expected resource version to be {wanted}, was {current}")));
        }
        // The size changes only if nothing else has changed since.
        patch["metadata"] = json!({"resourceVersion": current});
    }
    let path = format!("{path}{query}");
    let send = || session.json("PATCH", &path, JSON, Some(("application/merge-patch+json", &patch)));
    session.again_on_conflict(replicas.is_none() && version.is_none(), send).await.map(drop)
}
