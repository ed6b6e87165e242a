//! PATCH, in four languages.

use bytes::Bytes;
use http::{Response, StatusCode};
use meta::{Object, Reason, Status, limits};
use registry::api::{Patch, Sent};
use serde_json::Value;
use tracing::{Instrument, debug_span};
use transport::Body;

use super::{Work, create};
use crate::{decode, negotiate, options};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Patches the object and answers with it.
pub async fn run(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let language = negotiate::content_type(work.headers()).to_owned();
    if ![JSON, MERGE, STRATEGIC, APPLY].contains(&&*language) {
        return Err(Status::generic(Reason::UnsupportedMediaType, "415: Unsupported Media Type"));
    }
    if language == STRATEGIC && !work.kind.schema.has_patch_strategies() {
        return Err(negotiate::unsupported(&[JSON, MERGE, APPLY]));
    }
    let output = negotiate::output(work.headers(), true)?;
    let call = options::call(work.ask.route, work.headers(), "PatchOptions", language == APPLY)?;
    let body = std::mem::replace(&mut work.ask.body, transport::empty());
    let force = work.ask.route.query.boolean("force").unwrap_or(false);
    let decode = async {
        let text = decode::read(body).await?;
        registry::long::steps(text.len(), || parse(&language, text, force))
    };
    let patch = decode.instrument(debug_span!("decode+default")).await?;
    let written = work.ask.state.registry.patch(&call, patch).await?;
    let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    create::wrote(&work, output, written, code)
}

fn parse(language: &str, text: Bytes, force: bool) -> Result<Sent, Status> {
    let bad = |e: &dyn std::fmt::Display| Status::bad_request(format!("error decoding patch: {e}"));
    if language == APPLY {
        let yaml = std::str::from_utf8(&text).map_err(|e| bad(&e))?;
        // Of a field that is there twice the last one counts.
        let (mut tree, duplicates) = schema::yaml_to_json(yaml).map_err(|e| {
            Status::bad_request(format!("error decoding YAML: error converting YAML to JSON: {e}"))
        })?;
        if !limits::fits(&tree, limits::NESTING) {
            return Err(Status::bad_request("error decoding YAML: exceeded max depth"));
        }
        as_tree(&mut tree);
        let configuration =
            Object::from_value(tree).map_err(|_| Status::bad_request("error decoding YAML: not an object"))?;
        return Ok(Sent { patch: Patch::Apply { configuration, force }, text, duplicates });
    }
    let (tree, duplicates) = schema::json_tree(&text).map_err(|e| bad(&e))?;
    let patch = json(language, tree);
    let duplicates = match patch {
        Patch::Json(_) => duplicates.into_iter().map(|what| format!("json patch {what}")).collect(),
        _ => duplicates,
    };
    Ok(Sent { patch, text, duplicates })
}

fn json(language: &str, tree: Value) -> Patch {
    match language {
        JSON => Patch::Json(tree),
        MERGE => Patch::Merge(tree),
        _ => Patch::Strategic(tree),
    }
}

/// Upstream reads a configuration as a tree, whose integers have 64 bits and a sign; a larger one is a float.
fn as_tree(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_i64().is_none() => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(as_tree),
        Value::Object(map) => map.values_mut().for_each(as_tree),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_read() {
        let parsed = |language, body: &'static str| parse(language, Bytes::from_static(body.as_bytes()), true).map(|sent| sent.patch);
        assert!(matches!(parsed(JSON, "[]"), Ok(Patch::Json(_))));
        assert!(matches!(parsed(MERGE, "{}"), Ok(Patch::Merge(_))));
        assert!(matches!(parsed(STRATEGIC, "{}"), Ok(Patch::Strategic(_))));
        assert!(matches!(parsed(APPLY, "a: 1"), Ok(Patch::Apply { force: true, .. })));
        assert_eq!(parsed(MERGE, "{").expect_err("refused").code, 400);
        let Ok(Patch::Apply { configuration, .. }) = parsed(APPLY, "a: [18446744073709551615, 9223372036854775807]") else { panic!("not read") };
        assert_eq!(configuration.fields()["a"], serde_json::json!([1.8446744073709552e19, 9223372036854775807u64]));
    }
}
