//! Which form a client wants its answer in, and which form its body has
//! (upstream: `apiserver/pkg/endpoints/handlers/negotiation`).

use std::borrow::Cow;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use meta::{Reason, Status};

use crate::media;

/// A serialization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Format {
    #[default]
    Json,
    Yaml,
    Protobuf,
}

/// What becomes of an object or list before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Shape {
    /// As it is.
    #[default]
    Whole,
    /// `meta.k8s.io` Table of that version.
    Table(&'static str),
    /// `meta.k8s.io` PartialObjectMetadata, or a list of them, of that version.
    Partial(&'static str),
}

/// The answer's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Output {
    pub format: Format,
    pub shape: Shape,
}

/// All media types, as messages list them.
pub const MEDIA_TYPES: [&str; 3] = ["application/json", "application/yaml", PROTOBUF];
/// Kubernetes' own envelope.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
            Format::Protobuf => PROTOBUF,
        }
    }

    fn of(media: &str) -> Option<Format> {
        [Format::Json, Format::Yaml, Format::Protobuf].into_iter().find(|f| f.media_type() == media)
    }
}

/// One alternative of an `Accept` header.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause<'a> {
    /// `application/json`, `application/*`, `*/*`.
    pub media: Cow<'a, str>,
    /// `as`, `g`, `v` and the like.
    pub parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    /// The value of a parameter, or empty.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }

    fn goes_before(&self, other: &Clause<'_>) -> bool {
        let parts = |clause: &Clause<'_>| clause.media.split_once('/').map(|(kind, sub)| (kind == "*", sub == "*")).unwrap_or_default();
        let ((any_kind, any_sub), (other_kind, other_sub)) = (parts(self), parts(other));
        self.quality > other.quality || !any_kind && other_kind || !any_sub && other_sub
    }
}

/// The alternatives, the preferred one first, as upstream's library puts them (`goautoneg`): what is said exactly goes
/// before what is not, also where it is liked less.
pub fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = Vec::new();
    for clause in accept.split(',').filter_map(clause) {
        let before = clauses.iter().rposition(|other| !clause.goes_before(other)).map_or(0, |at| at + 1);
        clauses.insert(before, clause);
    }
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.trim_matches(' ').split(';');
    let whole = parts.next().unwrap_or_default();
    let media = match whole.split_once('/') {
        None | Some((_, "")) if whole.trim_end_matches('/').trim_matches(' ') == "*" => Cow::Borrowed("*/*"),
        None | Some((_, "")) => return None,
        Some((_, sub)) if sub.find('/').is_some_and(|at| at + 1 < sub.len()) => return None,
        Some((kind, sub)) => {
            let (kind, sub) = (kind.trim_matches(' '), sub.trim_end_matches('/').trim_matches(' '));
            if whole.len() == kind.len() + 1 + sub.len() { Cow::Borrowed(whole) } else { Cow::Owned(format!("{kind}/{sub}")) }
        }
    };
    let mut clause = Clause { media, parameters: Vec::new(), quality: 1.0 };
    for (name, value) in parts.filter_map(|part| part.split_once('=')).filter(|(_, value)| !value.is_empty()) {
        let (name, value) = (name.trim_matches(' '), value.strip_suffix('=').unwrap_or(value));
        match name {
            _ if value.contains('=') => {}
            "q" => clause.quality = value.parse().unwrap_or(0.0),
            _ => {
                clause.parameters.retain(|(known, _)| *known != name);
                clause.parameters.push((name, value.trim_matches(' ')));
            }
        }
    }
    Some(clause)
}

/// Whether the client takes a compressed answer.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let value = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters.split(';').find_map(|p| p.trim().strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && quality > 0.0
    })
}

/// The best form for an answer of the API. With `shapes` tables and metadata may be asked for.
pub fn output(headers: &HeaderMap, shapes: bool) -> Result<Output, Status> {
    let accept = accept(headers);
    if accept.is_empty() || accept == "*/*" || accept == "application/json" {
        return Ok(Output::default());
    }
    let clauses = clauses(accept);
    clauses.iter().find_map(|c| acceptable(c, shapes)).ok_or_else(|| {
        if clauses.iter().any(|c| formats(&c.media).next().is_some()) { not_acceptable() } else { none_available("") }
    })
}

/// 406 in the words of upstream's router, which looks at the media types alone. `more`: what else there is here.
fn none_available(more: &str) -> Status {
    let why = format!("406: Not Acceptable\n\nAvailable representations: {}{more}", MEDIA_TYPES.join(", "));
    Status::generic(Reason::NotAcceptable, why)
}

/// The same for a list, which can also be watched.
pub fn output_of_list(headers: &HeaderMap) -> Result<Output, Status> {
    output(headers, true).map_err(|status| match status.bare_details {
        true => none_available(", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"),
        false => status,
    })
}

/// The `Accept` header, or empty.
pub fn accept(headers: &HeaderMap) -> &str {
    headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// The form of an error: never an error itself.
pub fn output_of_status(accept: Option<&HeaderValue>) -> Format {
    let clauses = clauses(accept.and_then(|v| v.to_str().ok()).unwrap_or_default());
    clauses.iter().find_map(|c| acceptable(c, false)).map(|output| output.format).unwrap_or_default()
}

fn acceptable(clause: &Clause<'_>, shapes: bool) -> Option<Output> {
    let stream = clause.parameter("stream");
    if !stream.is_empty() && stream != "watch" || !clause.parameter("sv").is_empty() {
        return None;
    }
    let version = match clause.parameter("v") {
        "v1" => "v1",
        "v1beta1" => "v1beta1",
        _ => "",
    };
    let known = clause.parameter("g") == "meta.k8s.io" && !version.is_empty() && shapes;
    let shape = match clause.parameter("as") {
        "" if clause.parameter("g").is_empty() && clause.parameter("v").is_empty() => Shape::Whole,
        "Table" if known => Shape::Table(version),
        "PartialObjectMetadata" | "PartialObjectMetadataList" if known => Shape::Partial(version),
        _ => return None,
    };
    formats(&clause.media).find(|f| writable(*f, shape)).map(|format| Output { format, shape })
}

/// Tables have no protobuf form.
fn writable(format: Format, shape: Shape) -> bool {
    format != Format::Protobuf || !matches!(shape, Shape::Table(_))
}

fn formats(media: &str) -> impl Iterator<Item = Format> {
    let any = matches!(media, "*/*" | "application/*");
    let named = Format::of(media);
    [Format::Json, Format::Yaml, Format::Protobuf].into_iter().filter(move |f| any || named == Some(*f))
}

/// 406.
pub fn not_acceptable() -> Status {
    let why = format!("only the following media types are accepted: {}", MEDIA_TYPES.join(", "));
    Status::new(Reason::NotAcceptable, why)
}

/// The body's media type without parameters; empty when not said.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// The body's form; JSON when not said.
pub fn input(headers: &HeaderMap) -> Result<Format, Status> {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if value.is_empty() {
        return Ok(Format::Json);
    }
    media::parse(value).and_then(|media| Format::of(&media)).ok_or_else(|| unsupported(&MEDIA_TYPES))
}

/// 415.
pub fn unsupported(accepted: &[&str]) -> Status {
    let list = accepted.join(", ");
    let why = format!("the body of the request was in an unknown format - accepted media types include: {list}");
    Status::new(Reason::UnsupportedMediaType, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &'static str) -> Result<Output, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, http::HeaderValue::from_static(accept));
        output(&headers, true).map_err(|s| s.code)
    }

    #[test]
    fn the_best_acceptable_form_wins() {
        let out = |format, shape| Ok(Output { format, shape });
        use {Format::*, Shape::*};
        for (accept, want) in [
            ("", out(Json, Whole)),
            ("application/yaml", out(Yaml, Whole)),
            ("application/yaml;q=0.5, application/json;q=0.9", out(Json, Whole)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", out(Json, Table("v1"))),
            ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", out(Json, Whole)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", out(Json, Partial("v1"))),
            ("text/html, */*;q=0.1", out(Json, Whole)),
            ("application/json;stream=watch", out(Json, Whole)),
            ("text/plain", Err(406)),
            ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", Err(406)),
        ] {
            assert_eq!(negotiate(accept), want, "{accept}");
        }
    }
}
