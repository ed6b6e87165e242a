//! The published schemas: every document that we serve against upstream's, without the prose of paths and of the
//! values of enumerations.
//!
//! What upstream describes and we do not serve is left out; the types that we describe are described as upstream does,
//! and the paths have the same methods, with the same parameters, bodies, media types and answers.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::lane::{Asked, Lane};
use super::transcript::Case;
use super::tree::{self, Difference, Tree};

/// The parts of a document that are compared entry by entry.
const PARTS: [&[&str]; 3] = [&["paths"], &["components", "schemas"], &["definitions"]];

/// Compares all documents of ours.
pub async fn compare(lane: &mut Lane) -> Result<Vec<Asked>> {
    let index = document(lane, "/openapi/v3").await?.1;
    let mut out = vec![one(lane, "/openapi/v2").await?];
    for path in index["paths"].as_object().into_iter().flat_map(Map::keys) {
        out.push(one(lane, &format!("/openapi/v3/{path}")).await?);
    }
    Ok(out)
}

async fn one(lane: &mut Lane, path: &str) -> Result<Asked> {
    let (mut upstream, mut ours) = document(lane, path).await?;
    for document in [&mut upstream, &mut ours] {
        for part in ["paths", "parameters"] {
            document.get_mut(part).into_iter().for_each(without_prose);
        }
        without_values(document);
        let shared = document.get("parameters").cloned().unwrap_or_default();
        if let Some(paths) = document.get_mut("paths") {
            in_place(paths, &shared);
        }
    }
    let mut differences = Vec::new();
    for part in PARTS {
        let at = part.join(".");
        let of = |document: &Value| part.iter().try_fold(document, |value, name| value.get(name)).cloned();
        let (theirs, own) = (of(&upstream).unwrap_or_default(), of(&ours).unwrap_or_default());
        for (name, value) in own.as_object().into_iter().flatten() {
            entry(&format!("{at}.{name}"), theirs.get(name), value, &mut differences)?;
        }
    }
    let title = format!("openapi/{}", path.trim_start_matches("/openapi/"));
    Ok(Asked { shown: format!("\n--- {title}\nGET {path}\n"), title, differences, silent: false })
}

fn entry(at: &str, upstream: Option<&Value>, ours: &Value, out: &mut Vec<Difference>) -> Result<()> {
    let tree = |value: &Value| serde_json::from_value::<Tree>(value.clone());
    match upstream {
        Some(upstream) => tree::compare(at, &tree(upstream)?, &tree(ours)?, out),
        None => out.push(Difference { at: at.to_owned(), upstream: "(absent)".to_owned(), ours: tree(ours)?.short() }),
    }
    Ok(())
}

/// The document of both servers.
async fn document(lane: &mut Lane, path: &str) -> Result<(Value, Value)> {
    let case = Case::new("openapi", "GET", path);
    let mut read = Vec::new();
    for side in lane.sides() {
        let answer = side.ask(&case).await?;
        read.push(serde_json::from_slice(&answer.body).with_context(|| format!("read {path}: {}", answer.status))?);
    }
    let mut read = read.into_iter();
    Ok((read.next().unwrap_or_default(), read.next().unwrap_or_default()))
}

/// Puts parameters where they are referred to: upstream names those that paths share by a hash of their prose.
fn in_place(value: &mut Value, shared: &Value) {
    match value {
        Value::Object(map) => {
            let name = map.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/parameters/"));
            match name.and_then(|name| shared.get(name)) {
                Some(parameter) => *value = parameter.clone(),
                None => map.values_mut().for_each(|value| in_place(value, shared)),
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| in_place(item, shared)),
        _ => {}
    }
}

/// Takes out descriptions; a field of that name has no text as its value, and stays.
fn without_prose(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| !(name == "description" && value.is_string()));
            map.values_mut().for_each(without_prose);
        }
        Value::Array(items) => items.iter_mut().for_each(without_prose),
        _ => {}
    }
}

/// Cuts off descriptions what upstream adds to them about the values of an enumeration.
fn without_values(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(without_values),
        Value::Array(items) => items.iter_mut().for_each(without_values),
        Value::String(text) => text.truncate(text.find("\n\nPossible enum values:").unwrap_or(text.len())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prose_is_left_out_and_fields_are_not() {
        let mut value = json!({"description": "text", "properties": {"description": {"type": "string", "description": "text"}}});
        without_prose(&mut value);
        assert_eq!(value, json!({"properties": {"description": {"type": "string"}}}));
    }

    #[test]
    fn shared_parameters_are_put_in_place() {
        let mut path = json!({"parameters": [{"$ref": "#/parameters/a-hash"}], "get": {"schema": {"$ref": "#/definitions/b"}}});
        in_place(&mut path, &json!({"a-hash": {"name": "a"}}));
        assert_eq!(path, json!({"parameters": [{"name": "a"}], "get": {"schema": {"$ref": "#/definitions/b"}}}));
    }
}
