//! `/api`, `/apis` and below: the documents of [`crate::discovery`] in the form that the client asks for.

use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{Response, StatusCode};
use meta::Status;
use transport::Body;

use crate::answer;
use crate::discovery::{self, Group, aggregated, legacy};
use crate::negotiate;
use crate::pipeline::Ask;

/// `/api`.
pub fn core(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let groups = groups_of(ask, |g| g.name.is_empty());
    Ok(either(ask, &groups, || legacy::versions(&groups, &ask.state.address)))
}

/// `/apis`.
pub fn groups(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let groups = groups_of(ask, |g| !g.name.is_empty());
    Ok(either(ask, &groups, || legacy::group_list(&groups)))
}

/// `/api/VERSION`.
pub fn version(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let version = ask.route.attributes.path.trim_matches('/').strip_prefix("api/").unwrap_or_default();
    Ok(resources(ask, "", version))
}

/// `/apis/GROUP` and `/apis/GROUP/VERSION`.
pub fn group_or_version(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let below = ask.route.attributes.path.trim_matches('/').strip_prefix("apis/").unwrap_or_default();
    if let Some((group, version)) = below.split_once('/') {
        return Ok(resources(ask, group, version));
    }
    let found = groups_of(ask, |g| g.name == below);
    Ok(match found.first() {
        Some(group) => answer::json(StatusCode::OK, &legacy::group(group, true)),
        None => answer::page_not_found(),
    })
}

fn groups_of(ask: &Ask<'_>, wanted: impl Fn(&Group) -> bool) -> Vec<Group> {
    let mut groups = discovery::groups(&ask.state.registry.kinds());
    groups.retain(wanted);
    groups
}

fn resources(ask: &Ask<'_>, group: &str, version: &str) -> Response<Body> {
    let groups = groups_of(ask, |g| g.name == group);
    let found = groups.iter().flat_map(|g| &g.versions).find(|v| v.name == version);
    match found {
        Some(version) => answer::json(StatusCode::OK, &legacy::resources(group, version)),
        None => answer::page_not_found(),
    }
}

/// The aggregated document if the client knows it, else the old one.
fn either(ask: &Ask<'_>, groups: &[Group], old: impl Fn() -> serde_json::Value) -> Response<Body> {
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
        Some(version) => new(ask, groups, version),
        None => answer::json(StatusCode::OK, &old()),
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
