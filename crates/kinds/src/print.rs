//! Columns and cells of `kubectl get` (upstream: `pkg/printers/internalversion`).

use meta::object::string_map;
use serde_json::Value;

use crate::Now;
use crate::rules::Column;
use crate::view::View;

/// The object's name, first in nearly every table.
pub const NAME: Column = Column::of("Name", "string", "name", "Name of the object", 0);

/// The time since the object's creation.
pub const AGE: Column = text("Age", "Time since creation");

/// Name and time of creation: kinds that have no table of their own.
pub static NAME_AND_CREATED: [Column; 2] =
    [NAME, Column::of("Created At", "date", "", "Time of creation", 0)];

/// A column of text.
pub const fn text(name: &'static str, description: &'static str) -> Column {
    Column::of(name, "string", "", description, 0)
}

/// A column of whole numbers.
pub const fn integer(name: &'static str, description: &'static str) -> Column {
    Column::of(name, "integer", "", description, 0)
}

/// A column of text that only `-o wide` shows.
pub const fn wide(name: &'static str, description: &'static str) -> Column {
    Column::of(name, "string", "", description, 1)
}

/// The text, or a word for its absence.
pub fn or<'a>(text: &'a str, absent: &'a str) -> &'a str {
    if text.is_empty() { absent } else { text }
}

/// The time since a timestamp; `<unknown>` if there is none.
pub fn since(time: &str, now: &Now) -> String {
    now.since(meta::time::parse(time))
}

/// At most three entries, and how many more there are.
pub fn three_of(list: &[String]) -> String {
    match list.len() {
        0 => "<unset>".to_owned(),
        1..=3 => list.join(","),
        more => format!("{} + {} more...", list[..3].join(","), more - 3),
    }
}

/// `a=1,b=2`, or `<none>` (upstream: `labels.FormatLabels`).
pub fn labels(map: Option<&Value>) -> String {
    let mut pairs: Vec<String> = string_map(map).map(|(k, v)| format!("{k}={v}")).collect();
    pairs.sort_unstable();
    or(&pairs.join(","), "<none>").to_owned()
}

/// A label selector in its string form, sorted by key; empty for one that selects all or nothing.
pub fn selector(selector: &View<'_>) -> String {
    let mut parts: Vec<(&str, String)> = selector.at("matchLabels").pairs().map(|(k, v)| (k, format!("{k}={v}"))).collect();
    for e in selector.each("matchExpressions") {
        let key = e.text("key");
        let mut values: Vec<&str> = e.at("values").strings().collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push((
            key,
            match e.text("operator") {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "DoesNotExist" => format!("!{key}"),
                _ => key.to_owned(),
            },
        ));
    }
    parts.sort_by(|a, b| a.0.cmp(b.0));
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// Names and images of the containers of a pod specification.
pub fn containers(spec: &View<'_>) -> (String, String) {
    let join = |field: &str| spec.each("containers").map(|c| c.text(field)).collect::<Vec<_>>().join(",");
    (join("name"), join("image"))
}
