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
    /// The file that names it.
    pub source: Option<String>,
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
/// `selected` says that a selector chooses the objects: then there are no names.
pub async fn targets(session: &Session, words: &[String], selected: bool) -> Result<Vec<Target>, Failure> {
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    let pairs = pairs(words)?;
    if selected && !pairs.is_empty() {
        return Err(Failure::message("selectors and the all flag cannot be used when passing resource/name arguments"));
    }
    if selected && words.len() > 1 {
        return Err(Failure::message("name cannot be provided when a selector is specified"));
    }
    let discovery = session.discovery().await?;
    let mut out = Vec::new();
    if pairs.is_empty() {
        let mut resources = Vec::new();
        for word in first.split(',') {
            let members = discovery.category(word);
            match members.is_empty() {
                true => resources.push(discovery.find(word)?),
                false => resources.extend(members),
            }
        }
        if words.len() > 1 && resources.len() > 1 {
            return Err(Failure::message("you must specify only one resource"));
        }
        for resource in resources {
            match words.len() {
                1 => out.push(target(session, resource, None)?),
                _ => for name in &words[1..] {
                    out.push(target(session, resource, Some(name))?);
                },
            }
        }
        return Ok(out);
    }
    // All types are looked up before the first is asked for.
    let resources = pairs.iter().map(|(kind, _)| discovery.find(kind)).collect::<Result<Vec<_>, Failure>>()?;
    resources.into_iter().zip(&pairs).map(|(resource, (_, name))| target(session, resource, Some(name))).collect()
}

fn target(session: &Session, resource: &Resource, name: Option<&str>) -> Result<Target, Failure> {
    let namespace = match (resource.namespaced, name) {
        (false, _) => String::new(),
        (true, Some(_)) if session.everywhere => {
            return Err(Failure::message("a resource cannot be retrieved by name across all namespaces"));
        }
        (true, Some(_)) => session.namespace.clone(),
        (true, None) => session.list_namespace().to_owned(),
    };
    Ok(Target { resource: resource.clone(), name: name.map(str::to_owned), source: None, namespace })
}

/// `pod/a svc/b`, and `pod,svc a` in that form; empty for other forms.
fn pairs(words: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let types: Vec<&str> = words[0].split(',').filter(|w| !w.is_empty()).collect();
    let words: Vec<String> = match words.len() > 1 && types.len() > 1 {
        true => types.iter().flat_map(|t| words[1..].iter().map(move |name| format!("{t}/{name}"))).collect(),
        false => words.to_vec(),
    };
    match words.iter().filter(|w| w.contains('/')).count() {
        0 => return Ok(Vec::new()),
        some if some < words.len() => {
            return Err(Failure::message(
                "there is no need to specify a resource type as a separate argument when passing arguments in \
                 resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource \
                 resource/<resource_name>'",
            ));
        }
        _ => {}
    }
    let split = |word: &String| match word.split('/').collect::<Vec<_>>().as_slice() {
        [kind, name] if !kind.is_empty() && !name.is_empty() && !kind.contains(',') => {
            Ok(((*kind).to_owned(), (*name).to_owned()))
        }
        [_, _] => Err(Failure::message("arguments in resource/name form must have a single resource and name")),
        _ => Err(Failure::message("arguments in resource/name form may not have more than one slash")),
    };
    words.iter().map(split).collect()
}

/// Targets of `-f` files or of the arguments.
pub async fn of_command(session: &Session, matches: &ArgMatches, words: &[String]) -> Result<Vec<Target>, Failure> {
    let files = flags::values(matches, "filename");
    if files.is_empty() {
        let selected = !query(matches).is_empty() || flags::on(matches, "all");
        return targets(session, words, selected).await;
    }
    if !words.is_empty() {
        return Err(Failure::message(
            "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
        ));
    }
    let mut out = Vec::new();
    for document in manifest::read(&files, flags::on(matches, "recursive"), false).await? {
        let document = document?;
        let (resource, namespace) = document.place(session).await?;
        let name = Some(document.name().to_owned());
        out.push(Target { resource, namespace, name, source: Some(document.source) });
    }
    Ok(out)
}

/// What a command says that needs objects and was given none.
pub const USAGE: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications \
     include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

/// Which objects of a list are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// `-l`, empty for all.
    pub labels: String,
    /// `--field-selector`, empty for all.
    pub fields: String,
}

impl Query {
    /// Objects with these labels.
    pub fn labels(selector: &str) -> Query {
        Query { labels: selector.to_owned(), ..Query::default() }
    }

    /// Whether all objects are meant.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The parts of the request's query.
    pub fn parts(&self) -> Vec<String> {
        let pairs = [("labelSelector", &self.labels), ("fieldSelector", &self.fields)];
        pairs.into_iter().filter(|(_, v)| !v.is_empty()).map(|(key, v)| format!("{key}={}", encode(v))).collect()
    }

    /// A refused list says what was asked for.
    pub fn explain(&self, resource: &Resource, failure: Failure) -> Failure {
        let Failure::Refused(mut status) = failure else { return failure };
        if !matches!(status["reason"].as_str(), Some("BadRequest" | "NotFound")) {
            return Failure::Refused(status);
        }
        let what = format!("{}/{}, Resource={}", resource.group, resource.version, resource.name);
        let message = status["message"].as_str().unwrap_or("").to_owned();
        status["message"] = Value::from(match self.is_empty() {
            true => format!("Unable to list {what:?}: {message}"),
            false => format!(
                "Unable to find {what:?} that match label selector {:?}, field selector {:?}: {message}",
                self.labels, self.fields
            ),
        });
        Failure::Refused(status)
    }
}

/// The selector flags.
pub fn query(matches: &ArgMatches) -> Query {
    let text = |flag| flags::value(matches, flag).unwrap_or("").to_owned();
    Query { labels: text("selector"), fields: text("field-selector") }
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

/// All objects of the targets, lists opened, each with its resource; and what could not be had.
pub async fn each(session: &Session, targets: &[Target], query: &Query) -> (Vec<(Resource, Value)>, Vec<Failure>) {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for target in targets {
        let objects = match target.name {
            Some(_) => named(session, target, JSON).await.map(|object| vec![object]),
            None => list(session, target, query).await,
        };
        match objects {
            Ok(objects) => found.extend(objects.into_iter().map(|object| (target.resource.clone(), object))),
            Err(failure) => failures.push(failure),
        }
    }
    (found, failures)
}

/// One object by its name, in the form asked for. If it is not there because its namespace is not, that is said.
pub async fn named(session: &Session, target: &Target, accept: &str) -> Result<Value, Failure> {
    let failure = match session.json("GET", &target.path(), accept, None).await {
        Err(failure) if failure.is_not_found() => failure,
        other => return other,
    };
    if !matches!(target.namespace.as_str(), "" | "default") {
        match session.get(&format!("/api/v1/namespaces/{}", target.namespace)).await {
            Err(missing) if missing.is_not_found() => return Err(missing),
            _ => {}
        }
    }
    Err(failure)
}

/// The items of a list, their kind and version filled in.
pub async fn list(session: &Session, target: &Target, query: &Query) -> Result<Vec<Value>, Failure> {
    let items = session.items(&with_query(&target.path(), &query.parts().join("&"))).await;
    let items = items.map_err(|f| query.explain(&target.resource, f))?;
    let fill = |mut item: Value| {
        item["apiVersion"] = Value::from(target.resource.group_version());
        item["kind"] = Value::from(target.resource.kind.clone());
        item
    };
    Ok(items.into_iter().map(fill).collect())
}
