//! `/openapi/v2` and `/openapi/v3` (upstream: `kube-openapi/pkg/handler`, `handler3`). Documents are made when they are
//! asked for and not kept: clients keep them, by the hash in the list of documents, or by their tags. The v3 documents
//! are written as JSON alone; clients that know only protobuf get 406 and use another one.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, ETAG, EXPIRES, HeaderValue, LOCATION, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use kinds::{Descriptor, Subresource};
use meta::names::join_api_version;
use meta::{Gvk, Status};
use schema::{Schema, ServedResource, ServedSubresource};
use serde_json::{Map, json};
use transport::Body;

use crate::discovery::{self, legacy};
use crate::pipeline::Ask;
use crate::{answer, conditional, negotiate};

/// Everything in one document, as Swagger 2.0; the definitions alone in protobuf, as kubectl asks for them.
pub fn v2(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let headers = &ask.head.headers;
    let Some(media) = accepted(headers, &V2) else { return Ok(vary(answer::nothing(StatusCode::NOT_ACCEPTABLE), "Accept")) };
    let hashes: String = documents(ask).into_iter().map(|(path, _, hash)| format!("{path} {hash}\n")).collect();
    let mut response = conditional::serve(headers, &discovery::hash(hashes.as_bytes()), || {
        let resources: Vec<ServedResource> = ask.state.registry.kinds().iter().map(served).collect();
        if media == JSON {
            compressed(headers, media, schema::openapi_v2(&resources))
        } else {
            compressed(headers, PROTOBUF[0], schema::openapi_v2_proto(&resources))
        }
    });
    response = vary(response, "Accept-Encoding");
    Ok(vary(response, "Accept"))
}

/// The list of documents.
pub fn index(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let mut paths = Map::new();
    for (path, _, hash) in documents(ask) {
        let url = url(&path, &hash);
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    // Upstream leaves the form to be guessed.
    let text = json!({ "paths": paths }).to_string();
    Ok(answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", text))
}

/// The document of one group version. Who asks for it by its hash may keep it for ever, and is led from an old hash
/// to the present one.
pub fn document(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let wanted = ask.route.attributes.path.trim_matches('/').strip_prefix("openapi/v3/").unwrap_or_default();
    let Some((path, version, hash)) = documents(ask).into_iter().find(|(path, ..)| path == wanted) else {
        return Ok(answer::nothing(StatusCode::NOT_FOUND));
    };
    if accepted(&ask.head.headers, &[JSON]).is_none() {
        return Ok(vary(answer::nothing(StatusCode::NOT_ACCEPTABLE), "Accept"));
    }
    let asked = ask.route.query.text("hash");
    if !asked.is_empty() && asked != hash {
        return Ok(vary(moved(&url(&path, &hash), &hash), "Accept"));
    }
    let mut response = conditional::serve(&ask.head.headers, &hash, || {
        let kinds = ask.state.registry.kinds();
        let of_version = kinds.iter().filter(|k| k.gvk.api_version() == version);
        let resources: Vec<ServedResource> = of_version.map(served).collect();
        answer::bytes(StatusCode::OK, JSON, schema::openapi_v3(&version, &resources))
    });
    if !asked.is_empty() {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        if let Ok(expires) = HeaderValue::from_str(&next_year()) {
            headers.insert(EXPIRES, expires);
        }
    }
    Ok(vary(response, "Accept"))
}

fn url(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

/// 301, as Go's `http.Redirect` writes it.
fn moved(url: &str, hash: &str) -> Response<Body> {
    let text = format!("<a href=\"{url}\">Moved Permanently</a>.\n\n");
    let mut response = answer::bytes(StatusCode::MOVED_PERMANENTLY, "text/html; charset=utf-8", text);
    for (name, value) in [(LOCATION, url.to_owned()), (ETAG, format!("\"{hash}\""))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// In a year: when what is asked for by its hash ends.
fn next_year() -> String {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    now.saturating_add(1.year()).strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

fn compressed(headers: &HeaderMap, media: &'static str, body: Bytes) -> Response<Body> {
    if !negotiate::accepts_gzip(headers) || body.len() < GZIP_FROM {
        return answer::bytes(StatusCode::OK, media, body);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(&body).and_then(|()| encoder.finish());
    let Ok(packed) = written else { unreachable!("a Vec takes every write") };
    let mut response = answer::bytes(StatusCode::OK, media, packed);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn vary(mut response: Response<Body>, on: &'static str) -> Response<Body> {
    response.headers_mut().append(VARY, HeaderValue::from_static(on));
    response
}

/// The media type that the client likes best.
fn accepted(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    let accept = negotiate::accept(headers);
    let accept = if accept.is_empty() { "*/*" } else { accept };
    let fits = |asked: &str, offered: &str| {
        let (Some((a, b)), Some((c, d))) = (asked.split_once('/'), offered.split_once('/')) else { return false };
        (a == c || a == "*") && (b == d || b == "*")
    };
    negotiate::clauses(accept).iter().find_map(|clause| offered.iter().copied().find(|media| fits(&clause.media, media)))
}

const JSON: &str = "application/json";
/// From this many bytes on the document is compressed for those who accept it (upstream: `gziphandler`).
const GZIP_FROM: usize = 1400;
/// What the v2 document can be had as.
const V2: [&str; 3] = [JSON, PROTOBUF[1], PROTOBUF[0]];

/// The names of the v2 document's protobuf form, the one of old clients last. Answers have the new one.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// Path, group version and hash of every document. A document follows from what discovery says and from
/// the tables and writers in the program, so the hash is that of these.
fn documents(ask: &Ask<'_>) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for group in discovery::groups(&ask.state.registry.kinds()) {
        for version in &group.versions {
            let base = if group.name.is_empty() { "api" } else { "apis" };
            let name = join_api_version(&group.name, &version.name);
            // Discovery does not say when the fields of a custom resource change.
            let schemas: Vec<u64> = version.resources.iter().map(|resource| resource.kind.schema.fingerprint()).collect();
            let facts = format!("{} {} {schemas:?}", schema::openapi::STAMP, legacy::resources(&group.name, version));
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
