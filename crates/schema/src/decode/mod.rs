//! Decoding, guided by the fields of a type: one pass that drops and reports what is unknown, reports
//! what is said twice, and checks types as Go's decoder does.
//!
//! What it leaves behind is what Go would print of the decoded struct, except that structs which are
//! absent but always printed are not made up (encoding does that): null and empty values of fields that
//! are left out when empty are gone, so that equal trees mean equal objects.

mod convert;
mod open;
mod path;
mod scalar;
mod scan;
mod text;
mod time;
mod yaml;

use std::collections::BTreeSet;

use meta::{field, limits};
use serde_json::{Map, Value};

use crate::model::{Field, Kind, Shape, Type};
use path::Path;

pub use convert::fit;
pub use open::tree as open;
pub use scalar::QUANTITY;
pub use scan::{Cursor, Syntax, TOO_DEEP};
pub use time::Instant;
pub use yaml::{documents as yaml_documents, to_json as yaml_to_json};

/// Upstream keeps no more strict errors than this.
const MAX_STRICT: usize = 100;

/// The decoded root and the unknown and duplicate fields; or a message.
pub type Outcome = Result<(Map<String, Value>, Vec<String>), String>;

/// Decodes a JSON document of the given type.
pub fn json(root: &Type, bytes: &[u8]) -> Outcome {
    let (read, strict) = json_once(root, bytes);
    // Upstream reads a custom resource as a tree, in which what came last is all there is, and looks at it then.
    if root.structural && strict.first().is_some_and(|first| first.starts_with("duplicate field ")) {
        let (tree, mut strict) = tree_within(bytes, limits::NESTING)?;
        let (read, unknown) = json_once(root, tree.to_string().as_bytes());
        strict.extend(unknown);
        return Ok((read?, strict));
    }
    Ok((read?, strict))
}

/// What was read, and what was odd.
fn json_once(root: &Type, bytes: &[u8]) -> (Result<Map<String, Value>, String>, Vec<String>) {
    let mut walk = Walk::new(bytes, limits::NESTING);
    walk.rooted = root.structural;
    let read = walk.document(root).map_err(|Syntax(message)| {
        // Upstream finds a broken document when it looks for the kind.
        format!("couldn't get version/kind; json parse error: {message}")
    });
    let wrong = walk.fatal.take().or(walk.error.take()).or_else(|| walk.coerced.take().map(|error| error.to_string()));
    (read.and_then(|map| wrong.map_or(Ok(map), Err)), walk.found())
}

/// Any JSON document as a tree, and the fields that it has twice; the error is Go's. It may have an object in it that
/// is as deep as objects may be.
pub fn tree(bytes: &[u8]) -> Result<(Value, Vec<String>), String> {
    tree_within(bytes, limits::NESTING_AROUND)
}

/// The same of a document of at most that depth.
pub fn tree_within(bytes: &[u8], nesting: usize) -> Result<(Value, Vec<String>), String> {
    let mut cursor = Cursor::new(bytes, nesting);
    let mut strict = Vec::new();
    let mut report = |at: &Path, key: &str| push_strict(&mut strict, "duplicate field", &at.strict(key));
    let read = cursor.any(&Path::root(), &mut report).and_then(|value| cursor.end().map(|()| value));
    read.map(|value| (value, strict)).map_err(|Syntax(message)| message)
}

/// The tree of bytes that were stored. Older versions let in what is deeper than readers of JSON usually go.
pub fn stored(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).or_else(|_| Ok(tree_within(bytes, limits::NESTING_STORED)?.0))
}

/// What Go says of a document whose `apiVersion` or `kind` it cannot read, which it looks for first.
pub fn kind_error(bytes: &[u8]) -> Option<String> {
    const FIELDS: &str = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    let (tree, _) = tree(bytes).ok()?;
    let Value::Object(fields) = &tree else {
        let is = word(&tree);
        return (!tree.is_null()).then(|| format!("json: cannot unmarshal {is} into Go value of type {FIELDS}"));
    };
    let text_or_null = |value: &Value| value.is_string() || value.is_null();
    let of = |name: &'static str| Some((name, fields.get(name).filter(|value| !text_or_null(value))?));
    let wrong = of("apiVersion").or_else(|| of("kind"));
    wrong.map(|(name, value)| format!("json: cannot unmarshal {} into Go struct field .{name} of type string", word(value)))
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    strict: Vec<String>,
    /// The first value of a wrong type.
    error: Option<String>,
    /// The first value that its own decoder refused; upstream stops there, and reports it alone.
    fatal: Option<String>,
    /// Unknown fields of a custom resource, which upstream finds after it has read the document.
    unknown: open::Unknown,
    /// What is wrong with the kind or the metadata of an object within a custom resource.
    coerced: Option<field::Error>,
    /// Whether the document is a custom resource, whose own metadata is looked at first.
    rooted: bool,
    /// Where the root is, for errors.
    prefix: field::Path,
    /// Whether null stays also where it is no value: in defaults.
    keeps_null: bool,
    /// Whether what is wrong with the kind or the metadata of an object is dropped instead of refused: in defaults.
    drops: bool,
}

type Step<T> = Result<T, Syntax>;

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], nesting: usize) -> Walk<'a> {
        Walk {
            cursor: Cursor::new(bytes, nesting),
            strict: Vec::new(),
            error: None,
            fatal: None,
            unknown: open::Unknown::default(),
            coerced: None,
            rooted: false,
            prefix: field::Path::default(),
            keeps_null: false,
            drops: false,
        }
    }

    fn document(&mut self, root: &Type) -> Step<Map<String, Value>> {
        let path = Path::root();
        let map = match self.cursor.peek() {
            Some(b'{') => self.object(root, &path, &mut None)?,
            Some(b'n') => {
                self.cursor.word("null")?;
                Map::new()
            }
            _ => {
                let value = self.cursor.any(&path, &mut |_, _| {})?;
                self.mismatch(&path, word(&value), &root_type(root));
                Map::new()
            }
        };
        self.cursor.end()?;
        Ok(map)
    }

    /// `before` is what the document has said here already: Go's decoder goes on in the struct that is there.
    fn object(&mut self, owner: &Type, path: &Path, before: &mut Option<Value>) -> Step<Map<String, Value>> {
        let goes_on = before.is_some();
        let mut map = match before.take() {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let mut seen = Seen::default();
        let mut first = true;
        self.cursor.open()?;
        while let Some(key) = self.cursor.key(first)? {
            first = false;
            let Some((index, field)) = owner.field(&key) else {
                self.other(owner, key, path, &mut seen, &mut map)?;
                continue;
            };
            let again = seen.again(index);
            if again {
                self.report("duplicate field", &path.strict(&key));
            }
            let before = if again || goes_on { map.remove(&key) } else { None };
            if owner.structural {
                if let Some(value) = self.open_field(owner, field, path)? {
                    map.insert(key, value);
                }
                continue;
            }
            let mut before = before.filter(|_| !self.rooted);
            let none = self.cursor.peek() == Some(b'n');
            let value = match self.value(&field.shape, &path.field(owner, field), &mut before)? {
                Some(value) => Some(value),
                None if none && (field.pointer || field.shape.kind.ends_with_null()) => None,
                // Its own decoder makes a number of it.
                None if none && matches!(field.shape.kind, Kind::IntOrString) => before.filter(Value::is_number),
                None => before,
            };
            if let Some(value) = value.filter(|value| !value.is_null() && !dropped(field, value)) {
                map.insert(key, value);
            }
        }
        Ok(map)
    }

    /// A value; `None` for null and for a value of a wrong type. Of what was said before, it takes what it goes on in.
    fn value(&mut self, shape: &Shape, path: &Path, before: &mut Option<Value>) -> Step<Option<Value>> {
        let next = self.cursor.peek();
        if let Some(node) = shape.open() {
            return self.open(node, path).map(Some);
        }
        match (&shape.kind, next) {
            (_, Some(b'n')) => self.cursor.word("null").map(|()| None),
            (Kind::Struct(t), Some(b'{')) => self.object(t.get(), path, before).map(|map| Some(Value::Object(map))),
            (Kind::Map { value, .. }, Some(b'{')) => self.map(value, path, before).map(Some),
            (Kind::List { item, .. }, Some(b'[')) => self.list(item, path, before).map(Some),
            (Kind::Bytes, Some(b'[')) => self.byte_list(path),
            (Kind::String, Some(b'"')) => self.cursor.string().map(|s| Some(Value::String(s))),
            (Kind::Bool, Some(b't')) => self.cursor.word("true").map(|()| Some(Value::Bool(true))),
            (Kind::Bool, Some(b'f')) => self.cursor.word("false").map(|()| Some(Value::Bool(false))),
            (Kind::Json, _) => {
                let strict = &mut self.strict;
                let mut report = |at: &Path, key: &str| push_strict(strict, "duplicate field", &at.strict(key));
                self.cursor.any(path, &mut report).map(Some)
            }
            (Kind::SchemaOrArray(_) | Kind::SchemaOrBool(_) | Kind::SchemaOrStrings(_), Some(b'{' | b'[')) => {
                self.schema_or(shape, path)
            }
            (_, Some(b'{' | b'[' | b'"' | b't' | b'f' | b'-' | b'0'..=b'9')) => self.scalar(shape, path),
            _ => self.cursor.unexpected("looking for beginning of value"),
        }
    }

    /// Keys are added to those that were there, their values are new.
    fn map(&mut self, shape: &Shape, path: &Path, before: &mut Option<Value>) -> Step<Value> {
        let goes_on = before.is_some();
        let mut map = match before.take() {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        // Of this time, where there was another: what was there is not looked through.
        let mut seen = BTreeSet::new();
        let mut first = true;
        self.cursor.open()?;
        while let Some(key) = self.cursor.key(first)? {
            first = false;
            let again = if goes_on { !seen.insert(key.clone()) } else { map.contains_key(&key) };
            if again {
                self.report("duplicate field", &path.strict(&key));
            }
            let value = self.value(shape, &path.key(&key), &mut None)?;
            map.insert(key, value.unwrap_or_else(|| zero(shape)));
        }
        Ok(Value::Object(map))
    }

    /// Go's decoder goes on in the elements that were there, and lets go of those beyond the new end. (Should the list come
    /// a third time, and be longer again, Go finds those where they lay; here they are gone.)
    fn list(&mut self, shape: &Shape, path: &Path, before: &mut Option<Value>) -> Step<Value> {
        let old = match before.take() {
            Some(Value::Array(old)) => old,
            _ => Vec::new(),
        };
        let (mut old, mut list) = (old.into_iter(), Vec::new());
        self.cursor.open()?;
        while self.cursor.element(list.is_empty())? {
            let (mut before, none) = (old.next(), self.cursor.peek() == Some(b'n'));
            let value = self.value(shape, &path.index(list.len()), &mut before)?;
            let left = before.filter(|_| !(none && shape.kind.ends_with_null()));
            list.push(value.or(left).unwrap_or_else(|| zero(shape)));
        }
        Ok(Value::Array(list))
    }

    /// The unions of JSON schemas have decoders of their own upstream, which are not strict.
    fn schema_or(&mut self, shape: &Shape, path: &Path) -> Step<Option<Value>> {
        let strict = self.strict.len();
        let object = self.cursor.peek() == Some(b'{');
        let value = match &shape.kind {
            Kind::SchemaOrArray(t) | Kind::SchemaOrBool(t) | Kind::SchemaOrStrings(t) if object => {
                Some(Value::Object(self.object(t.get(), path, &mut None)?))
            }
            Kind::SchemaOrArray(t) => Some(self.list(&Shape::of(Kind::Struct(t.clone())), path, &mut None)?),
            Kind::SchemaOrStrings(_) => Some(self.list(&Shape::of(Kind::String), path, &mut None)?),
            _ => self.scalar(shape, path)?,
        };
        self.strict.truncate(strict);
        Ok(value)
    }

    fn report(&mut self, what: &str, path: &str) {
        push_strict(&mut self.strict, what, path);
    }

    fn mismatch(&mut self, path: &Path, value: &str, go_type: &str) {
        if self.error.is_none() {
            self.error = Some(type_error(path, value, go_type));
        }
    }
}

fn push_strict(strict: &mut Vec<String>, what: &str, path: &str) {
    let message = format!("{what} {path:?}");
    if strict.len() < MAX_STRICT && !strict.contains(&message) {
        strict.push(message);
    }
}

fn type_error(path: &Path, value: &str, go_type: &str) -> String {
    let field = path.go_field();
    if field.is_empty() {
        format!("json: cannot unmarshal {value} into Go value of type {go_type}")
    } else {
        format!("json: cannot unmarshal {value} into Go struct field {field} of type {go_type}")
    }
}

fn root_type(root: &Type) -> String {
    let package = root.name.rsplit('.').nth(1).unwrap_or_default();
    format!("{package}.{}", root.go_name)
}

/// What Go calls a JSON value in its errors.
pub fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether Go leaves the field out when it prints this value.
pub fn dropped(field: &Field, value: &Value) -> bool {
    if field.pointer || !field.omitempty {
        return false;
    }
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty() && matches!(field.shape.kind, Kind::Map { .. }),
        Value::Number(n) => {
            let integer = matches!(field.shape.kind, Kind::Int32 | Kind::Int64 | Kind::Int | Kind::Float);
            integer && n.as_f64() == Some(0.0)
        }
    }
}

/// The zero value, which null becomes inside of lists and maps.
pub fn zero(shape: &Shape) -> Value {
    match &shape.kind {
        Kind::String | Kind::Bytes => Value::String(String::new()),
        Kind::Quantity => Value::String("0".to_owned()),
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::Int | Kind::Float | Kind::IntOrString => Value::from(0),
        Kind::Struct(_) => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

/// Which fields of an object were there already.
#[derive(Default)]
struct Seen {
    low: u64,
    high: BTreeSet<usize>,
    /// Keys that are no fields.
    others: BTreeSet<String>,
}

impl Seen {
    fn again(&mut self, index: usize) -> bool {
        if index >= 64 {
            return !self.high.insert(index);
        }
        let bit = 1 << index;
        let again = self.low & bit != 0;
        self.low |= bit;
        again
    }
}
