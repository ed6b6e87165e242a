//! `kubectl rollout`: one file for each verb.

mod history;
mod pause;
mod restart;
mod status;
mod undo;

use clap::{ArgMatches, Command};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{self, files, recursive, rest, text, values};
use crate::selection::{self, Target};
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

/// The number of a ReplicaSet in its Deployment's history.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The kinds that have rollouts.
const KINDS: [&str; 3] = ["Deployment", "DaemonSet", "StatefulSet"];

/// What a verb works on.
struct Work<'a> {
    session: &'a Session,
    matches: &'a ArgMatches,
    resource: &'a Resource,
    object: Value,
}

impl Work<'_> {
    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or("")
    }

    fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or("")
    }

    fn path(&self) -> String {
        self.resource.object_path(self.namespace(), self.name())
    }

    /// `deployments.apps "web"` and what is wrong with it.
    fn wrong(&self, what: &str) -> Failure {
        Failure::message(format!("error: {} \"{}\" {what}", self.resource.plural_label(), self.name()))
    }
}

/// One verb.
struct Verb {
    command: fn(Command) -> Command,
    name: &'static str,
    about: &'static str,
    run: for<'a> fn(Work<'a>) -> BoxFuture<'a, Result<(), Failure>>,
}

static ALL: &[&Verb] =
    &[&history::VERB, &pause::PAUSE, &restart::VERB, &pause::RESUME, &status::VERB, &undo::VERB];

fn command() -> Command {
    let verb = |verb: &&Verb| {
        let command = Command::new(verb.name).about(verb.about).arg(rest("resource")).arg(files()).arg(recursive());
        (verb.command)(command.arg(text("selector", "Labels that objects must have").short('l')))
    };
    Command::new("rollout")
        .about("Manage the rollout of a resource")
        .arg_required_else_help(true)
        .arg(rest("other"))
        .subcommands(ALL.iter().map(verb))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        let word = values(matches, "other").first().cloned().unwrap_or_default();
        return Err(flags::misused("rollout", format!("unknown command \"{word}\"")));
    };
    let Some(verb) = ALL.iter().find(|verb| verb.name == name) else {
        return Err(flags::misused("rollout", format!("unknown command \"{name}\"")));
    };
    let words = values(matches, "resource");
    if words.is_empty() && values(matches, "filename").is_empty() {
        return Err(Failure::message("required resource not specified"));
    }
    let targets: Vec<Target> = selection::of_command(session, matches, &words).await?;
    let (found, mut failures) = selection::each(session, &targets, &selection::query(matches)).await;
    if found.is_empty() && failures.is_empty() && !matches!(name, "history" | "undo") {
        eprintln!("No resources found in {} namespace.", session.namespace);
    }
    for (resource, object) in found {
        let work = Work { session, matches, resource: &resource, object };
        failures.extend((verb.run)(work).await.err());
    }
    Failure::collect(failures)
}
