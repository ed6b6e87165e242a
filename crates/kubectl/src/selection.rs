//! Which objects a command line means: `pods,svc`, `pod a b`, `deploy/web svc/db`, `-l`, `-f`.

use clap::ArgMatches;
use serde_json::Value;

use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags;
use crate::manifest;
use crate::session::{JSON, Session};

/// Objects of one resource: those with names, or all that the selectors let through.
#[derive(Clone, Debug)]
pub struct Target {
    /// The resource.
    pub resource: Resource,
    /// One name, or `None` for the list.
    pub name: Option<String>,
    /// The namespace; empty for cluster-wide resources and for lists over all namespaces.
    pub namespace: String,
}

impl Target {
    /// The path with selectors as the query.
    pub fn path(&self) -> String {
        match &self.name {
            Some(name) => self.resource.object_path(&self.namespace, name),
            None => self.resource.path(&self.namespace),
        }
    }
}

/// Reads the arguments after the command's name. Several resource types give several targets.
pub async fn targets(session: &Session, words: &[String]) -> Result<Vec<Target>, Failure> {
    let discovery = session.discovery().await?;
    let target = |resource: &Resource, name: Option<&str>| Target {
        namespace: match (resource.namespaced, name) {
            (false, _) => String::new(),
            (true, Some(_)) => session.namespace.clone(),
            (true, None) => session.list_namespace().to_owned(),
        },
        resource: resource.clone(),
        name: name.map(str::to_owned),
    };
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    if words.iter().any(|w| w.contains('/')) {
        for word in words {
            let Some((kind, name)) = word.split_once('/') else {
                return Err(Failure::message(
                    "there is no need to specify a resource type as a separate argument when passing arguments in \
                     resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource \
                     resource/<resource_name>'",
                ));
            };
            if name.is_empty() {
                return Err(Failure::message("arguments in resource/name form may not have more than one slash"));
            }
            out.push(target(discovery.find(kind)?, Some(name)));
        }
        named_everywhere(session)?;
        return Ok(out);
    }
    for word in first.split(',').filter(|w| !w.is_empty()) {
        let members = discovery.category(word);
        let resources = if members.is_empty() { vec![discovery.find(word)?] } else { members };
        for resource in resources {
            if words.len() == 1 {
                out.push(target(resource, None));
            }
            out.extend(words[1..].iter().map(|name| target(resource, Some(name))));
        }
    }
    if words.len() > 1 {
        named_everywhere(session)?;
    }
    Ok(out)
}

fn named_everywhere(session: &Session) -> Result<(), Failure> {
    match session.everywhere {
        true => Err(Failure::message("a resource cannot be retrieved by name across all namespaces")),
        false => Ok(()),
    }
}

/// Targets of `-f` files or of the arguments.
pub async fn of_command(session: &Session, matches: &ArgMatches, words: &[String]) -> Result<Vec<Target>, Failure> {
    let files = flags::values(matches, "filename");
    if files.is_empty() {
        return targets(session, words).await;
    }
    let mut out = Vec::new();
    for document in manifest::read(&files)? {
        let (resource, namespace) = document.place(session).await?;
        out.push(Target { resource, namespace, name: Some(document.name().to_owned()) });
    }
    Ok(out)
}

/// The query of the selector flags, without the question mark.
pub fn query(matches: &ArgMatches) -> String {
    let pairs = [("labelSelector", "selector"), ("fieldSelector", "field-selector")];
    let parts = pairs.into_iter().filter_map(|(key, flag)| {
        flags::value(matches, flag).filter(|v| !v.is_empty()).map(|v| format!("{key}={}", encode(v)))
    });
    parts.collect::<Vec<_>>().join("&")
}

/// Escapes a query value.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// A path with a query.
pub fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// All objects of the targets, lists opened; each with its resource.
pub async fn objects(session: &Session, targets: &[Target], query: &str) -> Result<Vec<(Resource, Value)>, Failure> {
    let mut out = Vec::new();
    for target in targets {
        if target.name.is_some() {
            out.push((target.resource.clone(), session.get(&target.path()).await?));
            continue;
        }
        for item in list(session, target, query).await? {
            out.push((target.resource.clone(), item));
        }
    }
    Ok(out)
}

/// The items of a list, their kind and version filled in.
pub async fn list(session: &Session, target: &Target, query: &str) -> Result<Vec<Value>, Failure> {
    let mut answer = session.json("GET", &with_query(&target.path(), query), JSON, None).await?;
    let items = match answer["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let fill = |mut item: Value| {
        item["apiVersion"] = Value::from(target.resource.group_version());
        item["kind"] = Value::from(target.resource.kind.clone());
        item
    };
    Ok(items.into_iter().map(fill).collect())
}
