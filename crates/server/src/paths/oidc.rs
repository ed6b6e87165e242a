//! What verifiers of service-account tokens read (upstream: `routes/openidmetadata.go`).

use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use meta::Status;
use serde_json::Value;
use transport::Body;

use crate::answer;
use crate::pipeline::Ask;

/// The discovery document.
pub fn discovery(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let document = ask.state.tokens.discovery(&ask.state.address);
    Ok(public("application/json", in_order(&document, &DOCUMENT)))
}

/// The public keys.
pub fn keys(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let keys = ask.state.tokens.keys();
    let keys: Vec<String> = keys["keys"].as_array().into_iter().flatten().map(|key| in_order(key, &KEY)).collect();
    Ok(public("application/jwk-set+json", format!(r#"{{"keys":[{}]}}"#, keys.join(","))))
}

/// Fields in upstream's order.
const DOCUMENT: [&str; 5] =
    ["issuer", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"];
const KEY: [&str; 6] = ["use", "kty", "kid", "alg", "n", "e"];

fn in_order(tree: &Value, fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|name| format!("{name:?}:{}", tree[name])).collect();
    format!("{{{}}}", fields.join(","))
}

/// What everybody may keep for an hour.
fn public(media: &'static str, text: String) -> Response<Body> {
    let mut response = answer::bytes(StatusCode::OK, media, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
