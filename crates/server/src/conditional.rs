//! Answers that a client may have already: it says which by their tags (RFC 9110, 13; upstream: Go's
//! `http.ServeContent`).

use http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use transport::Body;

use crate::answer;

/// The answer with this tag, or 304 or 412 instead of it. The body is made only if it is sent.
pub fn serve(headers: &HeaderMap, tag: &str, whole: impl FnOnce() -> Response<Body>) -> Response<Body> {
    let tag = format!("\"{tag}\"");
    let mut response = match instead(headers, &tag) {
        Some(code) => answer::nothing(code),
        None => whole(),
    };
    if let Ok(value) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

fn instead(headers: &HeaderMap, tag: &str) -> Option<StatusCode> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (wanted, known) = (text(IF_MATCH), text(IF_NONE_MATCH));
    if !wanted.is_empty() && !names(wanted, |one| one == tag) {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    let same = |one: &str| one.strip_prefix("W/").unwrap_or(one) == tag;
    (!known.is_empty() && names(known, same)).then_some(StatusCode::NOT_MODIFIED)
}

/// Whether a list of tags names one, or all.
fn names(list: &str, is: impl Fn(&str) -> bool) -> bool {
    // No tag of ours has a comma in it.
    list.split(',').map(str::trim).any(|one| one == "*" || is(one))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for (name, value, code) in [
            ("x", "", 200),
            ("if-none-match", "\"A\"", 304),
            ("if-none-match", "W/\"A\"", 304),
            ("if-none-match", "\"B\", \"A\"", 304),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"B\"", 200),
            ("if-none-match", "A", 200),
            ("if-match", "\"A\"", 200),
            ("if-match", "*", 200),
            ("if-match", "\"B\"", 412),
            ("if-match", "W/\"A\"", 412),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().expect("a value"))]);
            let whole = || answer::bytes(StatusCode::OK, "application/json", "{}");
            let response = serve(&headers, "A", whole);
            assert_eq!(response.status().as_u16(), code, "{name}: {value}");
            assert_eq!(response.headers()[ETAG], "\"A\"");
            assert_eq!(response.headers().contains_key(CONTENT_TYPE), code == 200, "{name}: {value}");
        }
    }
}
