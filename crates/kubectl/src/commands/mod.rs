//! The commands, one file each.

mod api_resources;
mod apply;
mod attach;
mod certificate;
mod create;
mod debug;
mod delete;
mod describe;
mod exec;
mod get;
mod logs;
mod rollout;
mod scale;
mod version;

use std::path::Path;

use clap::{ArgMatches, Command};
use futures::future::BoxFuture;

use crate::failure::Failure;
use crate::flags::{number, several, switch, text};
use crate::session::Session;

/// One command.
pub struct Member {
    /// Its name and flags.
    pub command: fn() -> Command,
    /// What it does.
    pub run: for<'a> fn(&'a Session, &'a ArgMatches) -> BoxFuture<'a, Result<(), Failure>>,
}

/// All commands, in the order of the help text.
pub const ALL: &[Member] = &[
    create::MEMBER,
    get::MEMBER,
    delete::MEMBER,
    rollout::MEMBER,
    scale::MEMBER,
    certificate::MEMBER,
    describe::MEMBER,
    logs::MEMBER,
    attach::MEMBER,
    exec::MEMBER,
    debug::MEMBER,
    apply::MEMBER,
    api_resources::MEMBER,
    version::MEMBER,
];

/// The parser of all commands with the flags that every command has.
pub fn root() -> Command {
    let global = |name: &'static str, help: &'static str| text(name, help).global(true);
    Command::new("kubectl")
        .about("kubectl controls the Kubernetes cluster manager.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args_override_self(true)
        .disable_help_subcommand(true)
        .arg(global("namespace", "Namespace of the command").short('n'))
        .arg(global("kubeconfig", "Path of the kubeconfig file"))
        .arg(global("context", "Context of the kubeconfig file"))
        .arg(global("cluster", "Cluster of the kubeconfig file"))
        .arg(global("user", "User of the kubeconfig file"))
        .arg(global("server", "Address of the API server").short('s'))
        .arg(global("token", "Bearer token"))
        .arg(global("as", "User to act as"))
        .arg(several("as-group", "Group to act in").global(true))
        .arg(global("as-uid", "UID to act with"))
        .arg(several("as-user-extra", "More about the user to act as: key=value").global(true))
        .arg(number("v", "How much is told of requests: from 6 (lines) and 7 (headers) to 8 and more (bodies)").short('v').global(true))
        .arg(global("request-timeout", "How long one request may take, 0 for ever").default_value("0"))
        .arg(global("certificate-authority", "Certificate of the authority that signed the server's"))
        .arg(global("client-certificate", "Certificate of the client"))
        .arg(global("client-key", "Key of the client"))
        .arg(global("tls-server-name", "Name that the server's certificate must have"))
        .arg(switch("insecure-skip-tls-verify", false, "Do not verify the server's certificate").global(true))
        .subcommands(ALL.iter().map(|member| (member.command)()))
}

/// Runs the command that was parsed.
pub async fn dispatch(matches: &ArgMatches, local: Option<&Path>) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Failure::message("a command is needed"));
    };
    let Some(member) = ALL.iter().find(|member| (member.command)().get_name() == name) else {
        return Err(Failure::message(format!("unknown command \"{name}\" for \"kubectl\"")));
    };
    let session = Session::open(matches, local).await?;
    (member.run)(&session, matches).await
}
