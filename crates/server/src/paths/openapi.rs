//! `/openapi/v2` and `/openapi/v3`. Documents are made when they are asked for and not kept: clients keep
//! them, by the hash in the list of documents.

use http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use http::{Response, StatusCode};
use kinds::{Descriptor, Subresource};
use meta::names::join_api_version;
use meta::{Gvk, Status};
use schema::{Schema, ServedResource, ServedSubresource};
use serde_json::{Map, json};
use transport::Body;

use crate::discovery::{self, legacy};
use crate::pipeline::Ask;
use crate::{answer, negotiate};

/// Everything in one document, as Swagger 2.0; the definitions alone in protobuf, as kubectl asks for them.
pub fn v2(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let resources = || ask.state.registry.kinds().iter().map(served).collect::<Vec<ServedResource>>();
    let accept = negotiate::accept(&ask.head.headers);
    if negotiate::clauses(accept).first().is_some_and(|c| PROTOBUF.contains(&c.media)) {
        return Ok(answer::bytes(StatusCode::OK, PROTOBUF[1], schema::openapi_v2_proto(&resources())));
    }
    json_accepted(ask)?;
    let resources = resources();
    Ok(answer::bytes(StatusCode::OK, "application/json", schema::openapi_v2(&resources)))
}

/// The list of documents.
pub fn index(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    json_accepted(ask)?;
    let mut paths = Map::new();
    for (path, _, hash) in documents(ask) {
        let url = format!("/openapi/v3/{path}?hash={hash}");
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    // Upstream leaves the form to be guessed.
    let text = json!({ "paths": paths }).to_string();
    Ok(answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", text))
}

/// The document of one group version.
pub fn document(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    json_accepted(ask)?;
    let wanted = ask.route.attributes.path.trim_matches('/').strip_prefix("openapi/v3/").unwrap_or_default();
    let Some((_, version, hash)) = documents(ask).into_iter().find(|(path, ..)| path == wanted) else {
        return Ok(answer::nothing(StatusCode::NOT_FOUND));
    };
    let kinds = ask.state.registry.kinds();
    let of_version = kinds.iter().filter(|k| k.gvk.api_version() == version);
    let resources: Vec<ServedResource> = of_version.map(served).collect();
    let body = schema::openapi_v3(&version, &resources);
    let mut response = answer::bytes(StatusCode::OK, "application/json", body);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    if ask.route.query.text("hash") == hash {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    }
    Ok(response)
}

/// The names of the v2 document's protobuf form, the one of old clients first.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

/// The v3 documents are written as JSON alone; clients that know only protobuf get 406 and use another one.
fn json_accepted(ask: &Ask<'_>) -> Result<(), Status> {
    let accept = negotiate::accept(&ask.head.headers);
    let json = |media: &str| matches!(media, "application/json" | "application/*" | "*/*");
    let accepted = accept.is_empty() || negotiate::clauses(accept).iter().any(|c| json(c.media));
    if accepted { Ok(()) } else { Err(negotiate::not_acceptable()) }
}

/// Path, group version and hash of every document. A document follows from what discovery says and from
/// the tables in the program, so the hash is that of these two.
fn documents(ask: &Ask<'_>) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for group in discovery::groups(&ask.state.registry.kinds()) {
        for version in &group.versions {
            let base = if group.name.is_empty() { "api" } else { "apis" };
            let name = join_api_version(&group.name, &version.name);
            let facts = format!("{} {}", super::GIT_VERSION, legacy::resources(&group.name, version));
            out.push((format!("{base}/{name}"), name, discovery::hash(facts.as_bytes())));
        }
    }
    out
}

fn served(kind: &Descriptor) -> ServedResource {
    let verbs = |names: &[&str]| names.iter().map(|v| (*v).to_owned()).collect();
    let builtin = |group, version, name| Schema::builtin(&Gvk::new(group, version, name));
    let below = |s: &Subresource| ServedSubresource {
        name: s.name.to_owned(),
        schema: s.gvk.and_then(|(group, version, name)| builtin(group, version, name)),
        options: s.options.and_then(|name| builtin("", "v1", name)),
        verbs: verbs(s.verbs),
    };
    ServedResource {
        schema: kind.schema.clone(),
        resource: kind.resource.to_string(),
        namespaced: kind.namespaced,
        verbs: verbs(kind.verbs.names()),
        // Upstream's endpoint of namespaces gives the object, and says nothing of it.
        gives_deleted: kind.rules.returns_deleted() && &*kind.resource != "namespaces",
        subresources: kind.subresources.iter().map(below).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_kind_has_its_paths() {
        let kinds = kinds::all();
        let core: Vec<ServedResource> = kinds.iter().filter(|k| k.gvk.api_version() == "v1").map(served).collect();
        let document: Value = serde_json::from_slice(&schema::openapi_v3("v1", &core)).expect("is JSON");
        assert!(document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["get"].is_object());
    }
}
