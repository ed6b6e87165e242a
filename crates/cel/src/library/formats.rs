//! Named formats (upstream: Kubernetes' `format.go`): `format.dns1123Label().validate(name)`.

use std::any::Any;

use meta::{text, url};

use super::{Library, Row, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Opaque, Outcome, Value};

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
    of("uuid", "uuid", |s| said(text::is_uuid(s), "does not match the UUID format"), 70),
    of("byte", "byte", |s| said(text::is_base64(s), "invalid base64"), 84),
    of("date", "date", |s| said(text::is_date(s), "invalid date"), DATE_TIME),
    of("datetime", "datetime", |s| said(text::is_date_time(s), "invalid datetime"), DATE_TIME),
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
