//! Encoding in upstream's field order, byte for byte what Go's `encoding/json` prints of the struct:
//! HTML characters escaped, map keys sorted, empty fields left out unless the struct prints them.

use std::io::Write;

use serde_json::{Map, Number, Value};

use crate::decode::dropped;
use crate::model::{Field, Kind, Others, Shape, Type};

/// Writes a `FieldsV1`. Items of lists stand in the order of their keys' values: port 80 before port 443
/// (upstream: `fieldpath.PathElement.Compare`).
pub(crate) fn field_set(value: &Value, out: &mut Vec<u8>) {
    let mut writer = Writer { out: std::mem::take(out), splice: false, sorted: false, revision_at: None };
    writer.field_set(value);
    *out = writer.out;
}

/// How deep a field's value is: 1 is the metadata of the object alone.
fn below(name: &str, depth: usize) -> usize {
    if depth == 0 && name != "metadata" { 2 } else { depth + 1 }
}

/// What a step of a `FieldsV1` is ordered by among those of its sort.
fn rank(step: &str) -> Vec<(Option<f64>, String)> {
    let keys: Map<String, Value> = step.get(2..).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    keys.values().map(|value| (value.as_f64(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Encodes a part of a document.
pub fn part(shape: &Shape, value: &Value) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), splice: false, sorted: false, revision_at: None };
    writer.value(shape, true, Some(value), 1);
    writer.out
}

/// Writes one document.
pub struct Writer {
    out: Vec<u8>,
    /// Whether the keys of structs are sorted, as upstream has it of what it keeps as a tree.
    sorted: bool,
    /// Whether the revision is left open, and where.
    splice: bool,
    revision_at: Option<usize>,
}

impl Writer {
    /// Encodes an object; see [`crate::Schema::encode`] for `splice`.
    pub fn encode(root: &Type, object: &Map<String, Value>, splice: bool) -> (Vec<u8>, Option<usize>) {
        let mut writer = Writer { out: Vec::with_capacity(1024), splice, sorted: root.structural, revision_at: None };
        writer.structure(root, Some(object), 0);
        (writer.out, writer.revision_at)
    }

    fn structure(&mut self, t: &Type, map: Option<&Map<String, Value>>, depth: usize) {
        self.out.push(b'{');
        let mut first = true;
        if t.structural {
            map.into_iter().flatten().for_each(|(name, value)| self.open_field(t, name, value, depth, &mut first));
        } else if self.sorted {
            t.sorted().for_each(|field| self.field(field, map, depth, &mut first));
        } else {
            t.fields.iter().for_each(|field| self.field(field, map, depth, &mut first));
        }
        self.out.push(b'}');
    }

    fn field(&mut self, field: &Field, map: Option<&Map<String, Value>>, depth: usize, first: &mut bool) {
        let value = map.and_then(|m| m.get(field.name.as_ref())).filter(|v| !v.is_null());
        // The revision of an object, not of an object embedded in it.
        let revision = self.splice && depth == 1 && field.name == "resourceVersion";
        if !revision && !printed(field, value) {
            return;
        }
        self.next_key(&field.name, first);
        if revision {
            self.out.extend_from_slice(b"\"\"");
            self.revision_at = Some(self.out.len() - 1);
        } else {
            self.value(&field.shape, field.pointer, value, below(&field.name, depth));
        }
    }

    /// One entry of a map that a structural schema describes: whatever is there is printed.
    fn open_field(&mut self, t: &Type, name: &str, value: &Value, depth: usize, first: &mut bool) {
        self.next_key(name, first);
        match (t.field(name), &t.others) {
            _ if value.is_null() => self.any(value),
            (Some((_, field)), _) => self.value(&field.shape, true, Some(value), below(name, depth)),
            (None, Others::Each(shape)) => self.value(shape, true, Some(value), below(name, depth)),
            (None, _) => self.any(value),
        }
    }

    fn next_key(&mut self, name: &str, first: &mut bool) {
        if !*first {
            self.out.push(b',');
        }
        *first = false;
        self.key(name);
    }

    fn key(&mut self, name: &str) {
        self.string(name);
        self.out.push(b':');
    }

    fn value(&mut self, shape: &Shape, pointer: bool, value: Option<&Value>, depth: usize) {
        let Some(value) = value else { return self.absent(shape, pointer, depth) };
        match (&shape.kind, value) {
            (Kind::Struct(t), Value::Object(map)) => self.structure(t.get(), Some(map), depth),
            (Kind::List { item, .. }, Value::Array(list)) => self.list(item, list, depth),
            (Kind::Map { value: shape, .. }, Value::Object(map)) => {
                self.out.push(b'{');
                for (i, (key, value)) in map.iter().enumerate() {
                    self.comma(i);
                    self.key(key);
                    self.value(shape, false, Some(value), depth + 1);
                }
                self.out.push(b'}');
            }
            (Kind::SchemaOrArray(t) | Kind::SchemaOrBool(t) | Kind::SchemaOrStrings(t), Value::Object(map)) => {
                self.structure(t.get(), Some(map), depth);
            }
            (Kind::FieldsV1, value) if !self.sorted => field_set(value, &mut self.out),
            (Kind::SchemaOrArray(t), Value::Array(list)) => {
                self.list(&Shape::of(Kind::Struct(t.clone())), list, depth);
            }
            _ => self.any(value),
        }
    }

    fn list(&mut self, item: &Shape, list: &[Value], depth: usize) {
        self.out.push(b'[');
        for (i, value) in list.iter().enumerate() {
            self.comma(i);
            let value = Some(value).filter(|v| !v.is_null() || item.node.is_some());
            self.value(item, false, value, depth + 1);
        }
        self.out.push(b']');
    }

    /// What Go prints of a field that was never set.
    fn absent(&mut self, shape: &Shape, pointer: bool, depth: usize) {
        match &shape.kind {
            _ if pointer => self.out.extend_from_slice(b"null"),
            Kind::Struct(t) => self.structure(t.get(), None, depth),
            Kind::String => self.out.extend_from_slice(b"\"\""),
            Kind::Quantity => self.out.extend_from_slice(b"\"0\""),
            Kind::Bool => self.out.extend_from_slice(b"false"),
            Kind::Int32 | Kind::Int64 | Kind::Int | Kind::Float | Kind::IntOrString => self.out.push(b'0'),
            _ => self.out.extend_from_slice(b"null"),
        }
    }

    fn field_set(&mut self, value: &Value) {
        let Value::Object(map) = value else { return self.any(value) };
        let numbered = |step: &&String| step.starts_with("k:{") && step.contains(|c: char| c.is_ascii_digit());
        let mut steps: Vec<(&String, &Value)> = map.iter().collect();
        if map.keys().filter(numbered).count() > 1 {
            let (mut items, others): (Vec<_>, Vec<_>) = steps.into_iter().partition(|(step, _)| step.starts_with("k:"));
            items.sort_by(|(a, _), (b, _)| rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal));
            let after = others.iter().position(|(step, _)| step.as_str() > "k:").unwrap_or(others.len());
            steps = [&others[..after], &items, &others[after..]].concat();
        }
        self.out.push(b'{');
        for (i, (step, below)) in steps.into_iter().enumerate() {
            self.comma(i);
            self.key(step);
            self.field_set(below);
        }
        self.out.push(b'}');
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(b',');
        }
    }

    fn any(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(b) => self.out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Number(n) => number(&mut self.out, n),
            Value::String(s) => self.string(s),
            Value::Array(list) => {
                self.out.push(b'[');
                for (i, item) in list.iter().enumerate() {
                    self.comma(i);
                    self.any(item);
                }
                self.out.push(b']');
            }
            Value::Object(map) => {
                self.out.push(b'{');
                for (i, (key, item)) in map.iter().enumerate() {
                    self.comma(i);
                    self.key(key);
                    self.any(item);
                }
                self.out.push(b'}');
            }
        }
    }

    fn string(&mut self, text: &str) {
        string(&mut self.out, text);
    }
}

/// Any tree as Go prints it: keys sorted, whole doubles as integers.
pub fn plain(value: &Value) -> Vec<u8> {
    let mut writer = Writer { out: Vec::with_capacity(1024), splice: false, sorted: false, revision_at: None };
    writer.any(value);
    writer.out
}

/// Whether Go prints a field with this value.
fn printed(field: &Field, value: Option<&Value>) -> bool {
    match value {
        Some(value) => !dropped(field, value),
        // A struct that is no pointer is never empty for Go.
        None if field.omitzero || field.pointer => !field.omitempty && !field.omitzero,
        None => !field.omitempty || matches!(field.shape.kind, Kind::Struct(_) | Kind::Time | Kind::MicroTime | Kind::IntOrString | Kind::Quantity | Kind::Raw),
    }
}

/// Appends a JSON string, escaped as Go does for HTML.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if PLAIN[usize::from(byte)] {
            at += 1;
            continue;
        }
        if byte == 0xe2 {
            // U+2028 and U+2029 end lines in JavaScript.
            if let [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] = bytes[at..] {
                out.extend_from_slice(&bytes[start..at]);
                out.extend_from_slice(if last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                at += 3;
                start = at;
            } else {
                at += 1;
            }
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        escape(out, byte);
        at += 1;
        start = at;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Bytes that are printed as they are.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut i = 0;
    while i < 0x20 {
        plain[i] = false;
        i += 1;
    }
    let special = [b'"', b'\\', b'<', b'>', b'&', 0xe2];
    let mut i = 0;
    while i < special.len() {
        plain[special[i] as usize] = false;
        i += 1;
    }
    plain
};

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            return out.extend_from_slice(&digits);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends a number as Go prints it.
fn number(out: &mut Vec<u8>, number: &Number) {
    if let Some(integer) = number.as_i64() {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if let Some(integer) = number.as_u64() {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else {
        float(out, number.as_f64().unwrap_or(0.0));
    }
}

/// Go prints a double without an exponent between 1e-6 and 1e21.
fn float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let written = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once("e-") {
            Some((digits, exponent)) => write!(out, "{digits}e-{exponent}"),
            None => write!(out, "{}", text.replace('e', "e+")),
        }
    } else {
        write!(out, "{value}")
    };
    if written.is_err() {
        unreachable!("a Vec takes every write");
    }
}
