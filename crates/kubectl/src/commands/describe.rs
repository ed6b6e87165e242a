//! `kubectl describe`.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::Value;

use super::Member;
use crate::describe::describe;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{files, on, rest, switch, text, values};
use crate::selection::{self, Target};
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("describe")
        .about("Show details of a specific resource or group of resources")
        .arg(rest("resource"))
        .arg(files())
        .arg(switch("recursive", false, "Directories below the named ones too").short('R'))
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(switch("all-namespaces", false, "In all namespaces").short('A'))
        .arg(switch("show-events", true, "The events about the object"))
        .arg(text("chunk-size", "Objects in one answer"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let words = values(matches, "resource");
    if words.is_empty() && values(matches, "filename").is_empty() {
        return Err(Failure::Message(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of \
             supported resources.\n"
                .to_owned(),
        ));
    }
    let targets = selection::of_command(session, matches, &words).await?;
    let (found, mut failures) = selection::each(session, &targets, &selection::query(matches)).await;
    let explicit = matches.value_source("show-events") == Some(ValueSource::CommandLine);
    let events = on(matches, "show-events") && (explicit || failures.is_empty() && found.len() <= 1);
    if let ([failure], [target], 2) = (failures.as_slice(), targets.as_slice(), words.len())
        && failure.is_not_found()
    {
        return by_prefix(session, target, failure.clone(), events).await;
    }
    let mut first = true;
    for (resource, object) in &found {
        match one(session, resource, object, events).await {
            Ok(page) => {
                print!("{}{page}", if first { "" } else { "\n\n" });
                first = false;
            }
            Err(failure) if failures.iter().any(|f| f.to_string() == failure.to_string()) => {}
            Err(failure) => failures.push(failure),
        }
    }
    if found.is_empty() && failures.is_empty() {
        match session.everywhere {
            true => eprintln!("No resources found"),
            false => eprintln!("No resources found in {} namespace.", session.namespace),
        }
    }
    Failure::collect(failures)
}

async fn one(session: &Session, resource: &Resource, object: &Value, events: bool) -> Result<String, Failure> {
    let field = |name: &str| object["metadata"][name].as_str().unwrap_or("");
    describe(session, resource, field("namespace"), field("name"), events).await
}

/// No object has the name: those whose names begin with it.
async fn by_prefix(session: &Session, target: &Target, failure: Failure, events: bool) -> Result<(), Failure> {
    let prefix = target.name.clone().unwrap_or_default();
    let all = Target { name: None, ..target.clone() };
    let mut found = selection::list(session, &all, &selection::Query::default()).await?;
    found.retain(|object| object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(&prefix)));
    for object in &found {
        println!("{}", one(session, &target.resource, object, events).await?);
    }
    if found.is_empty() { Err(failure) } else { Ok(()) }
}
