//! The streams of a remote program, and this side's terminal (for `exec`, `attach`, `debug`).

use futures::SinkExt;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use nix::sys::termios::{self, SetArg, Termios};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::detaching::{self, Keys};
use crate::failure::Failure;
use crate::session::Session;

/// The path of the request that opens streams.
pub fn path(namespace: &str, pod: &str, subresource: &str, params: &AttachParams) -> String {
    let container = params.container.iter().map(|name| ("container", name.as_str()));
    let on = [("stdin", params.stdin), ("stdout", params.stdout), ("stderr", params.stderr), ("tty", params.tty)];
    let on = on.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true"));
    let query: Vec<String> = container.chain(on).map(|(name, value)| format!("{name}={value}")).collect();
    format!("/api/v1/namespaces/{namespace}/pods/{pod}/{subresource}?{}", query.join("&"))
}

/// A server that does not open the streams has a reason that only its message tells.
pub fn refused(session: &Session, error: &kube::Error) -> Failure {
    match session.unreachable(error) {
        refused @ Failure::Refused(_) if !refused.is_not_found() => {
            Failure::message(format!("unable to upgrade connection: {refused}"))
        }
        other => other,
    }
}

/// Copies the streams until the remote command ends, or until `keys` were typed.
pub async fn pump(mut process: AttachedProcess, tty: bool, keys: Option<Keys>) -> Result<(), Failure> {
    let status = process.take_status();
    let (leave, left) = oneshot::channel();
    if let Some(mut remote) = process.stdin() {
        tokio::spawn(async move {
            let is_left = detaching::copy(&mut tokio::io::stdin(), &mut remote, keys).await;
            let _ = remote.shutdown().await;
            if is_left {
                // Nobody waits where the command has ended meanwhile.
                let _ = leave.send(());
            }
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
    tokio::select! {
        _ = async { tokio::join!(out, err) } => {}
        Ok(()) = left => return Ok(()),
    }
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
pub struct Raw(Termios);

impl Raw {
    /// Sets it; `None` where standard input is no terminal.
    pub fn set() -> Option<Raw> {
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
