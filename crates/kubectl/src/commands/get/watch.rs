//! `kubectl get -w`: the list, then every change.

use std::io::Write;

use clap::ArgMatches;
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::{TABLE, form, show};
use crate::failure::Failure;
use crate::flags::{on, value};
use crate::print::Tabs;
use crate::selection::{self, Target};
use crate::session::{JSON, Session};

pub async fn run(session: &Session, matches: &ArgMatches, targets: &[Target], query: &str) -> Result<(), Failure> {
    let [target] = targets else {
        return Err(Failure::message("watch is only supported on individual resources and resource collections"));
    };
    let output = value(matches, "output").unwrap_or("");
    let plain = matches!(output, "" | "wide");
    let accept = if plain { TABLE } else { JSON };
    let mut query = query.to_owned();
    if let Some(name) = &target.name {
        session.get(&target.path()).await?;
        query = format!("fieldSelector={}", selection::encode(&format!("metadata.name={name}")));
    }
    let path = target.resource.path(&target.namespace);
    let list = session.json("GET", &selection::with_query(&path, &query), accept, None).await?;
    let mut shown = Shown { tabs: Tabs::new(), columns: Vec::new(), form: form(session, matches) };
    if !on(matches, "watch-only") {
        match plain {
            true => shown.table(&list),
            false => list["items"].as_array().into_iter().flatten().try_for_each(|i| document(target, i, output))?,
        }
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("");
    let joiner = if query.is_empty() { "" } else { "&" };
    let query = format!("{query}{joiner}watch=true&resourceVersion={version}");
    let body = session.stream("GET", &selection::with_query(&path, &query), accept, None).await?;
    let bytes = body.into_data_stream().map_err(std::io::Error::other).boxed();
    let mut lines = StreamReader::new(bytes).lines();
    while let Some(line) = lines.next_line().await.map_err(|e| Failure::message(e.to_string()))? {
        let event: Value = serde_json::from_str(&line).map_err(|e| Failure::message(e.to_string()))?;
        match event["type"].as_str() {
            Some("ERROR") => return Err(Failure::Refused(Box::new(event["object"].clone()))),
            Some("BOOKMARK") => {}
            _ if plain => shown.table(&event["object"]),
            _ => document(target, &event["object"], output)?,
        }
    }
    Ok(())
}

/// What is on the screen: column widths stay from one event to the next.
struct Shown {
    tabs: Tabs,
    columns: Vec<Value>,
    form: crate::print::Tables,
}

impl Shown {
    fn table(&mut self, table: &Value) {
        let headers = self.columns.is_empty();
        if let Some(own) = table["columnDefinitions"].as_array().filter(|c| !c.is_empty()) {
            self.columns = own.clone();
        }
        if table["rows"].as_array().is_none_or(Vec::is_empty) {
            if headers {
                self.columns.clear();
            }
            return;
        }
        self.form.add(&mut self.tabs, table, &self.columns, None, headers);
        write(&self.tabs.flush());
    }
}

fn document(target: &Target, object: &Value, output: &str) -> Result<(), Failure> {
    let mut object = object.clone();
    object["apiVersion"] = Value::from(target.resource.group_version());
    object["kind"] = Value::from(target.resource.kind.clone());
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    if output == "name" {
        write(&format!("{}/{}\n", target.resource.label(), object["metadata"]["name"].as_str().unwrap_or("")));
    } else {
        let start = if output == "yaml" { "---\n" } else { "" };
        write(&format!("{start}{}", show(&object, output, true)?));
    }
    Ok(())
}

fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
