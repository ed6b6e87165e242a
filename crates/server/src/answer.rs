//! Responses: bytes as they are, objects in the negotiated form, errors.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use meta::{Encoded, Object, Status, limits};
use schema::Schema;
use serde_json::Value;
use transport::{Body, full};

use crate::negotiate::{Format, not_acceptable};
use crate::pretty::Printable;

/// A whole body of a media type.
pub fn bytes(code: StatusCode, media: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Plain text.
pub fn text(code: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = bytes(code, "text/plain; charset=utf-8", body);
    no_sniff(&mut response);
    response
}

/// What they get who come too often, in upstream's words.
pub fn too_many(retry_after: u32) -> Response<Body> {
    let mut response = text(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, retry_after.into());
    response
}

/// What paths outside of the API get when there is nothing.
pub fn page_not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// JSON that is no API object of a kind with a schema: discovery, version.
pub fn json(code: StatusCode, body: &Value) -> Response<Body> {
    json_line(code, body.to_string().into())
}

/// JSON of the API: it ends with a line break, as what Go's encoder writes.
fn json_line(code: StatusCode, json: Bytes) -> Response<Body> {
    let mut response = bytes(code, Format::Json.media_type(), "");
    *response.body_mut() = transport::line(json);
    response.extensions_mut().insert(Printable);
    response
}

/// An object whose JSON is there already, in the form asked for.
pub fn encoded(code: StatusCode, format: Format, json: Bytes) -> Result<Response<Body>, Status> {
    let body = match format {
        Format::Json => return Ok(json_line(code, json)),
        Format::Yaml => yaml(&json)?,
        Format::Protobuf => protobuf(&json)?,
    };
    Ok(bytes(code, format.media_type(), body))
}

/// A stored object in the form asked for.
pub fn whole(code: StatusCode, format: Format, object: &Arc<Encoded>) -> Result<Response<Body>, Status> {
    match format {
        Format::Protobuf => Ok(bytes(code, format.media_type(), object.protobuf().ok_or_else(not_acceptable)?)),
        Format::Json | Format::Yaml => encoded(code, format, object.json()?),
    }
}

/// An answer without a body, and so without a form.
pub fn nothing(code: StatusCode) -> Response<Body> {
    let mut response = bytes(code, "", "");
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// An object that was made for this answer.
pub fn object(code: StatusCode, format: Format, object: &Object) -> Result<Response<Body>, Status> {
    encoded(code, format, json_of(object))
}

/// The object as JSON, in schema order if it has a schema.
pub fn json_of(object: &Object) -> Bytes {
    match Schema::builtin(&object.gvk()) {
        Some(schema) => schema.encode(object, false).0,
        None => serde_json::to_vec(object.fields()).unwrap_or_default().into(),
    }
}

/// JSON as YAML, as upstream's library writes it.
pub fn yaml(json: &[u8]) -> Result<Bytes, Status> {
    let tree = schema::stored(json).map_err(Status::internal)?;
    Ok(schema::go_yaml::yaml(&tree).into())
}

/// JSON of a kind with a schema as protobuf, in Kubernetes' envelope; 406 for others.
pub fn protobuf(json: &[u8]) -> Result<Bytes, Status> {
    let tree = schema::stored(json).map_err(Status::internal)?;
    let object = Object::from_value(tree).map_err(|_| not_acceptable())?;
    let schema = Schema::builtin(&object.gvk()).ok_or_else(not_acceptable)?;
    schema.encode_proto(&object).ok_or_else(not_acceptable)
}

/// The error as the client wants it; JSON when that fails.
pub fn status(format: Format, status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = status_json(status);
    let mut response = encoded(code, format, json.clone()).unwrap_or_else(|_| json_line(code, json));
    warn(&mut response, &status.warnings);
    if status.retry_after > 0 {
        response.headers_mut().insert(RETRY_AFTER, status.retry_after.into());
    }
    response
}

/// The error as JSON.
pub fn status_json(status: &Status) -> Bytes {
    Object::from_value(status.to_value()).map(|object| json_of(&object)).unwrap_or_default()
}

/// Tells browsers to believe the media type.
pub fn no_sniff(response: &mut Response<Body>) {
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
}

/// Adds a warning before those that are there.
pub fn warn_first(response: &mut Response<Body>, text: &str) {
    let others: Vec<HeaderValue> = response.headers().get_all(WARNING).iter().cloned().collect();
    response.headers_mut().remove(WARNING);
    warn(response, &[text.to_owned()]);
    others.into_iter().for_each(|value| {
        response.headers_mut().append(WARNING, value);
    });
}

/// Adds warnings for the client, each once (upstream: `net.NewWarningHeader`). When there are too many, as many as fit,
/// and of each the beginning.
pub fn warn(response: &mut Response<Body>, warnings: &[String]) {
    let mut known = HashSet::new();
    let once: Vec<&String> = warnings.iter().filter(|text| !text.is_empty() && known.insert(*text)).collect();
    let all: usize = once.iter().map(|text| text.chars().count()).sum();
    let (most, mut written) = (if all > limits::WARNINGS { limits::WARNING } else { usize::MAX }, 0);
    for text in once {
        if written >= limits::WARNINGS {
            return;
        }
        written += text.chars().take(most).count();
        let text: String = text.chars().take(most).filter(|c| !c.is_control()).collect();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_have_an_end() {
        let sent = |warnings: &[String]| {
            let mut response = bytes(StatusCode::OK, "", "");
            warn(&mut response, warnings);
            response.headers().get_all(WARNING).iter().map(HeaderValue::len).collect::<Vec<_>>()
        };
        assert_eq!(sent(&["a".to_owned(), "b".to_owned(), "a".to_owned()]).len(), 2);
        let long = vec!["x".repeat(5000), "y".to_owned()];
        assert_eq!(sent(&long), [limits::WARNING + 8, 9], "of each the beginning");
        let many: Vec<String> = (0..30_000).map(|n| format!("warning {n}")).collect();
        assert!(sent(&many).iter().sum::<usize>() < 3 * limits::WARNINGS);
    }

    #[test]
    fn warnings_are_quoted_and_unique() {
        let mut response = Response::new(transport::empty());
        let text = "unknown field \"spec.x\"".to_owned();
        warn(&mut response, &[text.clone(), text]);
        let values: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(values, [r#"299 - "unknown field \"spec.x\"""#]);
    }
}
