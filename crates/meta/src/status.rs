//! The error that the API answers with (upstream: `metav1.Status`, `api/errors`).

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::field;
use crate::limits;
use crate::names::group_resource;

/// Why a request failed, as clients match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Reason {
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
}

impl Reason {
    /// The name on the wire; empty for `Unknown`.
    pub fn as_str(self) -> &'static str {
        use Reason::*;
        match self {
            Unknown => "",
            Unauthorized => "Unauthorized",
            Forbidden => "Forbidden",
            NotFound => "NotFound",
            AlreadyExists => "AlreadyExists",
            Conflict => "Conflict",
            Gone => "Gone",
            Invalid => "Invalid",
            ServerTimeout => "ServerTimeout",
            Timeout => "Timeout",
            TooManyRequests => "TooManyRequests",
            BadRequest => "BadRequest",
            MethodNotAllowed => "MethodNotAllowed",
            NotAcceptable => "NotAcceptable",
            RequestEntityTooLarge => "RequestEntityTooLarge",
            UnsupportedMediaType => "UnsupportedMediaType",
            InternalError => "InternalError",
            Expired => "Expired",
            ServiceUnavailable => "ServiceUnavailable",
        }
    }

    /// The HTTP status code that goes with the reason.
    pub fn code(self) -> u16 {
        use Reason::*;
        match self {
            Unauthorized => 401,
            Forbidden => 403,
            NotFound => 404,
            MethodNotAllowed => 405,
            NotAcceptable => 406,
            AlreadyExists | Conflict => 409,
            Gone | Expired => 410,
            RequestEntityTooLarge => 413,
            UnsupportedMediaType => 415,
            Invalid => 422,
            TooManyRequests => 429,
            BadRequest => 400,
            InternalError | Unknown => 500,
            ServiceUnavailable => 503,
            ServerTimeout | Timeout => 504,
        }
    }
}

/// One cause in the details of a [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable sort; empty to leave it out.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Field path; empty to leave it out.
    pub field: String,
}

/// A failed request. Display shows the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason.
    pub reason: Reason,
    /// For people; several clients match on it.
    pub message: String,
    /// Name of the object, or empty.
    pub name: String,
    /// API group, or empty.
    pub group: String,
    /// Resource (or kind, for `Invalid`), or empty.
    pub kind: String,
    /// Uid of the object, or empty.
    pub uid: String,
    /// Causes, possibly none.
    pub causes: Vec<Cause>,
    /// Seconds after which to try again; 0 for none.
    pub retry_after: u32,
    /// Whether `details` are shown even when there are none.
    pub bare_details: bool,
    /// For `Warning` headers: what the client is told besides.
    pub warnings: Vec<String>,
    /// A token with which an expired list can be continued inconsistently, or empty.
    pub continue_token: String,
}

impl Status {
    /// A failure with a message and nothing else.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Status {
            code: reason.code(),
            reason,
            message: message.into(),
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after: 0,
            bare_details: false,
            warnings: Vec::new(),
            continue_token: String::new(),
        }
    }

    fn about(reason: Reason, group: &str, kind: &str, name: &str, message: String) -> Self {
        let mut status = Status::new(reason, message);
        status.group = group.to_owned();
        status.kind = kind.to_owned();
        status.name = name.to_owned();
        status
    }

    /// 404: the object does not exist.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} not found", group_resource(group, resource));
        Status::about(Reason::NotFound, group, resource, name, message)
    }

    /// 413: what was sent, or what would become of it, is too large.
    pub fn too_large(why: &str) -> Self {
        Status::new(Reason::RequestEntityTooLarge, format!("Request entity too large: {why}"))
    }

    /// 404: no such path or resource type.
    pub fn no_such_resource() -> Self {
        Status::generic(Reason::NotFound, "the server could not find the requested resource")
    }

    /// 409: the name is taken.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", group_resource(group, resource));
        Status::about(Reason::AlreadyExists, group, resource, name, message)
    }

    /// 409: a precondition or the resourceVersion did not match.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", group_resource(group, resource));
        Status::about(Reason::Conflict, group, resource, name, message)
    }

    /// 409: the object changed since it was read.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(group, resource, name, why)
    }

    /// 403: the caller may not.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let subject = group_resource(group, resource);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{subject} is forbidden: {why}"),
            (false, false) => format!("{subject} {name:?} is forbidden: {why}"),
        };
        let status = Status::about(Reason::Forbidden, group, resource, name, message);
        Status { bare_details: true, ..status }
    }

    /// 422: validation failed. `kind` is the CamelCase kind.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[field::Error]) -> Self {
        Status::invalid_showing(group, kind, name, errors, &|_| None)
    }

    /// The same for a caller who knows how to print some of the values.
    pub fn invalid_showing(
        group: &str,
        kind: &str,
        name: &str,
        errors: &[field::Error],
        show: &dyn Fn(&field::Error) -> Option<String>,
    ) -> Self {
        let body = |error: &field::Error| show(error).map_or_else(|| error.body(), |text| error.body_showing(text));
        let (mut shown, mut causes): (Vec<String>, Vec<Cause>) = (Vec::new(), Vec::new());
        let (mut known, mut size) = (HashSet::new(), 0);
        for (at, error) in errors.iter().enumerate() {
            let (field, message) = (error.path.to_string(), body(error));
            let text = format!("{field}: {message}");
            size += text.len();
            if size > limits::REFUSAL && at > 0 {
                shown.push(format!("and {} more", errors.len() - at));
                break;
            }
            causes.push(Cause { reason: error.reason().to_owned(), message, field });
            if known.insert(text.clone()) {
                shown.push(text);
            }
        }
        let list = if shown.len() == 1 { shown.remove(0) } else { format!("[{}]", shown.join(", ")) };
        let subject = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("{subject} {} is invalid: {list}", crate::text::quoted(name));
        let mut status = Status::about(Reason::Invalid, group, kind, name, message);
        status.causes = causes;
        status
    }

    /// With more warnings before its own.
    pub fn warned(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.splice(0..0, warnings);
        self
    }

    /// An answer by its code alone, in the words of upstream's `NewGenericServerResponse`.
    pub fn generic(reason: Reason, message: impl Into<String>) -> Self {
        Status { bare_details: true, ..Status::new(reason, message) }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Status::new(Reason::BadRequest, message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Status::new(Reason::Unauthorized, "Unauthorized")
    }

    /// 405.
    pub fn method_not_allowed(group: &str, resource: &str, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", group_resource(group, resource));
        Status::about(Reason::MethodNotAllowed, group, resource, "", message)
    }

    /// 410: the revision asked for has been compacted.
    pub fn expired(message: impl Into<String>) -> Self {
        Status::new(Reason::Expired, message)
    }

    /// 500. `source` goes into the message, as upstream does; do not pass secrets.
    pub fn internal(source: impl std::fmt::Display) -> Self {
        let mut status = Status::new(Reason::InternalError, format!("Internal error occurred: {source}"));
        status.causes.push(Cause { reason: String::new(), message: source.to_string(), field: String::new() });
        status
    }

    /// The object that goes over the wire, in upstream's field order when encoded by the schema.
    pub fn to_value(&self) -> Value {
        let mut details = Map::new();
        let mut put = |key: &str, value: &str| {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.into());
            }
        };
        put("name", &self.name);
        put("group", &self.group);
        put("kind", &self.kind);
        put("uid", &self.uid);
        if !self.causes.is_empty() {
            details.insert("causes".to_owned(), self.causes.iter().map(Cause::to_value).collect());
        }
        if self.retry_after > 0 {
            details.insert("retryAfterSeconds".to_owned(), self.retry_after.into());
        }
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.continue_token.is_empty() {
            out["metadata"]["continue"] = self.continue_token.as_str().into();
        }
        if self.reason != Reason::Unknown {
            out["reason"] = self.reason.as_str().into();
        }
        if !details.is_empty() || self.bare_details {
            out["details"] = details.into();
        }
        out
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (key, value) in [("reason", &self.reason), ("message", &self.message), ("field", &self.field)] {
            if !value.is_empty() {
                out.insert(key.to_owned(), value.as_str().into());
            }
        }
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Error, Path};

    #[test]
    fn invalid_lists_every_error_and_its_cause() {
        let replicas = Path::new("spec").child("replicas");
        let one = Error::invalid(&replicas, -1, "must be greater than or equal to 0");
        let status = Status::invalid("apps", "Deployment", "web", std::slice::from_ref(&one));
        assert_eq!(
            status.message,
            r#"Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"#
        );
        assert_eq!(status.code, 422);
        assert_eq!(status.causes[0].field, "spec.replicas");
        let two = Error::required(&Path::new("spec").child("selector"), "");
        let status = Status::invalid("apps", "Deployment", "web", &[one, two]);
        assert!(status.message.ends_with("to 0, spec.selector: Required value]"), "{}", status.message);
    }

    #[test]
    fn a_refusal_says_so_much_and_no_more() {
        let path = Path::new("spec").child("list");
        let errors: Vec<Error> = (0..100_000).map(|n| Error::invalid(&path.index(n), "x", "is wrong")).collect();
        let status = Status::invalid("", "Pod", "a", &errors);
        assert!(status.message.len() < limits::REFUSAL + 100_000, "{}", status.message.len());
        let told = status.causes.len();
        assert!(status.message.ends_with(&format!("and {} more]", errors.len() - told)), "{told}");
        let same = Status::invalid("", "Pod", "a", &vec![errors[0].clone(); 3]);
        assert!(same.message.ends_with("is wrong") && same.causes.len() == 3, "{}", same.message);
    }

    #[test]
    fn not_found_names_resource_and_group() {
        assert_eq!(Status::not_found("", "pods", "a").message, r#"pods "a" not found"#);
        assert_eq!(Status::not_found("apps", "deployments", "a").message, r#"deployments.apps "a" not found"#);
    }
}
