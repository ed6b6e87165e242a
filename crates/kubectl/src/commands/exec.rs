//! `kubectl exec`: streams over WebSocket (`v5.channel.k8s.io`), the remote exit code as its own.

use std::io::IsTerminal;

use clap::{Arg, ArgMatches, Command};
use futures::{FutureExt, SinkExt};
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use k8s_openapi::api::core::v1::Pod;
use nix::sys::termios::{self, SetArg, Termios};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};

use super::Member;
use crate::failure::Failure;
use crate::flags::{misused, on, rest, switch, text, value, values};
use crate::pods;
use crate::session::Session;

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
    let process = api.exec(field("name"), command, &params).await.map_err(|e| refused(session, &e))?;
    let _raw = if tty { Raw::set() } else { None };
    pump(process, tty).await
}

/// A server that does not open the streams has a reason that only its message tells.
fn refused(session: &Session, error: &kube::Error) -> Failure {
    match session.unreachable(error) {
        refused @ Failure::Refused(_) if !refused.is_not_found() => {
            Failure::message(format!("unable to upgrade connection: {refused}"))
        }
        other => other,
    }
}

/// Copies the streams until the remote command ends.
async fn pump(mut process: AttachedProcess, tty: bool) -> Result<(), Failure> {
    let status = process.take_status();
    if let Some(mut remote) = process.stdin() {
        tokio::spawn(async move {
            let mut local = tokio::io::stdin();
            let _ = tokio::io::copy(&mut local, &mut remote).await;
            let _ = remote.shutdown().await;
        });
    }
    if let (true, Some(sizes)) = (tty, process.terminal_size()) {
        tokio::spawn(resize(sizes));
    }
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let out = async {
        if let Some(mut from) = stdout {
            let mut to = tokio::io::stdout();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.flush().await;
        }
    };
    let err = async {
        if let Some(mut from) = stderr {
            let mut to = tokio::io::stderr();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.flush().await;
        }
    };
    tokio::join!(out, err);
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    outcome(&serde_json::to_value(status).unwrap_or_default())
}

fn outcome(status: &Value) -> Result<(), Failure> {
    if status.is_null() || status["status"] == "Success" {
        return Ok(());
    }
    let causes = status["details"]["causes"].as_array();
    let code = causes.into_iter().flatten().find(|c| c["reason"] == "ExitCode").and_then(|c| c["message"].as_str());
    match code.and_then(|c| c.parse().ok()) {
        Some(code) => Err(Failure::Code(code)),
        None => Err(Failure::message(status["message"].as_str().unwrap_or("the command failed"))),
    }
}

/// Tells the size of the terminal at the start and after each change.
async fn resize(mut sizes: futures::channel::mpsc::Sender<TerminalSize>) {
    let Ok(mut changed) = signal(SignalKind::window_change()) else { return };
    loop {
        let Some((width, height)) = size() else { return };
        if sizes.send(TerminalSize { width, height }).await.is_err() || changed.recv().await.is_none() {
            return;
        }
    }
}

fn size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one winsize through the pointer, which is valid for the call.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    (result == 0).then_some((size.ws_col, size.ws_row))
}

/// The terminal without line editing; set back when dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> Option<Raw> {
        let before = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
