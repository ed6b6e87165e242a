//! What is wrong with an event (upstream: `pkg/apis/core/validation/events.go`).
//!
//! Upstream checks its internal form, so paths are those of the core form in both.

use jiff::Timestamp;
use meta::field::{Error, Errors, Path};
use meta::{Object, text};
use serde_json::Value;

use super::Event;
use crate::validate::{IMMUTABLE, internal, own_metadata, own_metadata_update};
use crate::view::View;

pub(super) fn new(event: &Event, object: &Object) -> Errors {
    let mut errors = common(event, object);
    if event.core {
        return errors;
    }
    errors.extend(own_metadata(object, true, &|name, prefix| text::dns1123_subdomain(name, prefix)));
    series(object, &mut errors);
    if object.str_at("eventTime").is_empty() {
        errors.push(Error::required(&Path::new("eventTime"), ""));
    }
    let sort = object.str_at("type");
    if !matches!(sort, "Normal" | "Warning") {
        errors.push(Error::invalid(&Path::new("type"), "", format!("has invalid value: {sort}")));
    }
    for name in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if event.at(object, name).value().is_some_and(|v| !empty(v)) {
            errors.push(Error::invalid(&Path::new(name), "", "needs to be unset"));
        }
    }
    errors
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().all(crate::tree::is_zero),
        other => crate::tree::is_zero(other),
    }
}

pub(super) fn changed(event: &Event, new: &Object, old: &Object) -> Errors {
    let mut errors = common(event, new);
    if event.core {
        return errors;
    }
    errors.extend(own_metadata_update(new, old));
    if !crate::tree::same_at(new, old, "series") {
        series(new, &mut errors);
    }
    // The reason twice, as upstream has it.
    let fixed = ["involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type"];
    let rest = ["eventTime", "action", "related", "reportingController", "reportingInstance"];
    for name in fixed.into_iter().chain(rest) {
        let shown = |object| shown(name, &event.at(object, name));
        let (is, was) = (shown(new), shown(old));
        let same_time = || name == "eventTime" && micro(new) == micro(old);
        if is != was && !same_time() {
            errors.push(Error::invalid(&Path::new(name), Value::Null, IMMUTABLE).showing(is));
        }
    }
    errors
}

/// The time of the event in microseconds since 1970.
fn micro(object: &Object) -> Option<i64> {
    object.str_at("eventTime").parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// A field as upstream's internal form shows it.
fn shown(name: &str, value: &View<'_>) -> String {
    let fields = |names: &[(&'static str, &str)]| {
        let fields: Vec<(&str, Value)> = names.iter().map(|(shown, field)| (*shown, value.text(field).into())).collect();
        internal(&fields)
    };
    match name {
        "related" if !value.exists() => "null".to_owned(),
        "involvedObject" | "related" => fields(&[
            ("Kind", "kind"),
            ("Namespace", "namespace"),
            ("Name", "name"),
            ("UID", "uid"),
            ("APIVersion", "apiVersion"),
            ("ResourceVersion", "resourceVersion"),
            ("FieldPath", "fieldPath"),
        ]),
        "source" => fields(&[("Component", "component"), ("Host", "host")]),
        "firstTimestamp" | "lastTimestamp" | "eventTime" => value.value().unwrap_or(&Value::Null).to_string(),
        "count" => value.int().unwrap_or(0).to_string(),
        _ => format!("{:?}", value.str()),
    }
}

    /// What holds for both forms.
fn common(event: &Event, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let regarding = event.at(object, "involvedObject");
        let (own, other) = (object.namespace(), regarding.text("namespace"));
        let mismatch = if object.str_at("eventTime").is_empty() {
            if other.is_empty() { !matches!(own, "" | "default") } else { own != other }
        } else {
            other.is_empty() && !matches!(own, "default" | "kube-system")
        };
        if mismatch {
            let path = Path::new("involvedObject").child("namespace");
            errors.push(Error::invalid(&path, other, "does not match event.namespace"));
        }
        if !object.str_at("eventTime").is_empty() {
            modern(event, object, &mut errors);
        }
        let wrong = text::dns1123_subdomain(own, false).into_iter();
        errors.extend(wrong.map(|m| Error::invalid(&Path::new("namespace"), own, m)));
        errors
    }

    /// What an event with an `eventTime` must have.
    fn modern(event: &Event, object: &Object, errors: &mut Errors) {
        let controller = event.text(object, "reportingComponent");
        let path = Path::new(if event.core { "reportingComponent" } else { "reportingController" });
        if controller.is_empty() {
            errors.push(Error::required(&path, ""));
        }
        errors.extend(text::qualified_name(controller).into_iter().map(|m| Error::invalid(&path, controller, m)));
        let limits = [("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024)];
        for (name, limit) in limits {
            let (value, path) = (event.text(object, name), Path::new(name));
            if value.is_empty() && name != "message" {
                errors.push(Error::required(&path, ""));
            }
            if value.len() > limit {
                errors.push(Error::invalid(&path, "", format!("can have at most {limit} characters")));
            }
        }
    }

fn series(object: &Object, errors: &mut Errors) {
    let series = View::of(object, "series");
    if series.exists() {
        if series.number("count") < 2 {
            errors.push(Error::invalid(&Path::new("series.count"), "", "should be at least 2"));
        }
        if series.text("lastObservedTime").is_empty() {
            errors.push(Error::required(&Path::new("series.lastObservedTime"), ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NEWER: Event = Event { core: false };

    #[test]
    fn the_name_is_not_the_first_thing_to_be_wrong() {
        let event = Object::from_value(json!({"metadata": {"name": "A b", "namespace": "x"}})).unwrap_or_default();
        let paths: Vec<String> = new(&NEWER, &event).iter().map(|error| error.path.to_string()).collect();
        assert_eq!(paths, ["involvedObject.namespace", "metadata.name", "eventTime", "type"]);
        let core = new(&Event { core: true }, &event);
        assert_eq!(core.len(), 1);
    }

    fn event() -> Object {
        let event = json!({"metadata": {"name": "a", "namespace": "x", "resourceVersion": "1"}, "eventTime": "2026-01-01T00:00:00.000001Z",
            "regarding": {"kind": "Pod", "namespace": "x", "name": "p"}, "reportingController": "k", "action": "a",
            "reportingInstance": "i", "reason": "r", "type": "Normal", "note": "n"});
        Object::from_value(event).unwrap_or_default()
    }

    #[test]
    fn what_may_not_change_is_shown_in_the_internal_form() {
        let wrong = |path: &str, value: Value| {
            let mut new = event();
            new.set(path, value);
            changed(&NEWER, &new, &event()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            wrong("related", json!({"kind": "Node", "name": "n"})),
            ["related: Invalid value: {\"Kind\":\"Node\",\"Namespace\":\"\",\"Name\":\"n\",\"UID\":\"\",\"APIVersion\":\"\",\
              \"ResourceVersion\":\"\",\"FieldPath\":\"\"}: field is immutable"]
        );
        assert_eq!(
            wrong("deprecatedSource", json!({"host": "h"})),
            [r#"source: Invalid value: {"Component":"","Host":"h"}: field is immutable"#]
        );
        assert_eq!(wrong("note", Value::Null), ["message: Invalid value: \"\": field is immutable"]);
        assert_eq!(wrong("reason", json!("s")).len(), 2);
        assert_eq!(wrong("deprecatedCount", json!(2)), ["count: Invalid value: 2: field is immutable"]);
        assert!(wrong("eventTime", json!("2026-01-01T00:00:00.000001999Z")).is_empty());
    }
}
