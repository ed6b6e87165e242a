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
use crate::print::{Tabs, omit_managed_fields};
use crate::selection::{self, Query, Target};
use crate::session::{JSON, Session};

pub async fn run(session: &Session, matches: &ArgMatches, targets: &[Target], query: &Query) -> Result<(), Failure> {
    let [target] = targets else {
        let one_type = targets.windows(2).all(|pair| pair[0].resource == pair[1].resource);
        return Err(Failure::message(match one_type {
            true => format!(
                "watch is only supported on individual resources and resource collections - {} resources were found",
                targets.len()
            ),
            false => "you may only specify a single resource type".to_owned(),
        }));
    };
    let output = value(matches, "output").unwrap_or("");
    let plain = matches!(output, "" | "wide");
    let accept = if plain { TABLE } else { JSON };
    let events = on(matches, "output-watch-events");
    let mut query = query.clone();
    if let Some(name) = &target.name {
        session.get(&target.path()).await?;
        query = Query { fields: format!("metadata.name={name}"), ..Query::default() };
    }
    let path = target.resource.path(&target.namespace);
    let mut parts = query.parts();
    let list = session.json("GET", &selection::with_query(&path, &parts.join("&")), accept, None).await;
    let list = list.map_err(|f| query.explain(&target.resource, f))?;
    let mut shown = Shown { tabs: Tabs::new(), columns: Vec::new(), form: form(session, matches) };
    let event = |kind: &'static str| events.then_some(kind);
    let mut separate = false;
    let mut document = |object: &Value, event| document(target, object, output, event, std::mem::replace(&mut separate, true));
    if !on(matches, "watch-only") {
        match plain {
            true => shown.table(&list, event("ADDED   ")),
            false => {
                let items = list["items"].as_array().into_iter().flatten();
                items.map(|i| document(i, event("ADDED"))).collect::<Result<(), Failure>>()?;
            }
        }
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("");
    parts.extend(["watch=true".to_owned(), format!("resourceVersion={version}")]);
    let body = session.stream("GET", &selection::with_query(&path, &parts.join("&")), accept, None).await?;
    let bytes = body.into_data_stream().map_err(std::io::Error::other).boxed();
    let mut lines = StreamReader::new(bytes).lines();
    while let Some(line) = lines.next_line().await.map_err(|e| Failure::message(e.to_string()))? {
        let change: Value = serde_json::from_str(&line).map_err(|e| Failure::message(e.to_string()))?;
        let kind = match change["type"].as_str() {
            Some("ERROR") => return Err(Failure::Refused(Box::new(change["object"].clone()))),
            Some("BOOKMARK") => continue,
            // As wide as the longest, as upstream.
            Some("DELETED") => event("DELETED "),
            Some("ADDED") => event("ADDED   "),
            _ => event("MODIFIED"),
        };
        match plain {
            true => shown.table(&change["object"], kind),
            false => document(&change["object"], kind)?,
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
    fn table(&mut self, table: &Value, event: Option<&str>) {
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
        self.form.event = event.map(str::to_owned);
        self.form.add(&mut self.tabs, table, &self.columns, None, headers);
        write(&self.tabs.flush());
    }
}

fn document(target: &Target, object: &Value, output: &str, event: Option<&str>, separate: bool) -> Result<(), Failure> {
    let mut object = object.clone();
    object["apiVersion"] = Value::from(target.resource.group_version());
    object["kind"] = Value::from(target.resource.kind.clone());
    omit_managed_fields(&mut object, output);
    if let Some(event) = event {
        object = serde_json::json!({"type": event.trim_end(), "object": object});
    }
    if output == "name" {
        write(&format!("{}/{}\n", target.resource.label(), object["metadata"]["name"].as_str().unwrap_or("")));
    } else {
        let start = if output == "yaml" && separate { "---\n" } else { "" };
        write(&format!("{start}{}", show(&object, output, true)?));
    }
    Ok(())
}

fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
