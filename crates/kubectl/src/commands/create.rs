//! `kubectl create -f`, `kubectl create namespace`.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::{Value, json};

use super::{Member, get};
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{files, on, switch, text, value, values};
use crate::manifest::{self, Document};
use crate::selection::with_query;
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    let dry_run = || {
        text("dry-run", "none, client or server")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("unchanged")
            .default_value("none")
    };
    let output = || text("output", "name, yaml, json, jsonpath=...").short('o');
    let validate = || text("validate", "strict, warn or ignore").num_args(0..=1).require_equals(true).default_missing_value("strict");
    Command::new("create")
        .about("Create a resource from a file or from stdin")
        .args_conflicts_with_subcommands(true)
        .arg(files())
        .arg(switch("recursive", false, "Directories below the named ones too").short('R'))
        .arg(output())
        .arg(dry_run())
        .arg(validate())
        .subcommand(
            Command::new("namespace")
                .visible_alias("ns")
                .about("Create a namespace")
                .arg(clap::Arg::new("name").required(true))
                .arg(output())
                .arg(dry_run()),
        )
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(("namespace", matches)) = matches.subcommand() {
        let name = value(matches, "name").unwrap_or("");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let resource = session.discovery().await?.find("namespaces")?.clone();
        return one(session, matches, &resource, "", &object).await;
    }
    let names = values(matches, "filename");
    if names.is_empty() {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    let mut failures = Vec::new();
    let documents = manifest::read(&names, on(matches, "recursive"))?;
    if documents.is_empty() {
        return Err(Failure::message("no objects passed to create"));
    }
    for document in documents {
        failures.extend(of_document(session, matches, document).await.err());
    }
    Failure::collect(failures)
}

async fn of_document(
    session: &Session,
    matches: &ArgMatches,
    document: Result<Document, Failure>,
) -> Result<(), Failure> {
    let document = document?;
    let (resource, namespace) = document.place(session).await?;
    one(session, matches, &resource, &namespace, &document.object).await.map_err(|f| match f {
        refused @ Failure::Refused(_) => refused.when("creating", &document.source),
        other => other,
    })
}

async fn one(
    session: &Session,
    matches: &ArgMatches,
    resource: &Resource,
    namespace: &str,
    object: &Value,
) -> Result<(), Failure> {
    let dry_run = value(matches, "dry-run").unwrap_or("none");
    let created = match dry_run {
        "client" => object.clone(),
        _ => post(session, resource, namespace, object, dry_run == "server", value(matches, "validate")).await?,
    };
    done(resource, &created, "created", dry_run, value(matches, "output").unwrap_or(""))
}

/// Creates an object.
pub async fn post(
    session: &Session,
    resource: &Resource,
    namespace: &str,
    object: &Value,
    dry_run: bool,
    validate: Option<&str>,
) -> Result<Value, Failure> {
    let validation = match validate {
        Some("false" | "ignore") => "Ignore",
        Some("warn") => "Warn",
        _ => "Strict",
    };
    let dry = if dry_run { "&dryRun=All" } else { "" };
    let query = format!("fieldManager=kubectl-create&fieldValidation={validation}{dry}");
    let path = with_query(&resource.path(namespace), &query);
    session.json("POST", &path, JSON, Some((JSON, object))).await
}

/// Prints what was done to an object: `deployment.apps/web created`, or the object with `-o`.
pub fn done(resource: &Resource, object: &Value, word: &str, dry_run: &str, output: &str) -> Result<(), Failure> {
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    let suffix = match dry_run {
        "client" => " (dry run)",
        "server" => " (server dry run)",
        _ => "",
    };
    match output {
        "" => println!("{}/{name} {word}{suffix}", resource.label()),
        "name" => println!("{}/{name}", resource.label()),
        output => {
            let mut object = object.clone();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            print!("{}", get::show(&object, output, false)?);
        }
    }
    Ok(())
}
