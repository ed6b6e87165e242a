//! Event, in two forms over one storage: core `v1` (stored) and `events.k8s.io/v1`.

mod validate;

use meta::field::Errors;
use meta::{Object, Status, text};
use serde_json::Value;

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{or, since, wide};
use crate::rules::{Column, Rules, Word};
use crate::view::View;

static COLUMNS: [Column; 10] = [
    crate::print::text("Last Seen", "Time since the last occurrence"),
    crate::print::text("Type", "Normal or Warning"),
    crate::print::text("Reason", "Why it happened, in one word"),
    crate::print::text("Object", "What it is about"),
    wide("Subobject", "The part of the object it is about"),
    wide("Source", "Who reported it"),
    crate::print::text("Message", "What happened"),
    wide("First Seen", "Time since the first occurrence"),
    wide("Count", "Number of occurrences"),
    Column::of("Name", "string", "name", "Name of the object", 1),
];

/// (core name, events.k8s.io name) of the fields that differ.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

struct Event {
    core: bool,
}

/// The core form, in which events are stored.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Event", "events", Event { core: true }).short("ev").lazy()
}

/// The newer form.
pub fn events_v1() -> Descriptor {
    Descriptor::builtin("events.k8s.io/v1", "Event", "events", Event { core: false }).short("ev").lazy()
}

impl Event {
    /// The name that this form has for a field of the core form.
    fn name(&self, core: &'static str) -> &'static str {
        let newer = NAMES.iter().find(|(c, _)| *c == core).map(|(_, n)| *n);
        newer.filter(|_| !self.core).unwrap_or(core)
    }

    /// A field, by its name in the core form.
    fn at<'a>(&self, object: &'a Object, core: &'static str) -> View<'a> {
        View::of(object, self.name(core))
    }

    /// The text of a field, by its name in the core form.
    fn text<'a>(&self, object: &'a Object, core: &'static str) -> &'a str {
        self.at(object, core).str()
    }
}

impl Rules for Event {
    fn time_to_live(&self) -> Option<std::time::Duration> {
        Some(std::time::Duration::from_secs(3600))
    }

    /// Nothing depends on an event.
    fn has_dependents(&self) -> bool {
        false
    }

    /// The newer form checks them after what both forms have.
    fn checks_metadata(&self) -> bool {
        false
    }

    /// Upstream's internal form belongs to the core group.
    fn shown_group(&self) -> Option<&'static str> {
        Some("")
    }

    fn validate(&self, object: &Object) -> Errors {
        validate::new(self, object)
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        validate::changed(self, new, old)
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        if self.core { text::path_segment(name, prefix) } else { text::dns1123_subdomain(name, prefix) }
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        const REGARDING: [(&str, &str, &str); 7] = [
            ("involvedObject.kind", "regarding.kind", "kind"),
            ("involvedObject.namespace", "regarding.namespace", "namespace"),
            ("involvedObject.name", "regarding.name", "name"),
            ("involvedObject.uid", "regarding.uid", "uid"),
            ("involvedObject.apiVersion", "regarding.apiVersion", "apiVersion"),
            ("involvedObject.resourceVersion", "regarding.resourceVersion", "resourceVersion"),
            ("involvedObject.fieldPath", "regarding.fieldPath", "fieldPath"),
        ];
        let regarding = self.at(object, "involvedObject");
        let name = |core: &'static str, newer| Word::from(if self.core { core } else { newer });
        let of = REGARDING.iter().map(|(core, newer, field)| (name(*core, *newer), regarding.text(field).to_owned()));
        let controller = self.text(object, "reportingComponent");
        let mut fields: Vec<(Word, String)> = of.collect();
        fields.push(("reason".into(), object.str_at("reason").to_owned()));
        fields.push((name("reportingComponent", "reportingController"), controller.to_owned()));
        fields.push(("type".into(), object.str_at("type").to_owned()));
        if self.core {
            fields.push(("source".into(), or(self.at(object, "source").text("component"), controller).to_owned()));
        }
        fields
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let first = since(or(self.text(object, "firstTimestamp"), object.str_at("eventTime")), now);
        let last = self.text(object, "lastTimestamp");
        let mut last = if last.is_empty() { first.clone() } else { since(last, now) };
        let mut count = self.at(object, "count").int().filter(|n| *n != 0).unwrap_or(1);
        let series = View::of(object, "series");
        if series.exists() {
            last = since(series.text("lastObservedTime"), now);
            count = series.number("count");
        }
        let regarding = self.at(object, "involvedObject");
        let (kind, name) = (regarding.text("kind").to_lowercase(), regarding.text("name"));
        let target = if name.is_empty() { kind } else { format!("{kind}/{name}") };
        let source = self.at(object, "source");
        let component = or(source.text("component"), self.text(object, "reportingComponent"));
        let instance = or(source.text("host"), object.str_at("reportingInstance"));
        let source = if instance.is_empty() { component.to_owned() } else { format!("{component}, {instance}") };
        vec![
            last.into(),
            object.str_at("type").into(),
            object.str_at("reason").into(),
            target.into(),
            regarding.text("fieldPath").into(),
            source.into(),
            self.text(object, "message").trim().into(),
            first.into(),
            count.into(),
            object.name().into(),
        ]
    }

    fn from_storage(&self, object: Object) -> Result<Object, Status> {
        Ok(if self.core { object } else { renamed(object, "events.k8s.io/v1", |(core, newer)| (core, newer)) })
    }

    fn to_storage(&self, object: Object) -> Result<Object, Status> {
        Ok(if self.core { object } else { renamed(object, "v1", |(core, newer)| (newer, core)) })
    }
}

/// Writes an event in the other form.
fn renamed(
    mut object: Object,
    api_version: &str,
    way: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Object {
    let fields = object.fields_mut();
    for (from, to) in NAMES.into_iter().map(way) {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
    fields.insert("apiVersion".to_owned(), api_version.into());
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    #[test]
    fn one_event_has_two_forms() {
        let stored = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a", "namespace": "x"}, "message": "m",
            "involvedObject": {"kind": "Pod", "namespace": "x", "name": "p"}, "reportingComponent": "k", "count": 2});
        let (core, newer) = (Event { core: true }, Event { core: false });
        let stored = Object::from_value(stored).unwrap_or_default();
        let shown = newer.from_storage(stored.clone()).unwrap_or_default();
        assert_eq!(shown.str_at("note"), "m");
        assert_eq!(shown.str_at("regarding.name"), "p");
        assert_eq!(shown.api_version(), "events.k8s.io/v1");
        let now = Now::at(Timestamp::UNIX_EPOCH);
        assert_eq!(core.row(&stored, &now), newer.row(&shown, &now));
        assert!(newer.selectable(&shown).contains(&("regarding.name".into(), "p".to_owned())));
        assert_eq!(newer.to_storage(shown).ok(), Some(stored));
    }
}
