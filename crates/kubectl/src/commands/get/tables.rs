//! `kubectl get` as tables, which the server makes.

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{TABLE, form, sort};
use crate::describe::since;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{number_of, on, value};
use crate::print::{Tables, Tabs};
use crate::selection::{self, Query, Target};
use crate::session::{JSON, Session};

/// One type's rows.
struct Group {
    resource: Resource,
    tables: Vec<Value>,
}

pub async fn run(session: &Session, matches: &ArgMatches, targets: &[Target], query: &Query) -> Result<(), Failure> {
    let mut groups: Vec<Group> = Vec::new();
    let mut failures = Vec::new();
    for target in targets {
        match read(session, matches, target, query).await {
            Ok(tables) => match groups.last_mut().filter(|g| g.resource == target.resource) {
                Some(group) => group.tables.extend(tables),
                None => groups.push(Group { resource: target.resource.clone(), tables }),
            },
            Err(failure) if failure.is_not_found() && on(matches, "ignore-not-found") => {}
            Err(failure) => failures.push(failure),
        }
    }
    let several = groups.iter().any(|g| g.resource != groups[0].resource);
    let with_kind = on(matches, "show-kind") || several;
    let namespaced = !session.everywhere && groups.iter().all(|g| g.resource.namespaced);
    groups.retain(|g| g.tables.iter().any(|t| !t["rows"].as_array().is_none_or(Vec::is_empty)));
    if groups.is_empty() {
        if failures.is_empty() && !on(matches, "ignore-not-found") {
            match namespaced {
                true => eprintln!("No resources found in {} namespace.", session.namespace),
                false => eprintln!("No resources found"),
            }
        }
        return Failure::collect(failures);
    }
    let mut form = form(session, matches);
    form.with_namespace = false;
    for (i, group) in groups.iter().enumerate() {
        if i > 0 && !form.no_headers {
            println!();
        }
        // As upstream: a cluster-wide type after one in namespaces keeps the column.
        form.with_namespace |= session.everywhere && group.resource.namespaced;
        print!("{}", text(group, &form, with_kind));
    }
    Failure::collect(failures)
}

fn text(group: &Group, form: &Tables, with_kind: bool) -> String {
    let label = group.resource.label();
    let mut tabs = Tabs::new();
    let mut columns: Vec<Value> = Vec::new();
    for table in &group.tables {
        let headers = columns.is_empty();
        if let Some(own) = table["columnDefinitions"].as_array().filter(|c| !c.is_empty()) {
            columns = own.clone();
        }
        form.add(&mut tabs, table, &columns, with_kind.then_some(label.as_str()), headers);
    }
    tabs.flush()
}

/// The table that can be made of any objects (upstream: `printers.TablePrinter`).
fn plain(objects: Vec<Value>) -> Value {
    let row = |object: Value| {
        let metadata = &object["metadata"];
        json!({"cells": [metadata["name"], since(&metadata["creationTimestamp"])], "object": object})
    };
    let columns = json!([{"name": "Name", "format": "name"}, {"name": "Age"}]);
    json!({"columnDefinitions": columns, "rows": objects.into_iter().map(row).collect::<Vec<_>>()})
}

/// The table of a target, in as many parts as the server gives.
async fn read(session: &Session, matches: &ArgMatches, target: &Target, query: &Query) -> Result<Vec<Value>, Failure> {
    if !on(matches, "server-print") {
        let objects = match target.name {
            Some(_) => vec![selection::named(session, target, JSON).await?],
            None => selection::list(session, target, query).await?,
        };
        let mut table = plain(objects);
        if let Some(path) = value(matches, "sort-by").filter(|s| !s.is_empty()) {
            sort::rows(&mut table, path);
        }
        return Ok(vec![table]);
    }
    if target.name.is_some() {
        return Ok(vec![selection::named(session, target, TABLE).await?]);
    }
    let sort = value(matches, "sort-by").filter(|s| !s.is_empty());
    let mut parts = query.parts();
    match (number_of(matches, "chunk-size"), sort) {
        // Sorting needs the objects' fields, of which a table's rows have the metadata alone.
        (_, Some(_)) => parts.push("includeObject=Object".to_owned()),
        (Some(limit), None) if limit > 0 => parts.push(format!("limit={limit}")),
        _ => {}
    }
    let mut tables = Vec::new();
    let mut next = String::new();
    loop {
        let part = (!next.is_empty()).then(|| format!("continue={}", selection::encode(&next)));
        let query_text = parts.iter().cloned().chain(part).collect::<Vec<_>>().join("&");
        let path = selection::with_query(&target.path(), &query_text);
        let table = session.json("GET", &path, TABLE, None).await.map_err(|f| query.explain(&target.resource, f))?;
        next = table["metadata"]["continue"].as_str().unwrap_or("").to_owned();
        tables.push(table);
        if next.is_empty() {
            break;
        }
    }
    if let Some(path) = sort {
        tables.iter_mut().for_each(|table| sort::rows(table, path));
    }
    Ok(tables)
}
