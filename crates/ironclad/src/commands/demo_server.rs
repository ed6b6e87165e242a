//! The small HTTP server that the demo image runs: it answers with its pod's name.

use std::convert::Infallible;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::{Arg, ArgMatches, value_parser};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Command;

pub(super) const COMMAND: Command = Command { definition, run };

/// The port it listens at.
pub const PORT: u16 = 8080;

fn definition() -> clap::Command {
    let port = Arg::new("port").long("port").value_parser(value_parser!(u16)).help("Where it listens (8080)");
    clap::Command::new("demo-server").hide(true).about("Answer HTTP requests with the name of this pod").arg(port)
}

fn run(matches: &ArgMatches) -> Result<()> {
    super::block_on(serve(matches.get_one("port").copied().unwrap_or(PORT)))?
}

async fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await.context("listen")?;
    let name = Bytes::from(format!("{}\n", nix::unistd::gethostname()?.to_string_lossy()));
    let mut end = signal(SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = end.recv() => return Ok(()),
        };
        let name = name.clone();
        let answer = service_fn(move |_| {
            let body = Full::new(name.clone());
            async move { Ok::<_, Infallible>(hyper::Response::new(body)) }
        });
        // A client that breaks off is no matter for the others.
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}
