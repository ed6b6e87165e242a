//! `kubectl apply -f`: the three-way merge of last configuration, new configuration and object.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use meta::{Gvk, Object};
use schema::Schema;
use serde_json::{Map, Value};

use super::{Member, create};
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{files, on, switch, text, value, values};
use crate::manifest::{self, Document};
use crate::print::compact;
use crate::selection::with_query;
use crate::session::{JSON, Session};

/// Where the configuration applied last is kept.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("apply")
        .about("Apply a configuration to a resource by file name or stdin")
        .arg(files())
        .arg(text("output", "name, yaml, json, jsonpath=...").short('o'))
        .arg(text("dry-run", "none, client or server").num_args(0..=1).require_equals(true).default_value("none"))
        .arg(text("validate", "strict, warn or ignore").num_args(0..=1).require_equals(true).default_missing_value("strict"))
        .arg(switch("server-side", false, "Let the server merge"))
        .arg(switch("force-conflicts", false, "With --server-side: take fields over from other managers"))
        .arg(text("field-manager", "With --server-side: the name of this manager"))
        .arg(switch("recursive", false, "Directories below the named ones too").short('R'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let names = values(matches, "filename");
    if names.is_empty() {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    let mut failures = Vec::new();
    let documents = manifest::read(&names, on(matches, "recursive"))?;
    if documents.is_empty() {
        return Err(Failure::message("no objects passed to apply"));
    }
    for document in documents {
        let applied = match document {
            Ok(document) => one(session, matches, &document).await,
            Err(failure) => Err(failure),
        };
        failures.extend(applied.err());
    }
    Failure::collect(failures)
}

async fn one(session: &Session, matches: &ArgMatches, document: &Document) -> Result<(), Failure> {
    let (resource, namespace) = document.place(session).await?;
    let dry_run = value(matches, "dry-run").unwrap_or("none");
    let output = value(matches, "output").unwrap_or("");
    if on(matches, "server-side") {
        let applied = server_side(session, matches, document, &resource, &namespace).await?;
        return create::done(&resource, &applied, "serverside-applied", dry_run, output);
    }
    let path = resource.object_path(&namespace, document.name());
    let modified = modified(&document.object, &namespace);
    let current = match session.get(&path).await {
        Ok(current) => current,
        Err(failure) if failure.is_not_found() => {
            let created = match dry_run {
                "client" => modified,
                _ => create::post(session, &resource, &namespace, &modified, dry_run == "server", value(matches, "validate"))
                    .await
                    .map_err(|f| f.when("creating", &document.source))?,
            };
            return create::done(&resource, &created, "created", dry_run, output);
        }
        Err(failure) => {
            let prefix = "retrieving current configuration of";
            return Err(failure.when(prefix, &document.source));
        }
    };
    if current["metadata"]["annotations"][LAST_APPLIED].is_null() {
        eprintln!(
            "Warning: resource {}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl \
             apply should only be used on resources created declaratively by either kubectl create --save-config or \
             kubectl apply. The missing annotation will be patched automatically.",
            resource.plural_label().split('.').next().unwrap_or(""),
            document.name()
        );
    }
    let (kind, patch) = patch(&resource, &modified, &current)?;
    if patch.as_object().is_some_and(Map::is_empty) {
        return create::done(&resource, &current, "unchanged", dry_run, output);
    }
    if dry_run == "client" {
        return create::done(&resource, &current, "configured", dry_run, output);
    }
    let dry = if dry_run == "server" { "&dryRun=All" } else { "" };
    let path = with_query(&path, &format!("fieldManager=kubectl-client-side-apply&fieldValidation=Strict{dry}"));
    let changed = session
        .json("PATCH", &path, JSON, Some((kind, &patch)))
        .await
        .map_err(|f| f.when("applying patch of", &document.source))?;
    let same = changed["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"];
    let word = if same && dry_run == "none" { "unchanged" } else { "configured" };
    create::done(&resource, &changed, word, dry_run, output)
}

async fn server_side(
    session: &Session,
    matches: &ArgMatches,
    document: &Document,
    resource: &Resource,
    namespace: &str,
) -> Result<Value, Failure> {
    let manager = value(matches, "field-manager").unwrap_or("kubectl");
    let dry = if value(matches, "dry-run") == Some("server") { "&dryRun=All" } else { "" };
    let force = on(matches, "force-conflicts");
    let query = format!("fieldManager={manager}&force={force}&fieldValidation=Strict{dry}");
    let path = with_query(&resource.object_path(namespace, document.name()), &query);
    session.json("PATCH", &path, JSON, Some(("application/apply-patch+yaml", &document.object))).await
}

/// The new configuration with itself in the annotation.
fn modified(object: &Value, namespace: &str) -> Value {
    let mut plain = object.clone();
    if !namespace.is_empty() {
        plain["metadata"]["namespace"] = Value::from(namespace);
    }
    if !plain["metadata"]["annotations"].is_object() {
        plain["metadata"]["annotations"] = Value::Object(Map::new());
    }
    if let Some(annotations) = plain["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{}\n", compact(&plain));
    plain["metadata"]["annotations"][LAST_APPLIED] = Value::from(text);
    plain
}

/// The patch and its content type: strategic for built-in kinds, a JSON merge patch for all others.
fn patch(resource: &Resource, modified: &Value, current: &Value) -> Result<(&'static str, Value), Failure> {
    let last = current["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or("{}");
    let original: Value = serde_json::from_str(last).unwrap_or_else(|_| Value::Object(Map::new()));
    let gvk = Gvk::new(resource.group.as_str(), resource.version.as_str(), resource.kind.as_str());
    if let Some(schema) = Schema::builtin(&gvk) {
        let object = |v: &Value| Object::from_value(v.clone()).unwrap_or_default();
        let patch = schema
            .three_way_strategic(&object(&original), &object(modified), &object(current))
            .map_err(|e| Failure::message(e.to_string()))?;
        return Ok(("application/strategic-merge-patch+json", patch));
    }
    let patch = merge_patch(&original, modified, current);
    Ok(("application/merge-patch+json", patch))
}

/// What `modified` sets and `current` lacks, and nulls for what only `original` had.
fn merge_patch(original: &Value, modified: &Value, current: &Value) -> Value {
    let mut patch = Map::new();
    for (key, wanted) in modified.as_object().into_iter().flatten() {
        let (was, is) = (&original[key], &current[key]);
        if wanted.is_object() && is.is_object() {
            let inner = merge_patch(was, wanted, is);
            if inner.as_object().is_some_and(|m| !m.is_empty()) {
                patch.insert(key.clone(), inner);
            }
        } else if wanted != is {
            patch.insert(key.clone(), wanted.clone());
        }
    }
    for key in original.as_object().into_iter().flat_map(Map::keys) {
        if modified.get(key).is_none() && current.get(key).is_some() {
            patch.insert(key.clone(), Value::Null);
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge_patch;

    #[test]
    fn a_merge_patch_takes_away_what_was_applied_before() {
        let (original, modified) = (json!({"a": 1, "b": {"x": 1}}), json!({"b": {"y": 2}, "c": [1]}));
        let current = json!({"a": 1, "b": {"x": 1, "z": 3}, "c": [1]});
        assert_eq!(merge_patch(&original, &modified, &current), json!({"a": null, "b": {"x": null, "y": 2}}));
    }
}
