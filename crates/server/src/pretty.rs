//! Answers for people: JSON with line breaks, for whoever asks for it or looks like a person (upstream:
//! `negotiation.isPrettyPrint`).

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use transport::{Body, full};

use crate::query::Query;

/// Marks an answer that may be printed so: an object of the API.
#[derive(Clone, Copy, Debug)]
pub struct Printable;

/// Programs that people read the output of.
const PEOPLE: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];
/// Deep documents are mostly indentation: where it would be more than this times the text, there is none.
const MOST: usize = 16;

/// Whether it is asked for.
pub fn is_wanted(query: Option<&str>, headers: &HeaderMap) -> bool {
    // Nearly nobody asks.
    let query = query.filter(|query| query.contains("pretty")).map(Query::parse).unwrap_or_default();
    match query.text("pretty") {
        "" => {
            let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
            PEOPLE.iter().any(|person| agent.starts_with(person))
        }
        said => matches!(said, "1" | "t" | "T" | "TRUE" | "true" | "True"),
    }
}

/// The answer, printed so if that can be done.
pub async fn print(response: Response<Body>) -> Response<Body> {
    let encoded = response.headers().contains_key(CONTENT_ENCODING);
    if encoded || response.extensions().get::<Printable>().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    match body.collect().await {
        Ok(whole) => {
            let json = whole.to_bytes();
            parts.headers.remove(CONTENT_LENGTH);
            let printed = indent(&json).map_or(json, Into::into);
            Response::from_parts(parts, full(printed))
        }
        // It would have broken off on its way, too.
        Err(error) => {
            tracing::debug!(%error, "an answer broke off");
            Response::from_parts(parts, transport::empty())
        }
    }
}

/// JSON without spaces, with two for each level, as Go's `MarshalIndent` prints it; none where that would be too much.
pub fn indent(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut depth, mut at, most) = (0_usize, 0, json.len() * MOST + 4096);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while at < json.len() {
        let byte = json[at];
        match byte {
            b'"' => {
                let end = end_of_string(json, at);
                out.extend_from_slice(&json[at..end]);
                at = end;
                continue;
            }
            b'{' | b'[' => {
                out.push(byte);
                match json.get(at + 1) {
                    Some(close @ (b'}' | b']')) => {
                        out.push(*close);
                        at += 1;
                    }
                    _ => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(byte),
        }
        if out.len() > most {
            return None;
        }
        at += 1;
    }
    Some(out)
}

/// Behind the closing quote.
fn end_of_string(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_and_those_who_ask() {
        let agent = |text: &str| HeaderMap::from_iter([(USER_AGENT, text.parse().expect("a header"))]);
        for (query, text, want) in [
            (None, "curl/8.0", true),
            (None, "Wget/1.2", true),
            (None, "Mozilla/5.0 (X11)", true),
            (None, "kubectl/v1.36.3", false),
            (Some("pretty=true"), "kubectl", true),
            (Some("limit=1&pretty=1"), "kubectl", true),
            (Some("pretty=false"), "curl/8.0", false),
            (Some("pretty=yes"), "curl/8.0", false),
            (Some("pretty="), "curl/8.0", true),
        ] {
            assert_eq!(is_wanted(query, &agent(text)), want, "{query:?} {text}");
        }
    }

    #[test]
    fn as_any_other_printer() {
        let tree = json!({"a": [1, {"b": "x: {[,]} \"quoted\\"}, [], {}], "c": {}, "d": null, "ä": "ö", "e": [[2.5]]});
        let text = tree.to_string() + "\n";
        assert_eq!(indent(text.as_bytes()).expect("small"), serde_json::to_vec_pretty(&tree).expect("JSON"));
        let deep = "[".repeat(20_000) + &"]".repeat(20_000);
        assert_eq!(indent(deep.as_bytes()), None);
        for broken in ["\"", "\"\\", "{", "]]", ":"] {
            let _ = indent(broken.as_bytes());
        }
    }
}
