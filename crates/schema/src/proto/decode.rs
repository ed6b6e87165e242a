//! From protobuf to a tree: the same tree that decoding the object's JSON gives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meta::{Quantity, limits};
use serde_json::{Map, Number, Value};

use super::plan::Node;
use super::wire::{Reader, Wire};
use crate::decode::{Instant, TOO_DEEP, dropped, zero};
use crate::model::{Kind, Shape, Type, TypeRef};

type Result<T> = std::result::Result<T, String>;

/// Reads the fields of a message into a tree; unknown numbers are skipped. `depth` counts maps and lists from the root
/// of the document, this one included, through everything that is embedded in it: the walk is recursive.
pub fn structure(plan: &[Node], t: &Type, message: &[u8], map: &mut Map<String, Value>, depth: usize) -> Result<()> {
    check(depth)?;
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        let Ok(at) = plan.binary_search_by_key(&number, Node::number) else { continue };
        match &plan[at] {
            Node::Inline(_, inner) => structure(inner, t, wire.bytes()?, map, depth)?,
            Node::Field(_, index) => read_field(t, *index, wire, map, depth)?,
        }
    }
    Ok(())
}

fn check(depth: usize) -> Result<()> {
    if depth > limits::NESTING { Err(format!("proto: {TOO_DEEP}")) } else { Ok(()) }
}

/// `depth` is that of the map.
fn read_field(t: &Type, index: usize, wire: Wire, map: &mut Map<String, Value>, depth: usize) -> Result<()> {
    let field = &t.fields[index];
    let name = field.name.as_ref();
    match &field.shape.kind {
        Kind::List { item, wrapped: false } => {
            let element = read_value(item, wire, depth + 2)?;
            if let Value::Array(list) = map.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                list.push(element);
            }
        }
        Kind::Map { value, .. } => {
            let (key, value) = read_entry(value, wire.bytes()?, depth + 2)?;
            if let Value::Object(entries) = map.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                entries.insert(key, value);
            }
        }
        _ => {
            let value = read_value(&field.shape, wire, depth + 1)?;
            if !value.is_null() && !dropped(field, &value) {
                map.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn read_entry(shape: &Shape, entry: &[u8], depth: usize) -> Result<(String, Value)> {
    let (mut key, mut value) = (String::new(), None);
    let mut reader = Reader::new(entry);
    while let Some((number, wire)) = reader.field()? {
        match number {
            1 => key = wire.text()?,
            2 => value = Some(read_value(shape, wire, depth)?),
            _ => {}
        }
    }
    Ok((key, value.unwrap_or_else(|| zero(shape))))
}

/// `depth` is the one that the value has if it is a map or a list.
fn read_value(shape: &Shape, wire: Wire, depth: usize) -> Result<Value> {
    Ok(match &shape.kind {
        Kind::String => Value::String(wire.text()?),
        Kind::Bool => Value::Bool(wire.integer()? != 0),
        Kind::Int32 => Value::from(wire.integer()? as i32),
        Kind::Int64 | Kind::Int => Value::from(wire.integer()?),
        Kind::Float => Number::from_f64(wire.double()?).map_or(Value::Null, Value::Number),
        Kind::Bytes => Value::String(STANDARD.encode(wire.bytes()?)),
        _ => read_message(shape, wire.bytes()?, depth)?,
    })
}

fn read_message(shape: &Shape, message: &[u8], depth: usize) -> Result<Value> {
    match &shape.kind {
        Kind::Struct(t) => {
            let mut map = Map::new();
            structure(t.get().plan(), t.get(), message, &mut map, depth)?;
            Ok(Value::Object(map))
        }
        Kind::List { item, .. } => {
            check(depth)?;
            let mut list = Vec::new();
            let mut reader = Reader::new(message);
            while let Some((number, wire)) = reader.field()? {
                if number == 1 {
                    list.push(read_value(item, wire, depth + 1)?);
                }
            }
            Ok(Value::Array(list))
        }
        Kind::Time | Kind::MicroTime if message.is_empty() => Ok(Value::Null),
        Kind::Time | Kind::MicroTime => read_time(shape, message),
        Kind::Quantity => read_quantity(message),
        Kind::IntOrString => read_int_or_string(message),
        Kind::Raw | Kind::FieldsV1 | Kind::Json => read_raw(shape, message, depth),
        Kind::SchemaOrArray(t) | Kind::SchemaOrBool(t) | Kind::SchemaOrStrings(t) => {
            read_schema_or(shape, t, message, depth)
        }
        _ => unreachable!("everything else is no message"),
    }
}

fn read_time(shape: &Shape, message: &[u8]) -> Result<Value> {
    let mut at = Instant { seconds: 0, nanos: 0 };
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        match number {
            1 => at.seconds = wire.integer()?,
            2 => at.nanos = u32::try_from(wire.integer()?).unwrap_or(0),
            _ => {}
        }
    }
    Ok(Value::String(if matches!(shape.kind, Kind::Time) { at.print() } else { at.print_micro() }))
}

fn read_quantity(message: &[u8]) -> Result<Value> {
    let mut text = String::new();
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        if number == 1 {
            text = wire.text()?;
        }
    }
    let text = if text.is_empty() { "0" } else { &text };
    match Quantity::parse(text) {
        Ok(quantity) => Ok(Value::String(quantity.to_string())),
        Err(_) => Err(crate::decode::QUANTITY.to_owned()),
    }
}

fn read_int_or_string(message: &[u8]) -> Result<Value> {
    let (mut is_text, mut integer, mut text) = (false, 0, String::new());
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        match number {
            1 => is_text = wire.integer()? == 1,
            2 => integer = wire.integer()? as i32,
            3 => text = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_text { Value::String(text) } else { Value::from(integer) })
}

/// JSON, or for an embedded object also protobuf. Both go on from this depth.
fn read_raw(shape: &Shape, message: &[u8], depth: usize) -> Result<Value> {
    let mut raw: &[u8] = b"";
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        if number == 1 {
            raw = wire.bytes()?;
        }
    }
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    check(depth)?;
    if matches!(shape.kind, Kind::Raw) && raw.starts_with(super::MAGIC) {
        let opened = super::open(raw)?;
        let gvk = meta::Gvk::from_api_version(&opened.api_version, &opened.kind);
        let schema = crate::Schema::builtin(&gvk).ok_or_else(|| format!("no kind {:?} is registered", opened.kind))?;
        return super::read_at(schema.root(), raw, depth).map(Value::Object);
    }
    match crate::decode::tree_within(raw, limits::NESTING + 1 - depth) {
        Ok((value, _)) => Ok(value),
        // Upstream keeps the bytes, and forgets managers whose fields it cannot read: text is no set of fields.
        Err(why) if matches!(shape.kind, Kind::FieldsV1) && !why.ends_with(TOO_DEEP) => Ok(Value::String(String::new())),
        Err(why) => Err(why),
    }
}

fn read_schema_or(shape: &Shape, t: &TypeRef, message: &[u8], depth: usize) -> Result<Value> {
    let schema = Shape::of(Kind::Struct(t.clone()));
    let (mut allows, mut one, mut list) = (None, None, Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        match (&shape.kind, number) {
            (Kind::SchemaOrBool(_), 1) => allows = Some(wire.integer()? != 0),
            (Kind::SchemaOrBool(_), 2) | (_, 1) => one = Some(read_value(&schema, wire, depth)?),
            (Kind::SchemaOrArray(_), 2) => list.push(read_value(&schema, wire, depth + 1)?),
            (_, 2) => list.push(Value::String(wire.text()?)),
            _ => {}
        }
    }
    Ok(match (one, list.is_empty()) {
        (_, false) => Value::Array(list),
        (Some(one), true) => one,
        (None, true) => allows.map_or(Value::Null, Value::Bool),
    })
}
