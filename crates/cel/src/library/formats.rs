//! Named formats (upstream: Kubernetes' `format.go`): `format.dns1123Label().validate(name)`.

use std::any::Any;

use meta::text;

use super::{Library, Row, function, method, mismatch, url};
use crate::cost::Cost;
use crate::value::{Error, Opaque, Outcome, Value, time};

const F: &str = "kubernetes.NamedFormat";

/// A format.
#[derive(Debug)]
struct Format {
    /// In expressions.
    name: &'static str,
    /// By which two are the same.
    title: &'static str,
    /// What is wrong with a text.
    check: fn(&str) -> Vec<String>,
    /// How long a pattern would be that says the same.
    pattern: u64,
}

/// All of them.
const ALL: &[Format] = &[
    of("dns1123Label", "DNS1123Label", |s| text::dns1123_label(s, false), 30),
    of("dns1123Subdomain", "DNS1123Subdomain", |s| text::dns1123_subdomain(s, false), 60),
    of("dns1035Label", "DNS1035Label", |s| text::dns1035_label(s, false), 30),
    of("qualifiedName", "QualifiedName", text::qualified_name, 60),
    of("dns1123LabelPrefix", "DNS1123LabelPrefix", |s| text::dns1123_label(s, true), 30),
    of("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", |s| text::dns1123_subdomain(s, true), 60),
    of("dns1035LabelPrefix", "DNS1035LabelPrefix", |s| text::dns1035_label(s, true), 30),
    of("labelValue", "LabelValue", text::label_value, 40),
    of("uri", "URI", |s| url::parse_request(s).err().into_iter().collect(), 1103),
    of("uuid", "uuid", |s| said(is_uuid(s), "does not match the UUID format"), 70),
    of("byte", "byte", |s| said(is_base64(s), "invalid base64"), 84),
    of("date", "date", |s| said(is_date(s), "invalid date"), DATE_TIME),
    of("datetime", "datetime", |s| said(is_date_time(s), "invalid datetime"), DATE_TIME),
];

/// How long upstream's pattern of a date with a time is.
const DATE_TIME: u64 = 71;

const fn of(name: &'static str, title: &'static str, check: fn(&str) -> Vec<String>, pattern: u64) -> Format {
    Format { name, title, check, pattern }
}

macro_rules! named {
    ($($name:literal),*) => {
        &[
            method("validate", "format-validate", "kubernetes.NamedFormat, string", "optional(list(string))", Cost::Validate, validate),
            function("format.named", "format-named", "string", "optional(kubernetes.NamedFormat)", Cost::Fixed(1), named),
            $(row(concat!("format.", $name), |_| constant($name)),)*
        ]
    };
}

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.format",
    types: &[F],
    rows: named!(
        "dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "dns1123LabelPrefix", "dns1123SubdomainPrefix",
        "dns1035LabelPrefix", "labelValue", "uri", "uuid", "byte", "date", "datetime"
    ),
};

const fn row(name: &'static str, run: super::Run) -> Row {
    function(name, name, "", F, Cost::One, run).sequential()
}

#[derive(Clone, Copy, Debug)]
struct Named(&'static Format);

impl Opaque for Named {
    fn type_name(&self) -> &'static str {
        F
    }
    fn equals(&self, other: &dyn Opaque) -> Option<bool> {
        other.any().downcast_ref::<Named>().map(|other| self.0.title == other.0.title)
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn show(&self) -> String {
        self.0.title.to_owned()
    }
}

/// How long a pattern would be that says what a format says, if the value is one.
pub(crate) fn check(value: &Value<'_>) -> Option<u64> {
    value.as_opaque::<Named>().map(|named| named.0.pattern)
}

fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}

fn constant<'a>(name: &str) -> Outcome<'a> {
    find(name).map(|format| Value::opaque(Named(format))).ok_or(Error::NO_OVERLOAD)
}

fn named<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(name)] = args else { return mismatch() };
    Ok(find(name).map_or(Value::Optional(None), |format| Value::some(Value::opaque(Named(format)))))
}

fn validate<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [format, Value::String(text)] = args else { return mismatch() };
    let Some(Named(format)) = format.as_opaque::<Named>() else { return mismatch() };
    let wrong = (format.check)(text);
    if wrong.is_empty() {
        return Ok(Value::Optional(None));
    }
    Ok(Value::some(Value::list(wrong.into_iter().map(Value::text).collect())))
}

fn said(right: bool, otherwise: &str) -> Vec<String> {
    if right { Vec::new() } else { vec![otherwise.to_owned()] }
}

/// Dashes may be missing.
fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((part, behind)) = rest.split_at_checked(length) else { return false };
        if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let alphabet = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    !text.is_empty() && text.len().is_multiple_of(4) && padding <= 2 && alphabet
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && time::Timestamp::parse(&format!("{text}T00:00:00Z")).is_some()
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    let bytes = time.split('t').next().unwrap_or_default().as_bytes();
    // hh:mm:ss, perhaps a fraction, then a zone.
    let two = |at: usize, most: &[u8; 2]| {
        bytes.get(at..at + 2).is_some_and(|two| two.iter().all(u8::is_ascii_digit) && two <= &most[..])
    };
    let clock = two(0, b"23") && bytes.get(2) == Some(&b':') && two(3, b"59") && bytes.get(5) == Some(&b':') && two(6, b"59");
    let Some(mut rest) = bytes.get(8..).filter(|_| clock && is_date(date)) else { return false };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest {
        b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    }
}
