//! `kubectl exec`: streams over WebSocket (`v5.channel.k8s.io`), the remote exit code as its own.

use std::io::IsTerminal;

use clap::{Arg, ArgMatches, Command};
use futures::FutureExt;
use kube::Api;
use kube::api::AttachParams;
use k8s_openapi::api::core::v1::Pod;

use super::Member;
use crate::failure::Failure;
use crate::flags::{misused, on, rest, switch, text, value, values};
use crate::pods;
use crate::selection::encode;
use crate::session::Session;
use crate::streams::{self, Raw};

/// Bytes of a request's path and query that the HTTP library takes.
const LONGEST: usize = u16::MAX as usize - 1;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("exec")
        .about("Execute a command in a container")
        .arg(rest("pod"))
        .arg(Arg::new("command").last(true).num_args(0..).allow_hyphen_values(true))
        .arg(text("container", "The container").short('c'))
        .arg(switch("stdin", false, "Pass stdin to the container").short('i'))
        .arg(switch("tty", false, "Stdin is a terminal").short('t'))
        .arg(switch("quiet", false, "Only the remote output").short('q'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (words, command) = (values(matches, "pod"), values(matches, "command"));
    if words.len() > 1 {
        return Err(misused("exec", "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead"));
    }
    let Some(word) = words.first() else {
        return Err(Failure::message("pod, type/name or --filename must be specified"));
    };
    if command.is_empty() {
        return Err(Failure::message("you must specify at least one command for the container"));
    }
    let object = pods::named(session, word).await?;
    let pod = pods::first_of(session, object, "attach to", false).await?;
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if phase == "Succeeded" || phase == "Failed" {
        return Err(Failure::message(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let quiet = on(matches, "quiet");
    let given = value(matches, "container").filter(|c| !c.is_empty());
    let container = pods::container(&pod, given, quiet)?.name.to_owned();
    let stdin = on(matches, "stdin");
    let wants_tty = on(matches, "tty");
    let tty = wants_tty && stdin && std::io::stdin().is_terminal();
    if wants_tty && stdin && !tty && !quiet {
        eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    let params =
        AttachParams::default().stdin(stdin).stdout(true).stderr(!tty).tty(tty).container(container);
    let field = |key: &str| pod["metadata"][key].as_str().unwrap_or("");
    let api: Api<Pod> = Api::namespaced(session.client().clone(), field("namespace"));
    let (name, namespace) = (field("name"), field("namespace"));
    let words = command.iter().fold(String::new(), |out, word| format!("{out}&command={}", encode(word)));
    let path = streams::path(namespace, name, "exec", &params) + &words;
    if path.len() > LONGEST {
        return Err(Failure::message(format!("the command is too long: escaped, it may have {LONGEST} bytes here")));
    }
    let process = session.upgraded(&path, api.exec(name, command, &params)).await;
    let process = process.map_err(|e| streams::refused(session, &e))?;
    let _raw = if tty { Raw::set() } else { None };
    streams::pump(process, tty, None).await
}
