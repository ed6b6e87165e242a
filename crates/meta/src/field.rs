//! Validation errors with field paths (upstream: `apimachinery/pkg/util/validation/field`).

use std::fmt;

use serde_json::Value;

/// A path to a field, as messages print it: `spec.containers[0].name`, `metadata.labels[app]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Path(String);

impl Path {
    /// Starts at a field of the root.
    pub fn new(name: &str) -> Self {
        Path(name.to_owned())
    }

    /// Steps into a field. `p.child("a").child("b")` prints `p.a.b`.
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Path(name.to_owned()) } else { Path(format!("{}.{name}", self.0)) }
    }

    /// Steps into a list entry.
    pub fn index(&self, index: usize) -> Self {
        Path(format!("{}[{index}]", self.0))
    }

    /// Steps into a map entry.
    pub fn key(&self, key: &str) -> Self {
        Path(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// The sort of a validation error; its name is the `reason` of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Sort {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    Internal,
    TypeInvalid,
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What sort of error.
    pub sort: Sort,
    /// Where.
    pub path: Path,
    /// The offending value; `Null` where the message shows none.
    pub value: Value,
    /// What is wrong.
    pub detail: String,
    /// How the message shows the value, if not as JSON; empty: not at all.
    pub shown: Option<String>,
}

/// All that is wrong with one object, in the order found.
pub type Errors = Vec<Error>;

impl Error {
    /// The value is malformed or out of range.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Error { sort: Sort::Invalid, path: path.clone(), value: value.into(), detail: detail.into(), shown: None }
    }

    /// The value must be set.
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Error { sort: Sort::Required, path: path.clone(), value: Value::Null, detail: detail.into(), shown: None }
    }

    /// The value occurs twice.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Error { sort: Sort::Duplicate, path: path.clone(), value: value.into(), detail: String::new(), shown: None }
    }

    /// The referenced thing does not exist.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Error { sort: Sort::NotFound, path: path.clone(), value: value.into(), detail: String::new(), shown: None }
    }

    /// The value is none of the supported ones, which the message lists as given.
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let mut detail = String::new();
        if !supported.is_empty() {
            let quoted: Vec<String> = supported.iter().map(|s| crate::text::quoted(s)).collect();
            detail = format!("supported values: {}", quoted.join(", "));
        }
        Error { sort: Sort::NotSupported, path: path.clone(), value: value.into(), detail, shown: None }
    }

    /// The field may not be set (here, now, so).
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Error { sort: Sort::Forbidden, path: path.clone(), value: Value::Null, detail: detail.into(), shown: None }
    }

    /// The value is longer than `max` bytes; the message does not repeat it.
    pub fn too_long(path: &Path, max: usize) -> Self {
        let detail = format!("may not be more than {max} bytes");
        Error { sort: Sort::TooLong, path: path.clone(), value: Value::Null, detail, shown: None }
    }

    /// The list has more than `max` entries.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let noun = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {noun}");
        Error { sort: Sort::TooMany, path: path.clone(), value: actual.into(), detail, shown: None }
    }

    /// The check itself failed.
    pub fn internal(path: &Path, detail: impl Into<String>) -> Self {
        Error { sort: Sort::Internal, ..Error::forbidden(path, detail) }
    }

    /// The value is of the wrong type.
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Error { sort: Sort::TypeInvalid, path: path.clone(), value: value.into(), detail: detail.into(), shown: None }
    }

    /// With the value shown as this text: upstream shows its internal form of some structs, whose fields have other
    /// names and another order.
    pub fn showing(self, text: impl Into<String>) -> Self {
        Error { shown: Some(text.into()), ..self }
    }

    /// With no value shown at all (upstream: `OmitValueType`).
    pub fn valueless(self) -> Self {
        self.showing("")
    }

    /// The `reason` of the cause that reports this error.
    pub fn reason(&self) -> &'static str {
        match self.sort {
            Sort::NotFound => "FieldValueNotFound",
            Sort::Required => "FieldValueRequired",
            Sort::Duplicate => "FieldValueDuplicate",
            Sort::Invalid => "FieldValueInvalid",
            Sort::NotSupported => "FieldValueNotSupported",
            Sort::Forbidden => "FieldValueForbidden",
            Sort::TooLong => "FieldValueTooLong",
            Sort::TooMany => "FieldValueTooMany",
            Sort::Internal => "InternalError",
            Sort::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The message without the path: the `message` of the cause.
    pub fn body(&self) -> String {
        self.body_showing(shown(&self.value))
    }

    /// The same with the value as a text of the caller's.
    pub fn body_showing(&self, value: String) -> String {
        let value = self.shown.clone().unwrap_or(value);
        let title = match self.sort {
            Sort::NotFound => "Not found",
            Sort::Required => "Required value",
            Sort::Duplicate => "Duplicate value",
            Sort::Invalid | Sort::TypeInvalid => "Invalid value",
            Sort::NotSupported => "Unsupported value",
            Sort::Forbidden => "Forbidden",
            Sort::TooLong => "Too long",
            Sort::TooMany => "Too many",
            Sort::Internal => "Internal error",
        };
        let mut out = match self.sort {
            Sort::Required | Sort::Forbidden | Sort::TooLong | Sort::Internal => title.to_owned(),
            _ if value.is_empty() => title.to_owned(),
            _ => format!("{title}: {value}"),
        };
        if !self.detail.is_empty() {
            out.push_str(": ");
            out.push_str(&self.detail);
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(s) => crate::text::quoted(s),
        other => other.to_string(),
    }
}
