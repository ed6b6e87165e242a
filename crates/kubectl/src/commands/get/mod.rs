//! `kubectl get`.

mod sort;
mod tables;
mod watch;

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::{Value, json};

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{files, number, on, recursive, rest, several, switch, text, value, values};
pub use crate::print::show;
use crate::print::{Tables, omit_managed_fields};
use crate::selection::{self, Query, Target};
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

/// Asks for the server's table; a server without tables gives the objects.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn command() -> Command {
    Command::new("get")
        .about("Display one or many resources")
        .arg(rest("resource"))
        .arg(files())
        .arg(recursive())
        .arg(text("output", "wide, yaml, json, name, jsonpath=..., custom-columns=...").short('o'))
        .arg(switch("watch", false, "Show changes after the list").short('w'))
        .arg(switch("watch-only", false, "Show changes alone"))
        .arg(switch("all-namespaces", false, "In all namespaces").short('A'))
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(text("field-selector", "Fields that objects must have"))
        .arg(several("label-columns", "Labels shown as columns").short('L').value_delimiter(','))
        .arg(text("sort-by", "JSONPath of the field to sort by"))
        .arg(text("raw", "Path on the server whose answer is printed"))
        .arg(number("chunk-size", "Objects in one answer").default_value("500"))
        .arg(switch("output-watch-events", false, "The kind of each change before it"))
        .arg(text("subresource", "The part of an object that is meant, for example status or scale"))
        .arg(switch("server-print", true, "Tables as the server makes them"))
        .arg(switch("no-headers", false, "Without the line of headers"))
        .arg(switch("show-labels", false, "Labels as the last column"))
        .arg(switch("show-kind", false, "The type before each name"))
        .arg(switch("show-managed-fields", false, "Keep metadata.managedFields"))
        .arg(switch("ignore-not-found", false, "No error if an object is not there"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(path) = value(matches, "raw") {
        let bytes = session.bytes("GET", path, "application/json, */*", None).await?;
        print!("{}", String::from_utf8_lossy(&bytes));
        return Ok(());
    }
    let words = values(matches, "resource");
    if words.is_empty() && values(matches, "filename").is_empty() {
        return Err(Failure::Text(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported \
             resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed \
             description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples"
                .to_owned(),
        ));
    }
    let output = value(matches, "output").unwrap_or("");
    let plain = matches!(output, "" | "wide");
    if on(matches, "show-labels") && !plain {
        return Err(Failure::message(format!("--show-labels option cannot be used with {output} printer")));
    }
    let watch = on(matches, "watch") || on(matches, "watch-only");
    if on(matches, "output-watch-events") && !watch {
        return Err(Failure::message("--output-watch-events option can only be used with --watch or --watch-only"));
    }
    let mut targets = selection::of_command(session, matches, &words).await?;
    let query = selection::query(matches);
    if let Some(part) = value(matches, "subresource").filter(|part| !part.is_empty()) {
        for target in &mut targets {
            let Some(name) = &target.name else {
                return Err(Failure::message("subresource cannot be used when bulk resources are specified"));
            };
            // It has its place below the object.
            target.name = Some(format!("{name}/{part}"));
        }
    }
    if watch {
        return watch::run(session, matches, &targets, &query).await;
    }
    match plain {
        true => tables::run(session, matches, &targets, &query).await,
        false => objects(session, matches, &targets, &query, output).await,
    }
}

/// How tables look with the flags given.
fn form(session: &Session, matches: &ArgMatches) -> Tables {
    Tables {
        wide: value(matches, "output") == Some("wide"),
        no_headers: on(matches, "no-headers"),
        with_namespace: session.everywhere,
        show_labels: on(matches, "show-labels"),
        label_columns: values(matches, "label-columns"),
        event: None,
    }
}

async fn objects(
    session: &Session,
    matches: &ArgMatches,
    targets: &[Target],
    query: &Query,
    output: &str,
) -> Result<(), Failure> {
    let (mut found, mut failures) = selection::each(session, targets, query).await;
    if on(matches, "ignore-not-found") {
        failures.retain(|f| !f.is_not_found());
    }
    // One object was meant: by name, or by one file that is no directory.
    let files = values(matches, "filename");
    let one_file = matches!(files.as_slice(), [one] if one != "-" && !std::path::Path::new(one).is_dir());
    let single = one_file || targets.len() == 1 && targets[0].name.is_some();
    if found.is_empty() && on(matches, "ignore-not-found") || single && !failures.is_empty() {
        return Failure::collect(failures);
    }
    if !on(matches, "show-managed-fields") {
        found.iter_mut().for_each(|(_, object)| omit_managed_fields(object, output));
    }
    if let Some(path) = value(matches, "sort-by") {
        sort::objects(&mut found, path)?;
    }
    if output == "name" {
        for (resource, object) in &found {
            println!("{}/{}", label(resource, object), object["metadata"]["name"].as_str().unwrap_or(""));
        }
        return Failure::collect(failures);
    }
    let root = match single && found.len() == 1 {
        true => found.remove(0).1,
        false => json!({
            "apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""},
            "items": found.into_iter().map(|(_, object)| object).collect::<Vec<_>>(),
        }),
    };
    print!("{}", show(&root, output, on(matches, "no-headers"))?);
    Failure::collect(failures)
}

/// What a subresource gives may be of another kind than its object.
fn label(resource: &Resource, object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or("");
    if text("kind") == resource.kind {
        return resource.label();
    }
    let kind = text("kind").to_lowercase();
    text("apiVersion").split_once('/').map_or(kind.clone(), |(group, _)| format!("{kind}.{group}"))
}
