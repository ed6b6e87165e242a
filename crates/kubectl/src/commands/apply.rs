//! `kubectl apply -f`: the three-way merge of last configuration, new configuration and object.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use meta::{Gvk, Object};
use schema::Schema;
use serde_json::{Map, Value, json};

use super::{Member, create};
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{
    dry_run, dry_run_of, files, misused, on, output, recursive, rest, switch, text, validate, value, values,
};
use crate::manifest::{self, Document};
use crate::print::{self, compact};
use crate::selection::with_query;
use crate::session::{JSON, Session};

/// Where the configuration applied last is kept.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// So many times a patch is made anew after a conflict.
const RETRIES: u32 = 5;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("apply")
        .about("Apply a configuration to a resource by file name or stdin")
        .arg(rest("other"))
        .arg(files())
        .arg(recursive())
        .arg(output())
        .arg(dry_run())
        .arg(validate())
        .arg(switch("server-side", false, "Let the server merge"))
        .arg(switch("force-conflicts", false, "With --server-side: take fields over from other managers"))
        .arg(text("field-manager", "The name of this writer"))
        .arg(switch("overwrite", true, "Values of the configuration win over those of the object"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let extra = values(matches, "other");
    if !extra.is_empty() {
        return Err(misused("apply", format!("Unexpected args: [{}]", extra.join(" "))));
    }
    let names = values(matches, "filename");
    if names.is_empty() {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    let dry_run = dry_run_of(matches)?;
    if on(matches, "force-conflicts") && !on(matches, "server-side") {
        return Err(Failure::message("--force-conflicts only works with --server-side"));
    }
    if on(matches, "server-side") && dry_run == "client" {
        return Err(Failure::message(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        ));
    }
    let strict = !matches!(value(matches, "validate"), Some("false" | "ignore"));
    let documents = manifest::read(&names, on(matches, "recursive"), strict).await?;
    let (mut failures, mut count) = (Vec::new(), 0);
    // Upstream reads all files before it changes anything, and goes on with those that it can read.
    let mut objects = Vec::new();
    for document in documents {
        count += 1;
        match document {
            Ok(document) => match document.place(session).await {
                Ok(place) => objects.push((document, place)),
                Err(failure) => failures.push(failure),
            },
            Err(failure) => failures.push(failure),
        }
    }
    if count == 0 {
        return Err(Failure::message("no objects passed to apply"));
    }
    let mut applied = Vec::new();
    for (document, (resource, namespace)) in objects {
        match one(session, matches, &document, &resource, &namespace, dry_run).await {
            Ok(object) => applied.extend(object),
            Err(failure) => failures.push(failure),
        }
    }
    print_all(matches, applied)?;
    Failure::collect(failures)
}

/// With `-o yaml` and the like, what was applied is printed at the end, as a list if it is several.
fn print_all(matches: &ArgMatches, mut applied: Vec<Value>) -> Result<(), Failure> {
    let output = value(matches, "output").unwrap_or("");
    applied.iter_mut().for_each(|object| print::omit_managed_fields(object, output));
    let root = match applied.len() {
        0 => return Ok(()),
        1 => applied.remove(0),
        _ if output == "json" => {
            print!("{}", print::order::list(&applied));
            return Ok(());
        }
        _ => json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": applied}),
    };
    print!("{}", print::show(&root, output, false)?);
    Ok(())
}

/// Applies one document; gives the object if it is still to be printed.
async fn one(
    session: &Session,
    matches: &ArgMatches,
    document: &Document,
    resource: &Resource,
    namespace: &str,
    dry_run: &str,
) -> Result<Option<Value>, Failure> {
    let output = value(matches, "output").unwrap_or("");
    let finish = |object: Value, word: &str| match output {
        "" | "name" => create::done(resource, &object, word, dry_run, output).map(|()| None),
        _ => Ok(Some(object)),
    };
    if document.name().is_empty() {
        let prefix = document.object["metadata"]["generateName"].as_str().unwrap_or("");
        if !prefix.is_empty() {
            return Err(Failure::message(format!("from {prefix}: cannot use generate name with apply")));
        }
    }
    if on(matches, "server-side") {
        let applied = server_side(session, matches, document, resource, namespace).await?;
        return finish(applied, "serverside-applied");
    }
    let path = resource.object_path(namespace, document.name());
    let modified = modified(&document.object, namespace);
    let current = match session.get(&path).await {
        Ok(current) => current,
        Err(failure) if failure.is_not_found() => {
            if dry_run == "client" {
                return finish(modified, "created");
            }
            let validate = value(matches, "validate");
            let created = create::post(session, resource, namespace, &modified, dry_run == "server", validate).await;
            return finish(created.map_err(|f| f.when("creating", &document.source))?, "created");
        }
        Err(failure) => return Err(failure.when("retrieving current configuration of", &document.source)),
    };
    if current["metadata"]["annotations"][LAST_APPLIED].is_null() {
        eprintln!(
            "Warning: resource {}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl \
             apply should only be used on resources created declaratively by either kubectl create --save-config or \
             kubectl apply. The missing annotation will be patched automatically.",
            resource.name,
            document.name()
        );
    }
    let dry = if dry_run == "server" { "&dryRun=All" } else { "" };
    let path = with_query(&path, &format!("fieldManager=kubectl-client-side-apply&fieldValidation=Strict{dry}"));
    let mut left = RETRIES;
    let mut current = current;
    loop {
        let (kind, patch) = patch(resource, &modified, &current)?;
        if patch.as_object().is_some_and(Map::is_empty) {
            return finish(current, "unchanged");
        }
        if dry_run == "client" {
            return finish(merged(resource, &current, &patch)?, "configured");
        }
        match session.json("PATCH", &path, JSON, Some((kind, &patch))).await {
            Ok(changed) => return finish(changed, "configured"),
            // Another writer was faster: the difference is made anew.
            Err(failure) if failure.reason() == "Conflict" && left > 0 => {
                left -= 1;
                current = session.get(&resource.object_path(namespace, document.name())).await?;
            }
            Err(failure) => return Err(failure.when("applying patch of", &document.source)),
        }
    }
}

/// The object with the patch, as the server would make it.
fn merged(resource: &Resource, current: &Value, patch: &Value) -> Result<Value, Failure> {
    let gvk = Gvk::new(resource.group.as_str(), resource.version.as_str(), resource.kind.as_str());
    let mut object = current.clone();
    match Schema::builtin(&gvk) {
        Some(schema) => {
            let original = Object::from_value(object).unwrap_or_default();
            let merged = schema.strategic_merge(&original, patch).map_err(|e| Failure::message(e.to_string()))?;
            Ok(merged.into_value())
        }
        None => {
            if let (Value::Object(fields), Value::Object(patch)) = (&mut object, patch.clone()) {
                schema::merge_patch(fields, patch);
            }
            Ok(object)
        }
    }
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
    let mut object = document.object.clone();
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = Value::from(namespace);
    }
    session.json("PATCH", &path, JSON, Some(("application/apply-patch+yaml", &object))).await
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
