//! `kubectl get`.

mod watch;

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::{Value, json};

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{files, on, rest, switch, text, value, values};
use crate::print::{self, Tables, Tabs};
use crate::selection::{self, Target};
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

/// Asks for the server's table; a server without tables gives the objects.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn command() -> Command {
    Command::new("get")
        .about("Display one or many resources")
        .arg(rest("resource"))
        .arg(files())
        .arg(text("output", "wide, yaml, json, name, jsonpath=..., custom-columns=...").short('o'))
        .arg(switch("watch", false, "Show changes after the list").short('w'))
        .arg(switch("watch-only", false, "Show changes alone"))
        .arg(switch("all-namespaces", false, "In all namespaces").short('A'))
        .arg(text("selector", "Labels that objects must have").short('l'))
        .arg(text("field-selector", "Fields that objects must have"))
        .arg(text("label-columns", "Labels shown as columns").short('L').value_delimiter(','))
        .arg(text("sort-by", "JSONPath of the field to sort by"))
        .arg(text("raw", "Path on the server whose answer is printed"))
        .arg(text("chunk-size", "Objects in one answer"))
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
    let targets = selection::of_command(session, matches, &words).await?;
    let query = selection::query(matches);
    let output = value(matches, "output").unwrap_or("");
    let plain = matches!(output, "" | "wide");
    if on(matches, "watch") || on(matches, "watch-only") {
        return watch::run(session, matches, &targets, &query).await;
    }
    // Sorting needs the objects' fields, of which a table's rows have the metadata alone.
    match plain {
        true => tables(session, matches, &targets, &query).await,
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
    }
}

/// One type's rows.
struct Group {
    resource: Resource,
    tables: Vec<Value>,
}

async fn tables(session: &Session, matches: &ArgMatches, targets: &[Target], query: &str) -> Result<(), Failure> {
    let mut groups: Vec<Group> = Vec::new();
    let mut failures = Vec::new();
    for target in targets {
        match read_table(session, matches, target, query).await {
            Ok(tables) => match groups.last_mut().filter(|g| g.resource == target.resource) {
                Some(group) => group.tables.extend(tables),
                None => groups.push(Group { resource: target.resource.clone(), tables }),
            },
            Err(failure) if failure.is_not_found() && target.name.is_some() && on(matches, "ignore-not-found") => {}
            Err(failure) => failures.push(failure),
        }
    }
    groups.retain(|g| g.tables.iter().any(|t| !t["rows"].as_array().is_none_or(Vec::is_empty)));
    if groups.is_empty() {
        if failures.is_empty() && !on(matches, "ignore-not-found") {
            none_found(session, targets);
        }
        return Failure::collect(failures);
    }
    let mut types: Vec<&Resource> = targets.iter().map(|t| &t.resource).collect();
    types.dedup();
    let with_kind = on(matches, "show-kind") || types.len() > 1;
    let form = form(session, matches);
    for (i, group) in groups.iter().enumerate() {
        if i > 0 {
            println!();
        }
        // Of several types, the cluster-wide ones have no column for the namespace.
        let form = Tables { with_namespace: form.with_namespace && group.resource.namespaced, ..form.clone() };
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
        print!("{}", tabs.flush());
    }
    Failure::collect(failures)
}

fn none_found(session: &Session, targets: &[Target]) {
    let namespaced = targets.iter().any(|t| t.resource.namespaced);
    if namespaced && !session.everywhere {
        eprintln!("No resources found in {} namespace.", session.namespace);
    } else {
        eprintln!("No resources found");
    }
}

/// The table of a target, in as many parts as the server gives.
async fn read_table(
    session: &Session,
    matches: &ArgMatches,
    target: &Target,
    query: &str,
) -> Result<Vec<Value>, Failure> {
    if target.name.is_some() {
        return Ok(vec![session.json("GET", &target.path(), TABLE, None).await?]);
    }
    let limit = value(matches, "chunk-size").and_then(|v| v.parse::<u32>().ok()).unwrap_or(500);
    let sort = value(matches, "sort-by");
    let mut tables = Vec::new();
    let mut next = String::new();
    loop {
        let mut query = [query, &format!("limit={limit}")].into_iter().filter(|q| !q.is_empty()).collect::<Vec<_>>().join("&");
        if !next.is_empty() {
            query.push_str(&format!("&continue={}", selection::encode(&next)));
        }
        if sort.is_some() {
            query.push_str("&includeObject=Object");
        }
        let table = session.json("GET", &selection::with_query(&target.path(), &query), TABLE, None).await?;
        next = table["metadata"]["continue"].as_str().unwrap_or("").to_owned();
        tables.push(table);
        if next.is_empty() {
            break;
        }
    }
    match sort {
        Some(path) => Ok(vec![sorted_rows(tables, path)?]),
        None => Ok(tables),
    }
}

fn sorted_rows(tables: Vec<Value>, path: &str) -> Result<Value, Failure> {
    let mut all = tables.first().cloned().unwrap_or_default();
    let mut rows: Vec<Value> = tables.iter().filter_map(|t| t["rows"].as_array()).flatten().cloned().collect();
    print::jsonpath::find(path, &Value::Null).map_err(Failure::Message)?;
    rows.sort_by(|a, b| order(&a["object"], &b["object"], path));
    all["rows"] = Value::Array(rows);
    Ok(all)
}

fn order(a: &Value, b: &Value, path: &str) -> std::cmp::Ordering {
    let key = |v| print::jsonpath::find(path, v).ok().and_then(|f| f.first().map(|v| (*v).clone())).unwrap_or_default();
    let (a, b) = (key(a), key(b));
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => print::jsonpath::show(&a).cmp(&print::jsonpath::show(&b)),
    }
}

async fn objects(
    session: &Session,
    matches: &ArgMatches,
    targets: &[Target],
    query: &str,
    output: &str,
) -> Result<(), Failure> {
    let mut found: Vec<(Resource, Value)> = Vec::new();
    let mut failures = Vec::new();
    for target in targets {
        let (objects, wrong) = selection::each(session, std::slice::from_ref(target), query).await;
        found.extend(objects);
        let ignored = |f: &Failure| f.is_not_found() && target.name.is_some() && on(matches, "ignore-not-found");
        failures.extend(wrong.into_iter().filter(|f| !ignored(f)));
    }
    if !on(matches, "show-managed-fields") {
        for (_, object) in &mut found {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
        }
    }
    if let Some(path) = value(matches, "sort-by") {
        found.sort_by(|a, b| order(&a.1, &b.1, path));
    }
    if output == "name" {
        for (resource, object) in &found {
            println!("{}/{}", resource.label(), object["metadata"]["name"].as_str().unwrap_or(""));
        }
        return Failure::collect(failures);
    }
    let single = targets.len() == 1 && targets[0].name.is_some();
    if single && found.is_empty() {
        return Failure::collect(failures);
    }
    let root = match single {
        true => found.remove(0).1,
        false => json!({
            "apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""},
            "items": found.into_iter().map(|(_, object)| object).collect::<Vec<_>>(),
        }),
    };
    print!("{}", show(&root, output, on(matches, "no-headers"))?);
    Failure::collect(failures)
}

/// An object or list in one of the output formats.
pub fn show(root: &Value, output: &str, no_headers: bool) -> Result<String, Failure> {
    let (format, template) = output.split_once('=').unwrap_or((output, ""));
    match format {
        "yaml" => Ok(print::yaml(root)),
        "json" => Ok(print::json(root)),
        "jsonpath" => print::jsonpath::render(template, root)
            .map_err(|e| Failure::message(format!("error executing jsonpath \"{template}\": {e}"))),
        "custom-columns" => custom_columns(root, template, no_headers),
        _ => Err(Failure::message(format!(
            "unable to match a printer suitable for the output format \"{output}\", allowed formats are: \
             custom-columns,json,jsonpath,name,wide,yaml"
        ))),
    }
}

fn custom_columns(root: &Value, template: &str, no_headers: bool) -> Result<String, Failure> {
    let mut columns = Vec::new();
    for column in template.split(',') {
        let Some((header, path)) = column.split_once(':') else {
            return Err(Failure::message(format!(
                "unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>"
            )));
        };
        columns.push((header, path));
    }
    let mut tabs = Tabs::new();
    if !no_headers {
        tabs.line(columns.iter().map(|(header, _)| *header));
    }
    let own = [root.clone()];
    let items: &[Value] = root["items"].as_array().map_or(&own, Vec::as_slice);
    for item in items {
        let mut line = Vec::new();
        for (_, path) in &columns {
            let found = print::jsonpath::find(path, item).map_err(Failure::Message)?;
            let texts: Vec<String> = found.into_iter().map(print::jsonpath::show).collect();
            line.push(if texts.is_empty() { "<none>".to_owned() } else { texts.join(",") });
        }
        tabs.line(line);
    }
    Ok(tabs.flush())
}
