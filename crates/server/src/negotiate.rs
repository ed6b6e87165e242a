//! Which form a client wants its answer in, and which form its body has
//! (upstream: `apiserver/pkg/endpoints/handlers/negotiation`).

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use meta::{Reason, Status};

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
    pub media: &'a str,
    /// `as`, `g`, `v` and the like.
    pub parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    /// The value of a parameter, or empty.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }
}

/// The alternatives, the preferred one first.
pub fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = accept.split(',').map(clause).filter(|c| !c.media.is_empty()).collect();
    let wildcards = |c: &Clause<'_>| c.media.matches('*').count();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality).then_with(|| wildcards(a).cmp(&wildcards(b))));
    clauses
}

fn clause(text: &str) -> Clause<'_> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let mut clause = Clause { media, parameters: Vec::new(), quality: 1.0 };
    for (name, value) in parts.filter_map(|p| p.split_once('=')) {
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        match name {
            "q" => clause.quality = value.parse().unwrap_or(1.0),
            _ => clause.parameters.push((name, value)),
        }
    }
    clause
}

/// The best form for an answer of the API. With `shapes` tables and metadata may be asked for.
pub fn output(headers: &HeaderMap, shapes: bool) -> Result<Output, Status> {
    let accept = accept(headers);
    if accept.is_empty() || accept == "*/*" || accept == "application/json" {
        return Ok(Output::default());
    }
    let clauses = clauses(accept);
    clauses.iter().find_map(|c| acceptable(c, shapes)).ok_or_else(|| {
        if clauses.iter().any(|c| formats(c.media).next().is_some()) { not_acceptable() } else { none_available("") }
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
    formats(clause.media).find(|f| writable(*f, shape)).map(|format| Output { format, shape })
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
    match content_type(headers) {
        "" => Ok(Format::Json),
        media => Format::of(media).ok_or_else(|| unsupported(&MEDIA_TYPES)),
    }
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
