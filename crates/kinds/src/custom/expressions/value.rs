//! Values of a custom resource as expressions see them: views of the object's own tree, which look only where an expression
//! looks (upstream: `apiserver/pkg/cel/common/valuesunstructured.go`).

use std::sync::Arc;

use base64::Engine;
use cel::value::{Entries, Error, List, Map, Outcome, Str, Value, json};
use cel::escape;
use schema::structural::{Node, duration};
use serde_json::Value as Json;

use super::{lists, moments, resource};

/// A value by its schema. The error says why it is none of it. `resource`: whether it is an object with kind and metadata,
/// whether the schema says so or not.
pub fn view<'a>(node: &'a Node, resource: bool, value: &'a Json) -> Outcome<'a> {
    let expected = |what: &str| Err(Error::made(format!("invalid data, expected {what}, got {}", go_type(value))));
    match (&*node.word, value) {
        (_, Json::Null) if node.nullable => Ok(Value::Null),
        (_, Json::Null) => Err(Error::fixed("invalid data, got null for schema with nullable=false")),
        ("int-or-string", value) => match (value, value.as_i64()) {
            (Json::String(text), _) => Ok(Value::lent(text)),
            (_, Some(number)) => Ok(Value::Int(number)),
            _ => Err(Error::fixed("invalid data, expected XIntOrString value to be either a string or integer")),
        },
        ("object", Json::Object(map)) => {
            let resource = resource || node.embedded;
            let known = resource::has_properties(node, resource);
            Ok(Value::Map(Map::Tree(Arc::new(Object { node, resource, known, map }))))
        }
        ("object", _) => Err(Error::fixed("invalid data, expected a map for the provided schema with type=object")),
        ("array", Json::Array(list)) => match node.element() {
            Some(_) => Ok(Value::List(List::Tree(lists::view(node, list)))),
            None => Err(Error::fixed("invalid array type, expected Items with a non-empty Schema")),
        },
        ("array", _) => Err(Error::fixed("invalid data, expected an array for the provided schema with type=array")),
        ("string", Json::String(text)) => self::text(node, text),
        ("string", _) => expected("string"),
        ("number", Json::Number(number)) => Ok(Value::Double(number.as_f64().unwrap_or(f64::NAN))),
        ("number", _) => expected("float"),
        ("integer", value) => value.as_i64().map_or_else(|| expected("int"), |number| Ok(Value::Int(number))),
        ("boolean", Json::Bool(flag)) => Ok(Value::Bool(*flag)),
        ("boolean", _) => expected("bool"),
        // Expressions have no name for it.
        _ if node.kept => Ok(json::view(value)),
        (word, _) => Err(Error::made(format!(
            "invalid type, expected object, array, number, integer, boolean or string, or no type with \
             x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields is true, got {word}"
        ))),
    }
}

/// A text by its format.
fn text<'a>(node: &Node, text: &'a str) -> Outcome<'a> {
    let wrong = |what: &str, why: String| Err(Error::made(format!("Invalid {what} {text}: {why}")));
    match &*node.check.format {
        "duration" => match duration(text) {
            Some(nanos) => Ok(Value::Duration(nanos)),
            None => wrong("duration", format!("unable to parse {text} as duration")),
        },
        "date" => moments::date(text).map(Value::Timestamp),
        "date-time" => moments::date_time(text).map(Value::Timestamp),
        "byte" => {
            let plain: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            match base64::engine::general_purpose::STANDARD.decode(plain) {
                Ok(bytes) => Ok(Value::Bytes(bytes.into())),
                Err(why) => {
                    use base64::DecodeError::{InvalidByte, InvalidLastSymbol, InvalidLength, InvalidPadding};
                    let at = match why {
                        InvalidByte(at, _) | InvalidLastSymbol(at, _) => at,
                        InvalidLength(length) => length - length % 4,
                        InvalidPadding => text.len(),
                    };
                    wrong("byte formatted string", format!("illegal base64 data at input byte {at}"))
                }
            }
        }
        _ => Ok(Value::lent(text)),
    }
}

/// What Go calls the type of a value.
fn go_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_i64() => "int64",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

/// A map, or an object with properties.
#[derive(Debug)]
struct Object<'a> {
    node: &'a Node,
    resource: bool,
    /// Whether it has properties; otherwise it is a map.
    known: bool,
    map: &'a serde_json::Map<String, Json>,
}

impl<'a> Object<'a> {
    fn schema(&self, name: &str) -> Option<&'a Node> {
        let schema = if self.known { resource::property(self.node, self.resource, name) } else { self.node.values() };
        schema.map(|node| &**node)
    }

    /// Of an object, null is as good as nothing.
    fn property(&self, name: &str) -> Option<Outcome<'a>> {
        let value = self.map.get(name).filter(|value| !(self.known && value.is_null()))?;
        Some(view(self.schema(name)?, false, value))
    }

    /// An entry of another map; fields have the names that they have in documents.
    fn same(&self, name: &str, value: &'a Json, other: &Map<'a>) -> Result<bool, Error> {
        let Some(schema) = self.schema(name) else {
            // Expressions do not know the field: it is compared as it is. What the other does not have is the same.
            let tree = match other {
                Map::Tree(entries) if entries.strict() => entries.tree(),
                _ => None,
            };
            let tree = tree.ok_or(Error::fixed("no such overload"))?;
            return Ok(tree.get(name).is_none_or(|other| other == value));
        };
        let (own, theirs) = (self.get(name), other.field(name));
        match (own, theirs) {
            (None, None) => Ok(true),
            // Nothing is known of the value but whether it is the same.
            (Some(_), Some(_)) if schema.word.is_empty() => {
                let Map::Tree(entries) = other else { return Ok(false) };
                Ok(entries.tree().and_then(|tree| tree.get(name)).is_some_and(|other| other == value))
            }
            (Some(own), Some(theirs)) => own?.equals(&theirs?),
            _ => Ok(false),
        }
    }
}

impl<'a> Entries<'a> for Object<'a> {
    fn len(&self) -> usize {
        self.map.len()
    }

    fn get(&self, key: &str) -> Option<Outcome<'a>> {
        if self.known && key.contains("__") { self.property(&escape::unescape(key)?) } else { self.property(key) }
    }

    fn keys(&self) -> Vec<Str<'a>> {
        let known = self.map.keys().filter(|name| self.schema(name).is_some());
        let name = |name: &'a String| match escape::escape(name) {
            Some(escaped) if self.known && escaped != **name => Str::Made(escaped.into()),
            _ => Str::Lent(name),
        };
        known.map(name).collect()
    }

    fn equals(&self, other: &Value<'a>) -> Option<Result<bool, Error>> {
        let Value::Map(other) = other else { return Some(Err(Error::fixed("no such overload"))) };
        if self.map.len() != other.len() {
            return Some(Ok(false));
        }
        for (name, value) in self.map {
            match self.same(name, value, other) {
                Ok(true) => {}
                other => return Some(other),
            }
        }
        Some(Ok(true))
    }

    fn tree(&self) -> Option<&'a serde_json::Map<String, Json>> {
        Some(self.map)
    }

    fn strict(&self) -> bool {
        true
    }
}
