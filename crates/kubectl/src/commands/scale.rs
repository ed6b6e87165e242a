//! `kubectl scale`.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::json;

use super::Member;
use crate::failure::Failure;
use crate::flags::{files, rest, switch, text, value, values};
use crate::selection;
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("scale")
        .about("Set a new size for a deployment, replica set, or replication controller")
        .arg(rest("resource"))
        .arg(files())
        .arg(text("replicas", "The new number of replicas"))
        .arg(text("current-replicas", "Only if there are so many now").default_value("-1"))
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(switch("all", false, "All objects of the types"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let wrong = || Failure::message("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
    let count: u32 = value(matches, "replicas").and_then(|r| r.parse().ok()).ok_or_else(wrong)?;
    let expected: i64 = value(matches, "current-replicas").and_then(|r| r.parse().ok()).unwrap_or(-1);
    let targets = selection::of_command(session, matches, &values(matches, "resource")).await?;
    let (found, mut failures) = selection::each(session, &targets, &selection::query(matches)).await;
    for (resource, object) in found {
        let field = |key: &str| object["metadata"][key].as_str().unwrap_or("").to_owned();
        let (namespace, name) = (field("namespace"), field("name"));
        let current = object["spec"]["replicas"].as_i64().unwrap_or(-1);
        if expected >= 0 && expected != current {
            failures.push(Failure::message(format!("Expected replicas to be {expected}, was {current}")));
            continue;
        }
        let path = format!("{}/scale", resource.object_path(&namespace, &name));
        let patch = json!({"spec": {"replicas": count}});
        match session.json("PATCH", &path, JSON, Some(("application/merge-patch+json", &patch))).await {
            Ok(_) => println!("{}/{name} scaled", resource.label()),
            Err(failure) => failures.push(failure),
        }
    }
    Failure::collect(failures)
}
