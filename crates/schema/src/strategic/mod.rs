//! Strategic merge patch: applying one (the server), and finding the one that leads from the state last
//! applied over the wish to the state now (client-side apply). Upstream: `k8s.io/apimachinery`,
//! `pkg/util/strategicpatch`.

mod diff;
mod lists;
mod merge;
mod order;
mod spent;

use serde_json::{Map, Value};

use crate::model::{Field, Kind, Shape, Type};

pub use diff::three_way;

/// A JSON object.
type Tree = Map<String, Value>;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Why a patch cannot be applied; the messages are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Its form is wrong: 400 Bad Request.
    #[error("{0}")]
    Malformed(String),
    /// Its form is right, but not for this object: 422 Unprocessable Entity.
    #[error("{0}")]
    Unprocessable(String),
    /// It does not fit to the schema or the object: upstream answers 500 Internal Server Error.
    #[error("{0}")]
    Unfit(String),
}

/// Applies a patch to an object.
pub fn apply(root: &Type, original: &Tree, patch: &Value) -> Result<Tree, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Malformed("invalid JSON document".to_owned()));
    };
    merge::Merge { applying: true }.maps(original.clone(), patch.clone(), Scope::Type(root))
}

/// The patch as it is after it was applied.
pub fn spent(root: &Type, original: &Tree, patch: &Value) -> Value {
    match patch {
        Value::Object(patch) => Value::Object(spent::spent(Scope::Type(root), original, patch.clone())),
        other => other.clone(),
    }
}

/// What is known of the place where a walk is.
#[derive(Clone, Copy)]
enum Scope<'s> {
    Type(&'s Type),
    Shape(&'s Shape),
    /// Anything may be here.
    Free,
}

/// How one field is patched.
#[derive(Clone, Copy)]
struct Rule<'s> {
    scope: Scope<'s>,
    field: Option<&'s Field>,
}

impl Rule<'_> {
    fn merges(&self) -> bool {
        self.field.is_some_and(Field::merges)
    }

    fn replaces(&self) -> bool {
        self.field.is_some_and(|f| f.patch_strategy.split(',').any(|s| s == "replace"))
    }

    fn retains_keys(&self) -> bool {
        self.field.is_some_and(Field::retains_keys)
    }

    fn merge_key(&self) -> &str {
        self.field.map_or("", |f| f.patch_merge_key.as_ref())
    }
}

impl<'s> Scope<'s> {
    /// The rule for a map or struct under a key.
    fn structure(self, key: &str) -> Result<Rule<'s>, PatchError> {
        let t = match self {
            Scope::Type(t) => t,
            Scope::Free => return Ok(Rule { scope: Scope::Free, field: None }),
            Scope::Shape(shape) => match &shape.kind {
                Kind::Struct(t) => t.get(),
                Kind::Raw | Kind::Json | Kind::FieldsV1 => return Ok(Rule { scope: Scope::Free, field: None }),
                kind => return Err(no_struct(kind)),
            },
        };
        let (_, field) = t.field(key).ok_or_else(|| unknown(&t.go_name, key))?;
        Ok(Rule { scope: Scope::Shape(&field.shape), field: Some(field) })
    }

    /// The rule for a list under a key; its scope is that of the elements.
    fn list(self, key: &str) -> Result<Rule<'s>, PatchError> {
        let rule = self.structure(key)?;
        let scope = match rule.scope {
            Scope::Shape(Shape { kind: Kind::List { item, .. }, .. }) => Scope::Shape(item),
            Scope::Shape(Shape { kind: Kind::Raw | Kind::Json | Kind::FieldsV1, .. }) | Scope::Free => Scope::Free,
            _ => return Err(PatchError::Unfit("expected slice or array type, but got: struct".to_owned())),
        };
        Ok(Rule { scope, ..rule })
    }

    /// What upstream calls it in one error.
    fn name(self) -> &'static str {
        match self {
            Scope::Type(_) | Scope::Shape(Shape { kind: Kind::Struct(_), .. }) => "struct",
            _ => "map",
        }
    }
}

fn unknown(owner: &str, key: &str) -> PatchError {
    PatchError::Unfit(format!("unable to find api field in struct {owner} for the json field {key:?}"))
}

/// Upstream merges nothing below a map.
fn no_struct(kind: &Kind) -> PatchError {
    let kind = match kind {
        Kind::Map { .. } => "map",
        Kind::List { .. } | Kind::Bytes => "slice",
        Kind::String => "string",
        Kind::Bool => "bool",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        _ => "struct",
    };
    PatchError::Unfit(format!("merging an object in json but data type is not struct, instead is: {kind}"))
}

fn bad_argument(expected: &str, actual: &Value) -> PatchError {
    PatchError::Unfit(format!("expected a {expected}, but received a {}", go_type(actual)))
}

fn no_merge_key(element: &Tree, key: &str) -> PatchError {
    PatchError::Unfit(format!("map: {} does not contain declared merge key: {key}", printed_map(element)))
}

/// The Go type of a decoded JSON value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%v` prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(s) => s.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => printed_map(map),
        scalar => scalar.to_string(),
    }
}

fn printed_map(map: &Tree) -> String {
    let entries: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", printed(v))).collect();
    format!("map[{}]", entries.join(" "))
}
