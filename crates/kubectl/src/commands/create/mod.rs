//! `kubectl create -f`, and one file for each kind that flags alone describe.

mod configmap;
mod deployment;
mod namespace;
mod secret;
mod service;
mod serviceaccount;
mod sources;

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::Value;

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{self, dry_run, dry_run_of, files, on, output, recursive, rest, validate, value, values};
use crate::manifest::{self, Document};
use crate::print::{omit_managed_fields, order, show};
use crate::selection::with_query;
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

/// An object made of flags.
struct Made {
    /// How the resource is found.
    resource: &'static str,
    /// The object as upstream prints it with `--dry-run=client`.
    object: Value,
    /// What stands before the reason of a refusal, for example `failed to create configmap: `.
    refused: String,
}

/// A kind that flags describe.
struct Kind {
    command: fn() -> Command,
    make: fn(&str, &ArgMatches) -> Result<Made, Failure>,
}

static ALL: &[Kind] = &[
    configmap::KIND,
    deployment::KIND,
    namespace::KIND,
    secret::GENERIC,
    service::CLUSTER_IP,
    service::NODE_PORT,
    service::LOAD_BALANCER,
    service::EXTERNAL_NAME,
    serviceaccount::KIND,
];

/// Commands that have commands of their own.
const GROUPS: [(&str, &str, &[&str]); 2] = [
    ("secret", "Create a secret using a specified subcommand", &["generic"]),
    ("service", "Create a service using a specified subcommand", &["clusterip", "nodeport", "loadbalancer", "externalname"]),
];

fn command() -> Command {
    let made = |kind: &Kind| {
        let own = (kind.command)();
        // A kind with a second positional argument has the name before it by itself.
        let command = if own.get_positionals().next().is_some() { own } else { own.arg(rest("name")) };
        let command = command.arg(output()).arg(dry_run()).arg(validate());
        command.arg(flags::text("field-manager", "The name of this writer"))
    };
    let grouped = |name: &str| GROUPS.iter().any(|(_, _, members)| members.contains(&name));
    let (inner, outer): (Vec<Command>, Vec<Command>) = ALL.iter().map(made).partition(|c| grouped(c.get_name()));
    let groups = GROUPS.iter().map(|(name, about, members)| {
        let own = inner.iter().filter(|c| members.contains(&c.get_name())).cloned();
        let group = Command::new(*name).about(*about).arg_required_else_help(true).subcommand_required(true);
        group.visible_alias(if *name == "service" { "svc" } else { "secrets" }).subcommands(own)
    });
    Command::new("create")
        .about("Create a resource from a file or from stdin")
        .args_conflicts_with_subcommands(true)
        .arg(rest("other"))
        .arg(files())
        .arg(recursive())
        .arg(output())
        .arg(dry_run())
        .arg(validate())
        .subcommands(outer)
        .subcommands(groups.collect::<Vec<_>>())
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some((name, inner)) = matches.subcommand() {
        return match inner.subcommand() {
            Some((kind, matches)) => of_flags(session, &format!("{name} {kind}"), kind, matches).await,
            None => of_flags(session, name, name, inner).await,
        };
    }
    let extra = values(matches, "other");
    if !extra.is_empty() {
        return Err(flags::misused("create", format!("Unexpected args: [{}]", extra.join(" "))));
    }
    let names = values(matches, "filename");
    if names.is_empty() {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    dry_run_of(matches)?;
    let strict = !matches!(value(matches, "validate"), Some("false" | "ignore"));
    let documents = manifest::read(&names, on(matches, "recursive"), strict).await?;
    if documents.is_empty() {
        return Err(Failure::message("no objects passed to create"));
    }
    let mut failures = Vec::new();
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
    let mut document = document?;
    let (resource, namespace) = document.place(session).await?;
    if !namespace.is_empty() {
        document.object["metadata"]["namespace"] = Value::from(namespace.as_str());
    }
    let show = |object: &Value, output: &str| show(object, output, false);
    one(session, matches, &resource, &namespace, &document.object, show).await.map_err(|f| match f {
        refused @ Failure::Refused(_) => refused.when("creating", &document.source),
        other => other,
    })
}

async fn of_flags(session: &Session, path: &str, kind: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let names = values(matches, "name");
    let [name] = names.as_slice() else {
        let path = format!("create {path}");
        return Err(flags::misused(&path, format!("exactly one NAME is required, got {}", names.len())));
    };
    let Some(member) = ALL.iter().find(|k| (k.command)().get_name() == kind) else {
        return Err(Failure::message(format!("unknown command \"{kind}\"")));
    };
    let mut made = (member.make)(name, matches)?;
    let resource = session.discovery().await?.find(made.resource)?.clone();
    let namespace = if resource.namespaced { session.namespace.as_str() } else { "" };
    if resource.namespaced && session.namespace_given {
        made.object["metadata"]["namespace"] = Value::from(namespace);
    }
    let show = |object: &Value, output: &str| match output {
        "json" => Ok(order::typed(object)),
        _ => show(object, output, false),
    };
    one(session, matches, &resource, namespace, &made.object, show).await.map_err(|failure| match failure {
        refused @ Failure::Refused(_) if made.refused.is_empty() => refused,
        refused @ Failure::Refused(_) => Failure::message(format!("{}{refused}", made.refused)),
        other => other,
    })
}

async fn one(
    session: &Session,
    matches: &ArgMatches,
    resource: &Resource,
    namespace: &str,
    object: &Value,
    show: impl Fn(&Value, &str) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let dry_run = dry_run_of(matches)?;
    let created = match dry_run {
        "client" => object.clone(),
        _ => post(session, resource, namespace, object, dry_run == "server", value(matches, "validate")).await?,
    };
    shown(resource, &created, "created", dry_run, value(matches, "output").unwrap_or(""), show)
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
    shown(resource, object, word, dry_run, output, |object, output| show(object, output, false))
}

fn shown(
    resource: &Resource,
    object: &Value,
    word: &str,
    dry_run: &str,
    output: &str,
    show: impl Fn(&Value, &str) -> Result<String, Failure>,
) -> Result<(), Failure> {
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
            omit_managed_fields(&mut object, output);
            print!("{}", show(&object, output)?);
        }
    }
    Ok(())
}
