//! `/api`, `/apis` and below: the documents of [`crate::discovery`] in the form that the client asks for.

use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{Response, StatusCode};
use meta::{Gvk, Object, Reason, Status};
use schema::Schema;
use serde_json::Value;
use transport::Body;

use crate::answer;
use crate::discovery::{self, Group, aggregated, legacy};
use crate::negotiate::{self, Format};
use crate::pipeline::Ask;

/// `/api`.
pub fn core(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let groups = groups_of(ask, |g| g.name.is_empty());
    either(ask, &groups, "APIVersions", || legacy::versions(&groups, &ask.state.address))
}

/// `/apis`.
pub fn groups(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let groups = groups_of(ask, |g| !g.name.is_empty());
    either(ask, &groups, "APIGroupList", || legacy::group_list(&groups))
}

/// `/api/VERSION`.
pub fn version(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let version = ask.route.attributes.path.trim_matches('/').strip_prefix("api/").unwrap_or_default();
    resources(ask, "", version)
}

/// `/apis/GROUP` and `/apis/GROUP/VERSION`.
pub fn group_or_version(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let below = ask.route.attributes.path.trim_matches('/').strip_prefix("apis/").unwrap_or_default();
    if let Some((group, version)) = below.split_once('/') {
        return resources(ask, group, version);
    }
    let found = groups_of(ask, |g| g.name == below);
    match found.first() {
        Some(group) => document(ask, "APIGroup", legacy::group(group, true)),
        None => Ok(answer::page_not_found()),
    }
}

fn groups_of(ask: &Ask<'_>, wanted: impl Fn(&Group) -> bool) -> Vec<Group> {
    let mut groups = discovery::groups(&ask.state.registry.kinds());
    groups.retain(wanted);
    groups
}

fn resources(ask: &Ask<'_>, group: &str, version: &str) -> Result<Response<Body>, Status> {
    let groups = groups_of(ask, |g| g.name == group);
    let found = groups.iter().flat_map(|g| &g.versions).find(|v| v.name == version);
    match found {
        Some(version) => document(ask, "APIResourceList", legacy::resources(group, version)),
        None if groups.is_empty() => Ok(answer::page_not_found()),
        None => Err(Status::no_such_resource()),
    }
}

/// A document in the form asked for, its fields in upstream's order.
fn document(ask: &Ask<'_>, kind: &str, document: Value) -> Result<Response<Body>, Status> {
    let output = negotiate::output(&ask.head.headers, false).map_err(|_| {
        let types = negotiate::MEDIA_TYPES.join(", ");
        Status::generic(Reason::NotAcceptable, format!("406: Not Acceptable\n\nAvailable representations: {types}"))
    })?;
    let schema = Schema::builtin(&Gvk::new("", "v1", kind)).ok_or_else(|| Status::internal("no schema of discovery"))?;
    let object = Object::from_value(document).unwrap_or_default();
    let body = match output.format {
        Format::Protobuf => schema.encode_proto(&object).ok_or_else(negotiate::not_acceptable)?,
        Format::Yaml => answer::yaml(&schema.encode(&object, false).0)?,
        Format::Json => schema.encode(&object, false).0,
    };
    Ok(answer::bytes(StatusCode::OK, output.format.media_type(), body))
}

/// The aggregated document if the client knows it, else the old one.
fn either(
    ask: &Ask<'_>,
    groups: &[Group],
    kind: &str,
    old: impl Fn() -> Value,
) -> Result<Response<Body>, Status> {
    let accept = negotiate::accept(&ask.head.headers);
    let version = negotiate::clauses(accept).into_iter().find_map(|clause| {
        let known = clause.media == "application/json" && clause.parameter("g") == "apidiscovery.k8s.io";
        match (known && clause.parameter("as") == "APIGroupDiscoveryList", clause.parameter("v")) {
            (true, "v2") => Some(Some("v2")),
            (true, "v2beta1") => Some(Some("v2beta1")),
            _ if clause.parameter("as").is_empty() => Some(None),
            _ => None,
        }
    });
    match version.flatten() {
        Some(version) => Ok(new(ask, groups, version)),
        None => document(ask, kind, old()),
    }
}

/// The aggregated document, or 304 if the client has it already.
fn new(ask: &Ask<'_>, groups: &[Group], version: &str) -> Response<Body> {
    let body = aggregated::list(groups, version).to_string();
    let tag = format!("\"{}\"", discovery::hash(body.as_bytes()));
    let known = ask.head.headers.get(IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let mut response = if known {
        answer::bytes(StatusCode::NOT_MODIFIED, "application/json", "")
    } else {
        answer::bytes(StatusCode::OK, "application/json", body)
    };
    let media = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    for (name, value) in [(CONTENT_TYPE, media.as_str()), (ETAG, &tag), (VARY, "Accept")] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
