//! `kubectl version`.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::json;

use super::{Member, get};
use crate::failure::Failure;
use crate::flags::{on, switch, text, value};
use crate::session::Session;

/// The version of Kubernetes that this command line speaks.
const VERSION: &str = "v1.36.3";

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("version")
        .about("Print the client and server version information")
        .arg(switch("client", false, "The client's alone"))
        .arg(text("output", "yaml or json").short('o'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let server = match on(matches, "client") {
        true => None,
        false => Some(session.get("/version").await?),
    };
    let output = value(matches, "output").unwrap_or("");
    if output.is_empty() {
        println!("Client Version: {VERSION}\nKustomize Version: v5.8.1");
        if let Some(server) = server {
            println!("Server Version: {}", server["gitVersion"].as_str().unwrap_or(""));
        }
        return Ok(());
    }
    let platform = format!("{}/{}", std::env::consts::OS, if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" });
    let client = json!({"major": "1", "minor": "36", "gitVersion": VERSION, "platform": platform});
    let mut all = json!({"clientVersion": client, "kustomizeVersion": "v5.8.1"});
    if let Some(server) = server {
        all["serverVersion"] = server;
    }
    print!("{}", get::show(&all, output, false)?);
    Ok(())
}
