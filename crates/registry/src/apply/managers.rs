//! Who manages which fields: `metadata.managedFields` read and written.

use std::collections::{HashMap, HashSet};

use meta::{Object, time};
use serde_json::{Map, Value, json};

use super::set::Set;

/// Updaters kept apart; the oldest of more are counted as one (upstream: `DefaultMaxUpdateManagers`).
const UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

/// One manager.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manager {
    pub name: String,
    pub applies: bool,
    pub api_version: String,
    pub subresource: String,
    /// When its set last changed.
    pub time: String,
    pub set: Set,
}

impl Manager {
    /// Whether both are the same manager: one that applies is so in every version.
    pub fn is(&self, other: &Manager) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> (&str, bool, &str, &str) {
        (&self.name, self.applies, &self.subresource, if self.applies { "" } else { &self.api_version })
    }

    /// How messages name it.
    pub fn shown(&self) -> String {
        let mut out = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            out.push_str(&format!(" using {}", self.api_version));
        }
        out
    }

    fn read(entry: &Value) -> Option<Manager> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
        if text("apiVersion").is_empty() || text("fieldsType") != "FieldsV1" {
            return None;
        }
        let fields = entry.get("fieldsV1").unwrap_or(&Value::Null);
        if !fields.is_object() && !fields.is_null() {
            return None;
        }
        Some(Manager {
            name: text("manager"),
            applies: match &*text("operation") {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            },
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            set: Set::from_value(fields),
        })
    }

    fn write(&self) -> Value {
        let mut out = Map::new();
        let mut put = |field: &str, value: &str| {
            if !value.is_empty() {
                out.insert(field.to_owned(), value.into());
            }
        };
        put("manager", &self.name);
        put("operation", if self.applies { "Apply" } else { "Update" });
        put("apiVersion", &self.api_version);
        put("time", &self.time);
        put("fieldsType", "FieldsV1");
        put("subresource", &self.subresource);
        out.insert("fieldsV1".to_owned(), self.set.to_value());
        out.into()
    }
}

/// All managers of an object. None if an entry is broken: then nothing is believed. Of two entries of one manager the
/// later counts.
pub(super) fn read(object: &Object) -> Vec<Manager> {
    let managers: Option<Vec<Manager>> = object.list_at("metadata.managedFields").iter().map(Manager::read).collect();
    let all = managers.unwrap_or_default();
    // There may be as many as fit into an object.
    let later: HashMap<_, usize> = all.iter().enumerate().map(|(at, manager)| (manager.identity(), at)).collect();
    if later.len() == all.len() {
        return all;
    }
    let kept: HashSet<usize> = later.into_values().collect();
    all.into_iter().enumerate().filter(|(at, _)| kept.contains(at)).map(|(_, manager)| manager).collect()
}

/// Writes them in upstream's order. Managers of nothing are left out.
pub(super) fn write(object: &mut Object, mut managers: Vec<Manager>) {
    managers.retain(|m| !m.set.is_empty());
    sort(&mut managers);
    cap(&mut managers);
    if managers.is_empty() {
        object.remove("metadata.managedFields");
        return;
    }
    let entries: Vec<Value> = managers.iter().map(Manager::write).collect();
    object.set("metadata.managedFields", json!(entries));
}

/// Takes back new times if nothing else changed: a time alone is no reason to write (upstream:
/// `IgnoreManagedFieldsTimestampsTransformer`).
pub(super) fn keep_times(old: &Object, new: &mut Object) {
    let (was, is) = (old.list_at("metadata.managedFields"), new.list_at("metadata.managedFields"));
    let timeless = |entry: &Value| {
        let fields = entry.as_object().into_iter().flatten();
        fields.filter(|(name, _)| *name != "time").map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>()
    };
    let alike = was != is && was.len() == is.len() && was.iter().zip(is).all(|(a, b)| timeless(a) == timeless(b));
    if alike {
        let mut kept = new.clone();
        kept.set("metadata.managedFields", was.to_vec());
        if kept.fields() == old.fields() {
            *new = kept;
        }
    }
}

fn sort(managers: &mut [Manager]) {
    managers.sort_by(|a, b| {
        let key = |m: &Manager| (!m.applies, time::parse(&m.time));
        key(a).cmp(&key(b)).then_with(|| (&a.name, &a.api_version, &a.subresource).cmp(&(&b.name, &b.api_version, &b.subresource)))
    });
}

/// Counts the oldest updaters as one, when there are too many.
fn cap(managers: &mut Vec<Manager>) {
    let updaters = managers.iter().filter(|m| !m.applies).count();
    if updaters <= UPDATERS {
        return;
    }
    let first = managers.iter().position(|m| !m.applies).unwrap_or(0);
    let mut ancient: Option<Manager> = None;
    for old in managers.drain(first..=first + updaters - UPDATERS) {
        ancient = Some(match ancient {
            None => Manager { name: ANCIENT.to_owned(), subresource: String::new(), ..old },
            Some(sum) => Manager { set: sum.set.union(&old.set), time: old.time, ..sum },
        });
    }
    managers.extend(ancient);
    sort(managers);
}
