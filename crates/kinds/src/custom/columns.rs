//! The table of a custom resource (upstream: `pkg/registry/customresource/tableconvertor`).

use meta::{Object, jsonpath, time};
use serde_json::Value;

use crate::Now;
use crate::rules::Column;
use crate::view::View;

/// What upstream says of the columns that every such table has.
const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may \
    allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation \
    idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not \
    guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is \
    represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// Columns, and where their cells are.
pub(super) struct Columns {
    pub columns: Vec<Column>,
    /// Of all columns but the first.
    paths: Vec<String>,
}

impl Columns {
    /// Reads `additionalPrinterColumns`; without any the age is shown. An error names a path that cannot be read.
    pub fn read(given: &[Value]) -> Result<Columns, String> {
        let mut all = Columns { columns: vec![Column::of("Name", "string", "name", NAME, 0)], paths: Vec::new() };
        for column in given {
            let column = View::new(Some(column), meta::field::Path::default());
            let path = column.text("jsonPath");
            jsonpath::find(path, &Value::Null).map_err(|why| format!("unrecognized column definition {path:?}: {why}"))?;
            let text = |field: &str| column.text(field).to_owned().into();
            let described = match column.text("description") {
                "" => format!("Custom resource definition column (in JSONPath format): {path}").into(),
                _ => text("description"),
            };
            let priority = i32::try_from(column.number("priority")).unwrap_or(0);
            all.columns.push(Column { name: text("name"), kind: text("type"), format: text("format"), description: described, priority });
            all.paths.push(path.to_owned());
        }
        if given.is_empty() {
            all.columns.push(Column::of("Age", "date", "", CREATED, 0));
            all.paths.push(".metadata.creationTimestamp".to_owned());
        }
        Ok(all)
    }

    /// The cells of an object.
    pub fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let root = Value::Object(object.fields().clone());
        let mut cells = vec![Value::from(object.name())];
        for (column, path) in self.columns.iter().skip(1).zip(&self.paths) {
            let found = jsonpath::find(path, &root).unwrap_or_default();
            cells.push(cell(&column.kind, &found, now));
        }
        cells
    }
}

/// A cell of a type; null where there is nothing of it.
fn cell(kind: &str, found: &[&Value], now: &Now) -> Value {
    let Some(first) = found.first().filter(|value| !value.is_null()) else { return Value::Null };
    match kind {
        "integer" => first.as_i64().or_else(|| first.as_f64().map(|number| number as i64)).map_or(Value::Null, Value::from),
        "number" => first.as_f64().map_or(Value::Null, Value::from),
        "boolean" => first.as_bool().map_or(Value::Null, Value::from),
        "date" => match first.as_str() {
            Some(text) => time::parse(text).map_or_else(|| "<invalid>".into(), |at| now.since(Some(at)).into()),
            None => Value::Null,
        },
        _ => Value::from(found.iter().map(|value| text(value)).collect::<Vec<_>>().join(" ")),
    }
}

/// A text as it is, all else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_found_by_their_paths() {
        let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
        let given = [
            column("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#),
            column("Replicas", "integer", ".spec.replicas"),
            column("Paused", "boolean", ".spec.paused"),
            column("Since", "date", ".status.since"),
            column("Hosts", "string", ".spec.hosts[*]"),
        ];
        let columns = Columns::read(&given).unwrap_or_else(|why| panic!("{why}"));
        let object = json!({"metadata": {"name": "a"}, "spec": {"replicas": 3, "hosts": ["x", "y"]},
            "status": {"since": "2026-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "True"}]}});
        let now = Now::at("2026-01-01T00:00:30Z".parse().unwrap_or_default());
        let row = columns.row(&Object::from_value(object).unwrap_or_default(), &now);
        assert_eq!(Value::from(row), json!(["a", "True", 3, null, "30s", "x y"]));
        let plain = Columns::read(&[]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(plain.columns.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["Name", "Age"]);
        assert!(Columns::read(&[column("X", "string", ".a[")]).is_err());
    }
}
