//! DELETE of an object or a collection.

use http::{Response, StatusCode};
use meta::field::{Error, Path};
use meta::text::quoted;
use meta::{Attributes, Object, Status};
use registry::api::{Call, DeleteOptions, Deleted, FieldValidation, Propagation};
use serde_json::json;
use transport::Body;

use super::{Work, get, list};
use crate::decode;
use crate::negotiate::{self, Format};
use crate::{answer, options};

/// Deletes the object.
pub async fn run(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output(work.headers(), true)?;
    let asked = asked(&mut work).await?;
    let deleted = work.ask.state.registry.delete(&asked.call, asked.options).await?;
    let code = if !deleted.gone && asked.cascade { StatusCode::ACCEPTED } else { StatusCode::OK };
    if deleted.gone && !work.kind.rules.returns_deleted() {
        return success(&work, output.format, &deleted);
    }
    get::one(&work, output, code, &deleted.object)
}

/// Deletes everything that is selected and answers with the list of it.
pub async fn run_collection(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output(work.headers(), true)?;
    let scope = options::scope(work.ask.route)?;
    let page = options::list(&work.ask.route.query)?;
    let asked = asked(&mut work).await?;
    let deleted = work.ask.state.registry.delete_collection(&asked.call, &scope, &page, asked.options).await?;
    list::many(&work, output, deleted)
}

fn success(work: &Work<'_>, format: Format, deleted: &Deleted) -> Result<Response<Body>, Status> {
    let Attributes { name, group, resource, .. } = work.attributes();
    let object = deleted.object.object()?;
    let mut details = json!({"name": name, "kind": resource, "uid": object.uid()});
    if !group.is_empty() {
        details["group"] = group.as_str().into();
    }
    let mut status = Object::default();
    status.set("kind", "Status");
    status.set("apiVersion", "v1");
    status.set("metadata", json!({}));
    status.set("status", "Success");
    status.set("details", details);
    answer::object(StatusCode::OK, format, &status)
}

/// What a deletion carries.
struct Asked {
    call: Call,
    options: DeleteOptions,
    /// `orphanDependents: false`: an unfinished deletion is then answered with 202.
    cascade: bool,
}

/// The options: those of the body, or without a body those of the query.
async fn asked(work: &mut Work<'_>) -> Result<Asked, Status> {
    let format = negotiate::input(work.headers());
    let body = decode::read(std::mem::replace(&mut work.ask.body, transport::empty())).await?;
    let given = if body.is_empty() { from_query(work)? } else { parse(format?, &body)? };
    let mut errors = Vec::new();
    let dry_run = options::dry_run(given.list_at("dryRun").iter().filter_map(|v| v.as_str()), &mut errors);
    let (policy, orphan) = (given.str_at("propagationPolicy"), given.bool_at("orphanDependents"));
    let path = Path::new("propagationPolicy");
    if orphan.is_some() && !policy.is_empty() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(Error::invalid(&path, policy, why));
    }
    let propagation = match (policy, orphan) {
        ("Orphan", _) | ("", Some(true)) => Some(Propagation::Orphan),
        ("Background", _) | ("", Some(false)) => Some(Propagation::Background),
        ("Foreground", _) => Some(Propagation::Foreground),
        ("", None) => None,
        _ => {
            errors.push(Error::not_supported(&path, policy, &["Foreground", "Background", "Orphan", "nil"]));
            None
        }
    };
    if !errors.is_empty() {
        return Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &errors));
    }
    let text = |path: &str| Some(given.str_at(path).to_owned()).filter(|t| !t.is_empty());
    let options = DeleteOptions {
        grace_period: given.i64_at("gracePeriodSeconds"),
        propagation,
        uid: text("preconditions.uid"),
        resource_version: text("preconditions.resourceVersion"),
    };
    let call = Call {
        attributes: work.attributes().clone(),
        dry_run,
        field_validation: FieldValidation::Ignore,
        field_manager: options::agent(work.headers()),
    };
    Ok(Asked { call, options, cascade: orphan == Some(false) })
}

fn parse(format: Format, body: &bytes::Bytes) -> Result<Object, Status> {
    let bad = |e: &dyn std::fmt::Display| Status::bad_request(e.to_string());
    let tree = match format {
        Format::Json => {
            let (tree, _) = schema::json_tree(body).map_err(|e| bad(&format!("couldn't get version/kind; json parse error: {e}")))?;
            tree
        }
        Format::Yaml => {
            let text = std::str::from_utf8(body).map_err(|e| bad(&e))?;
            let (tree, _) = schema::yaml_to_json(text).map_err(|e| bad(&e))?;
            tree
        }
        Format::Protobuf => return decode::delete_options(body),
    };
    let object = Object::from_value(tree).map_err(|_| Status::bad_request("DeleteOptions must be an object"))?;
    if !matches!(object.kind(), "" | "DeleteOptions") {
        let (kind, version) = (quoted(object.kind()), quoted(object.api_version()));
        let scheme = "pkg/api/legacyscheme/scheme.go:30";
        return Err(bad(&format!("no kind {kind} is registered for version {version} in scheme \"{scheme}\"")));
    }
    Ok(object)
}

fn from_query(work: &Work<'_>) -> Result<Object, Status> {
    let query = &work.ask.route.query;
    let mut given = Object::default();
    let seconds = query.integer("gracePeriodSeconds").map_err(|e| Status::bad_request(e.to_string()))?;
    if let Some(seconds) = seconds {
        given.set("gracePeriodSeconds", seconds);
    }
    if let Some(orphan) = query.boolean("orphanDependents") {
        given.set("orphanDependents", orphan);
    }
    given.set("propagationPolicy", query.text("propagationPolicy"));
    given.set("dryRun", query.all("dryRun").collect::<Vec<_>>());
    Ok(given)
}
