//! What makes a configuration unfit to be applied: values of another sort than their fields, unknown fields, items
//! that cannot be told apart. In upstream's words (`structured-merge-diff/typed/validate.go`), which are shown to
//! whoever applied it.

use std::collections::BTreeSet;

use schema::{Field, Kind, Others, Shape, Type};
use serde_json::{Map, Value};

use super::set::Step;
use super::walk::{Form, key_default};
use crate::write::shown::{go_syntax, go_tree};

/// Everything that is wrong with a configuration, as one text.
pub(super) fn flaw(root: &Type, config: &Value) -> Option<String> {
    let mut found = Flaws::default();
    found.structure(root, config, "");
    match &found.0[..] {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// What was found, each with its path.
#[derive(Default)]
struct Flaws(Vec<String>);

impl Flaws {
    fn add(&mut self, path: &str, why: impl std::fmt::Display) {
        self.0.push(if path.is_empty() { why.to_string() } else { format!("{path}: {why}") });
    }

    /// Whether the fields of a map can be looked at. Null is a map of nothing.
    fn map<'v>(&mut self, value: &'v Value, path: &str) -> Option<&'v Map<String, Value>> {
        if !value.is_object() && !value.is_null() {
            self.add(path, format_args!("expected map, got {}", printed(value)));
        }
        value.as_object()
    }

    fn structure(&mut self, t: &Type, value: &Value, path: &str) {
        let Some(map) = self.map(value, path) else { return };
        // An object of which no field is known is free.
        let free = t.fields.is_empty();
        for (name, value) in map {
            let path = format!("{path}.{name}");
            match t.field(name) {
                Some((_, field)) => self.value(&field.shape, Form::of_field(field), value, &path),
                None if free => {}
                None => match &t.others {
                    Others::Kept => {}
                    Others::Each(shape) => self.value(shape, Form::of(shape), value, &path),
                    Others::Unknown => return self.add(&path, "field not declared in schema"),
                },
            }
        }
    }

    fn value(&mut self, shape: &Shape, form: Form<'_>, value: &Value, path: &str) {
        match &shape.kind {
            Kind::Struct(t) => self.structure(t.get(), value, path),
            Kind::Map { value: of, .. } => {
                for (name, value) in self.map(value, path).into_iter().flatten() {
                    self.value(of, Form::of(of), value, &format!("{path}.{name}"));
                }
            }
            Kind::List { item, .. } => self.list(item, form, value, path),
            Kind::FieldsV1 => drop(self.map(value, path)),
            kind => {
                if let Some(why) = scalar(kind, value) {
                    self.add(path, why);
                }
            }
        }
    }

    fn list(&mut self, of: &Shape, form: Form<'_>, value: &Value, path: &str) {
        let Value::Array(items) = value else {
            if !value.is_null() {
                self.add(path, format_args!("expected list, got {}", printed(value)));
            }
            return;
        };
        let mut seen: BTreeSet<Step> = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let step = match form {
                Form::Items(..) | Form::Values => {
                    if let Some(why) = odd(form, item) {
                        return self.add(path, format_args!("element {at}: {why}"));
                    }
                    let step = form.step(item);
                    let shown = step.to_string();
                    if !seen.insert(step) {
                        self.add(path, format_args!("duplicate entries for key {shown}"));
                    }
                    shown
                }
                _ => format!("[{at}]"),
            };
            self.value(of, Form::of(of), item, &format!("{path}{step}"));
        }
    }
}

/// Why a value is none of a scalar type. Null is one of every type.
fn scalar(kind: &Kind, value: &Value) -> Option<String> {
    let composite = value.is_object() || value.is_array();
    match kind {
        _ if value.is_null() => None,
        Kind::String | Kind::Bytes => {
            (!value.is_string()).then(|| format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value)))
        }
        Kind::Bool => (!value.is_boolean()).then(|| format!("expected boolean, got {}", printed(value))),
        Kind::Int32 | Kind::Int64 | Kind::Int | Kind::Float => {
            (!value.is_number()).then(|| format!("expected numeric (int or float), got {}", go_type(value)))
        }
        Kind::Time | Kind::MicroTime | Kind::Quantity => {
            composite.then(|| format!("expected any scalar, got {}", printed(value)))
        }
        _ => None,
    }
}

/// The value as Go prints what upstream keeps it in.
fn printed(value: &Value) -> String {
    format!("&{{{}}}", go_tree(value))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::Null => "<nil>",
    }
}

/// Whether an item can be told from others.
fn has_key(field: &Field, shape: &Shape, item: &Value) -> bool {
    let known = |key: &str| Some(shape.fields()?.field(key)?.1);
    let default = |key: &str| known(key).is_some_and(|field| key_default(field).is_some());
    field.map_keys.iter().any(|key| item.get(&**key).is_some() || default(key))
}

/// Why an item can be none of a list whose items are told apart.
fn odd(form: Form<'_>, item: &Value) -> Option<String> {
    let why = match (form, item) {
        (Form::Items(..), Value::Null) => "associative list with keys may not have a null element",
        (Form::Items(field, shape), Value::Object(_)) => {
            let keys: Vec<String> = field.map_keys.iter().map(|key| format!("{key:?}")).collect();
            return (!has_key(field, shape, item)).then(|| {
                let keys = keys.join(" ");
                format!(
                    "associative list with keys has an element that omits all key fields [{keys}] (and doesn't have default \
                     values for any key fields)"
                )
            });
        }
        (Form::Items(..), _) => "associative list with keys may not have non-map elements",
        (Form::Values, Value::Object(_)) => "associative list without keys has an element that's a map type",
        (Form::Values, Value::Array(_)) => "not supported: associative list with lists as elements",
        (Form::Values, Value::Null) => "associative list without keys has an element that's an explicit null",
        _ => return None,
    };
    Some(why.to_owned())
}

#[cfg(test)]
mod tests {
    use meta::Gvk;
    use schema::Schema;
    use serde_json::json;

    use super::*;

    fn of_pod(spec: Value) -> String {
        let schema = Schema::builtin(&Gvk::new("", "v1", "Pod")).expect("there");
        flaw(schema.root(), &json!({"metadata": {"name": "p"}, "spec": spec})).unwrap_or_default()
    }

    #[test]
    fn values_of_another_sort_are_shown_as_go_prints_them() {
        assert_eq!(of_pod(json!({"priority": "1"})), ".spec.priority: expected numeric (int or float), got string");
        assert_eq!(of_pod(json!({"hostname": {"a": [1]}})),
            r#".spec.hostname: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"a":[]interface {}{1}}}"#);
        assert_eq!(of_pod(json!({"hostNetwork": ["a"]})), ".spec.hostNetwork: expected boolean, got &{[a]}");
        assert_eq!(of_pod(json!({"containers": {"a": 1}})), ".spec.containers: expected list, got &{map[a:1]}");
        assert_eq!(of_pod(json!({"overhead": {"cpu": []}})), ".spec.overhead.cpu: expected any scalar, got &{[]}");
        assert_eq!(of_pod(json!({"hostname": null, "containers": null, "priority": 0.5})), "");
    }

    #[test]
    fn items_are_named_by_their_keys() {
        let container = |name: &str, value: Value| json!({"name": "c", name: value});
        assert_eq!(of_pod(json!({"containers": [container("x", json!(1))]})), r#".spec.containers[name="c"].x: field not declared in schema"#);
        assert_eq!(of_pod(json!({"tolerations": [{"key": 5}]})), ".spec.tolerations[0].key: expected string, got &value.valueUnstructured{Value:5}");
        let twice = json!({"containers": [{"name": "c"}, container("args", json!("a"))]});
        assert_eq!(of_pod(twice), "errors:\n  .spec.containers: duplicate entries for key [name=\"c\"]\n  .spec.containers[name=\"c\"].args: expected list, got &{a}");
        let keys = "element 0: associative list with keys has an element that omits all key fields [\"name\"] (and doesn't have default values for any key fields)";
        let account = Schema::builtin(&Gvk::new("", "v1", "ServiceAccount")).expect("there");
        assert_eq!(flaw(account.root(), &json!({"secrets": [{}]})), Some(format!(".secrets: {keys}")));
        assert_eq!(of_pod(json!({"containers": [{}]})), "", "the schema has a default");
    }
}
