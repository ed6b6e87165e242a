//! Values without fields: numbers, times, quantities, bytes; and values of a wrong type.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use meta::Quantity;
use serde_json::{Number, Value};

use super::path::Path;
use super::scan;
use super::time;
use super::{Step, Walk, type_error, word};
use crate::model::{Kind, Shape};

/// Go's decoder does not look at the unused bits of the last symbol.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Upstream's refusal of a quantity.
pub const QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Why a value was refused.
enum Refusal {
    /// Of another type; Go goes on and reports the first such error.
    Mismatch(String),
    /// By the decoder of the type; Go stops.
    Fatal(String),
    /// Anything else that Go goes on after.
    Other(String),
}

impl Walk<'_> {
    /// Go also takes a list of numbers for bytes.
    pub(super) fn byte_list(&mut self, path: &Path) -> Step<Option<Value>> {
        let list = self.cursor.any(path, &mut |_, _| {})?;
        let mut bytes = Vec::new();
        for element in list.as_array().into_iter().flatten() {
            match element.as_u64().map(u8::try_from) {
                Some(Ok(byte)) => bytes.push(byte),
                _ if element.is_null() => bytes.push(0),
                _ => {
                    let number = if element.is_number() { format!("number {element}") } else { word(element).to_owned() };
                    self.mismatch(path, &number, "uint8");
                }
            }
        }
        Ok(Some(Value::String(BASE64.encode(bytes))))
    }

    pub(super) fn scalar(&mut self, shape: &Shape, path: &Path) -> Step<Option<Value>> {
        let result = match self.cursor.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let literal = self.cursor.number()?;
                number(shape, literal, path)
            }
            Some(b'"') => {
                let text = self.cursor.string()?;
                string(shape, text, path)
            }
            _ => {
                let value = self.cursor.any(path, &mut |_, _| {})?;
                other(shape, value, path)
            }
        };
        Ok(match result {
            Ok(value) => Some(value),
            Err(Refusal::Mismatch(value)) => {
                self.mismatch(path, &value, &shape.go_type());
                None
            }
            Err(Refusal::Fatal(message)) => {
                self.fatal.get_or_insert(message);
                None
            }
            Err(Refusal::Other(message)) => {
                self.error.get_or_insert(message);
                None
            }
        })
    }
}

fn number(shape: &Shape, literal: &str, path: &Path) -> Result<Value, Refusal> {
    let mismatch = || Err(Refusal::Mismatch(format!("number {literal}")));
    match shape.kind {
        Kind::Int32 => literal.parse::<i32>().map_or_else(|_| mismatch(), |n| Ok(Value::from(n))),
        Kind::Int64 | Kind::Int => literal.parse::<i64>().map_or_else(|_| mismatch(), |n| Ok(Value::from(n))),
        Kind::Float => match literal.parse::<f64>().ok().filter(|f| f.is_finite()).and_then(Number::from_f64) {
            Some(number) => Ok(Value::Number(number)),
            None => mismatch(),
        },
        Kind::IntOrString => literal
            .parse::<i32>()
            .map(Value::from)
            .map_err(|_| Refusal::Fatal(type_error(path, &format!("number {literal}"), "int32"))),
        Kind::Quantity => quantity(literal),
        Kind::Time | Kind::MicroTime => Err(Refusal::Fatal(type_error(path, "number", "string"))),
        Kind::Raw | Kind::FieldsV1 => scan::number(literal).map_or_else(mismatch, |number| Ok(Value::Number(number))),
        _ => Err(Refusal::Mismatch("number".to_owned())),
    }
}

fn string(shape: &Shape, text: String, _: &Path) -> Result<Value, Refusal> {
    match shape.kind {
        Kind::Bytes => bytes(text),
        Kind::Time => time::normal_time(&text).map(Value::from).map_err(Refusal::Fatal),
        Kind::MicroTime => time::normal_micro_time(&text).map(Value::from).map_err(Refusal::Fatal),
        Kind::Quantity => quantity(&text),
        Kind::IntOrString | Kind::Raw | Kind::FieldsV1 => Ok(Value::String(text)),
        _ => Err(Refusal::Mismatch("string".to_owned())),
    }
}

fn other(shape: &Shape, value: Value, path: &Path) -> Result<Value, Refusal> {
    let name = word(&value);
    match shape.kind {
        Kind::Raw | Kind::FieldsV1 => Ok(value),
        Kind::SchemaOrBool(_) if value.is_boolean() => Ok(value),
        Kind::SchemaOrArray(_) | Kind::SchemaOrBool(_) | Kind::SchemaOrStrings(_) => Err(Refusal::Fatal(
            if matches!(shape.kind, Kind::SchemaOrBool(_)) { "boolean or JSON schema expected" } else { "JSON schema or array expected" }
                .to_owned(),
        )),
        Kind::IntOrString => Err(Refusal::Fatal(type_error(path, name, "int32"))),
        Kind::Time | Kind::MicroTime => Err(Refusal::Fatal(type_error(path, name, "string"))),
        Kind::Quantity => Err(Refusal::Fatal(QUANTITY.to_owned())),
        _ => Err(Refusal::Mismatch(name.to_owned())),
    }
}

fn quantity(text: &str) -> Result<Value, Refusal> {
    let short = text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if short && !text.ends_with("000") && !text.is_empty() {
        return Ok(Value::String(text.to_owned()));
    }
    match Quantity::printed(text.trim()) {
        Ok(text) => Ok(Value::String(text)),
        Err(error) => Err(Refusal::Fatal(error.to_string())),
    }
}

fn bytes(mut text: String) -> Result<Value, Refusal> {
    if text.contains(['\r', '\n']) {
        text.retain(|c| c != '\r' && c != '\n');
    }
    match BASE64.decode(&text) {
        Ok(raw) if raw.len() % 3 == 0 => Ok(Value::String(text)),
        // The unused bits of the last symbol are zero when Go prints it.
        Ok(raw) => Ok(Value::String(BASE64.encode(raw))),
        Err(error) => {
            let padded = text.find('=').map(|at| at.div_ceil(4) * 4).filter(|end| text.len() > *end && text.as_bytes()[..*end].ends_with(b"="));
            let at = match error {
                // What comes after the padding is wrong, not the padding.
                base64::DecodeError::InvalidByte(at, b'=') if padded.is_some() => padded.unwrap_or(at),
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => text.len() - text.len() % 4,
            };
            Err(Refusal::Other(format!("illegal base64 data at input byte {at}")))
        }
    }
}
