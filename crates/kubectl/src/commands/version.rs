//! `kubectl version`.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::{Value, json};

use super::Member;
use crate::failure::Failure;
use crate::flags::{on, rest, switch, text, value, values};
use crate::print;
use crate::semantic;
use crate::session::Session;

/// The version of Kubernetes that this command line speaks.
const VERSION: &str = "v1.36.3";

/// The version of Kustomize that upstream's kubectl of this version contains.
const KUSTOMIZE: &str = "v5.8.1";

/// The order of the fields in JSON, that of upstream's structs.
const FIELDS: [&str; 13] = [
    "major",
    "minor",
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("version")
        .about("Print the client and server version information")
        .arg(rest("other"))
        .arg(switch("client", false, "The client's alone"))
        .arg(text("output", "yaml or json").short('o'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let extra = values(matches, "other");
    if !extra.is_empty() {
        return Err(Failure::message(format!("extra arguments: [{}]", extra.join(" "))));
    }
    let output = value(matches, "output").unwrap_or("");
    if !matches!(output, "" | "yaml" | "json") {
        return Err(Failure::message("--output must be 'yaml' or 'json'"));
    }
    let (server, failure) = match on(matches, "client") {
        true => (None, None),
        false => match session.get("/version").await {
            Ok(server) => (Some(server), None),
            Err(failure) => (None, Some(failure)),
        },
    };
    let machine = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let platform = format!("{}/{machine}", std::env::consts::OS);
    let client = json!({"major": "1", "minor": "36", "gitVersion": VERSION, "platform": platform});
    match output {
        "yaml" => {
            let mut all = json!({"clientVersion": client, "kustomizeVersion": KUSTOMIZE});
            all.as_object_mut().and_then(|all| Some(all.insert("serverVersion".to_owned(), server.clone()?)));
            println!("{}", print::yaml(&all));
        }
        "json" => {
            let mut parts = vec![("clientVersion", fields(&client)), ("kustomizeVersion", json!(KUSTOMIZE).to_string())];
            parts.extend(server.as_ref().map(|server| ("serverVersion", fields(server))));
            let parts: Vec<String> = parts.into_iter().map(|(name, text)| format!("  \"{name}\": {text}")).collect();
            println!("{{\n{}\n}}", parts.join(",\n"));
        }
        _ => {
            println!("Client Version: {VERSION}\nKustomize Version: {KUSTOMIZE}");
            if let Some(server) = &server {
                println!("Server Version: {}", server["gitVersion"].as_str().unwrap_or(""));
            }
        }
    }
    if let Some(server) = &server {
        warn(server["gitVersion"].as_str().unwrap_or(""))?;
    }
    failure.map_or(Ok(()), Err)
}

/// What upstream says of a server that is too far away from the client (`getVersionSkewWarning`).
fn warn(server: &str) -> Result<(), Failure> {
    let read = |of: &str, text: &str| semantic::parse(text).map_err(|e| Failure::message(format!("{of} version error: {e}")));
    let (client, server) = (read("client", VERSION)?, read("server", server)?);
    if client.major != server.major || client.minor.abs_diff(server.minor) > 1 {
        eprintln!(
            "Warning: version difference between client ({}.{}) and server ({}.{}) exceeds the supported minor version skew of +/-1",
            client.major, client.minor, server.major, server.minor
        );
    }
    Ok(())
}

fn fields(version: &Value) -> String {
    let known = FIELDS.iter().filter(|f| version[**f].is_string());
    let lines: Vec<String> = known.map(|f| format!("    \"{f}\": {}", version[*f])).collect();
    format!("{{\n{}\n  }}", lines.join(",\n"))
}
