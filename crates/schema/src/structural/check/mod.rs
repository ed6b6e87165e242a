//! What a schema demands of values (upstream: `kube-openapi/pkg/validation/validate`, a fork of go-openapi's), with its words.
//!
//! It is a tree of its own beside the model: below `allOf`, `anyOf`, `oneOf` and `not` there are demands on fields that the
//! model has once.

mod formats;
mod number;
mod old;
mod outcome;
mod plain;
mod run;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use meta::field::{Errors, Path};
use meta::limits;
use serde_json::Value;

use super::props::{self, Props};
use super::DEPTH;

pub use formats::{duration, is_known as is_known_format};
pub use old::Old;
use text::Pattern;

/// The demands of one schema.
#[derive(Debug, Default)]
pub struct Check {
    types: Vec<String>,
    nullable: bool,
    /// `format`; empty: none that anybody looks at.
    pub format: String,
    maximum: Option<Bound>,
    minimum: Option<Bound>,
    multiple_of: Option<f64>,
    /// `maxLength`, in characters.
    pub max_length: Option<i64>,
    min_length: Option<i64>,
    pattern: Option<Pattern>,
    /// `maxItems`.
    pub max_items: Option<i64>,
    min_items: Option<i64>,
    unique_items: bool,
    /// `maxProperties`.
    pub max_properties: Option<i64>,
    min_properties: Option<i64>,
    /// `required`.
    pub required: Vec<String>,
    /// `enum`; empty: any value.
    pub values: Vec<Value>,
    all_of: Vec<Check>,
    any_of: Vec<Check>,
    one_of: Vec<Check>,
    not: Option<Box<Check>>,
    pub(super) items: Option<Arc<Check>>,
    pub(super) properties: BTreeMap<String, Arc<Check>>,
    /// Whether other fields are allowed, and what they are.
    pub(super) additional: Option<(bool, Option<Arc<Check>>)>,
    /// The keys of a list that is a map, by which new and old elements are matched.
    map_keys: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    at: f64,
    exclusive: bool,
}

/// Which formats count. Objects are held to those that upstream has a list of; defaults to all that its library knows, and
/// for a default a number or a text is of no type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub enum Formats {
    OfObjects,
    OfDefaults,
}

impl Check {
    /// Reads the demands of a schema, and of all below it; or why it cannot be a structural schema.
    pub fn read(schema: &Props, formats: Formats) -> Result<Arc<Check>, String> {
        Ok(Arc::new(Reader { formats, left: limits::SCHEMAS }.read(schema, 0, false)?))
    }

    /// What is wrong with a value, or with a change of one: what was wrong already and did not change is let be (upstream's
    /// `CRDValidationRatcheting`).
    pub fn validate(&self, path: &Path, new: &Value, old: Option<&Value>) -> Errors {
        run::validate(self, path, new, old)
    }
}

struct Reader {
    formats: Formats,
    left: usize,
}

impl Reader {
    /// `nested`: below alternatives and the like, where upstream does not hold defaults to `additionalProperties`.
    fn read(&mut self, schema: &Props, depth: usize, nested: bool) -> Result<Check, String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| format!("has more than {} schemas", limits::SCHEMAS))?;
        if depth > DEPTH {
            return Err(format!("is nested more than {DEPTH} deep"));
        }
        props::supported(schema)?;
        let mut check = self.plain(schema);
        for (name, into) in [("allOf", &mut check.all_of), ("anyOf", &mut check.any_of), ("oneOf", &mut check.one_of)] {
            *into = props::list(schema, name).map(|below| self.read(below, depth + 1, true)).collect::<Result<_, _>>()?;
        }
        if let Some(below) = props::schema(schema, "not") {
            check.not = Some(Box::new(self.read(below, depth + 1, true)?));
        }
        match schema.get("items") {
            Some(Value::Array(list)) if !list.is_empty() => {
                return Err("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
            }
            Some(Value::Object(below)) => check.items = Some(Arc::new(self.read(below, depth + 1, nested)?)),
            _ => {}
        }
        for (name, below) in props::map(schema, "properties") {
            check.properties.insert(name.clone(), Arc::new(self.read(below, depth + 1, nested)?));
        }
        check.additional = match schema.get("additionalProperties") {
            _ if nested && self.formats == Formats::OfDefaults => None,
            Some(Value::Object(below)) => Some((true, Some(Arc::new(self.read(below, depth + 1, nested)?)))),
            Some(Value::Bool(allows)) => Some((*allows, None)),
            _ => None,
        };
        Ok(check)
    }

    fn plain(&self, schema: &Props) -> Check {
        let number = |name: &str| schema.get(name).and_then(Value::as_f64);
        let count = |name: &str| schema.get(name).and_then(Value::as_i64);
        let bound = |name: &str, exclusive: &str| {
            number(name).map(|at| Bound { at, exclusive: props::flag(schema, exclusive) })
        };
        let either = props::flag(schema, "x-kubernetes-int-or-string");
        let types: Vec<String> = match (props::text(schema, "type"), either && self.formats == Formats::OfObjects) {
            (_, true) => vec!["integer".to_owned(), "string".to_owned()],
            ("", false) => Vec::new(),
            (word, false) => vec![word.to_owned()],
        };
        let format = props::text(schema, "format");
        let counts = self.formats == Formats::OfDefaults || formats::is_known(&types, format);
        let pattern = props::text(schema, "pattern");
        let keyed = props::text(schema, "type") == "array" && props::text(schema, "x-kubernetes-list-type") == "map";
        Check {
            format: if counts { format.to_owned() } else { String::new() },
            types,
            nullable: props::flag(schema, "nullable"),
            maximum: bound("maximum", "exclusiveMaximum"),
            minimum: bound("minimum", "exclusiveMinimum"),
            multiple_of: number("multipleOf"),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            pattern: (!pattern.is_empty()).then(|| Pattern::new(pattern)),
            max_items: count("maxItems"),
            min_items: count("minItems"),
            unique_items: props::flag(schema, "uniqueItems"),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            required: props::texts(schema, "required").map(str::to_owned).collect(),
            values: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            map_keys: keyed.then(|| props::texts(schema, "x-kubernetes-list-map-keys").map(str::to_owned).collect()),
            ..Check::default()
        }
    }
}
