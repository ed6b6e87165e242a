//! Keys of maps: numbers of all types that are equal are one key.

use super::{Str, Value};

/// A key that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A bool.
    Bool(bool),
    /// A whole number, of whatever type.
    Int(i128),
    /// A number that is not whole, by its bits.
    Double(u64),
    /// Text.
    String(String),
}

impl Key {
    /// The key that a value is; none for what is found in no map.
    pub fn of(value: &Value<'_>) -> Option<Key> {
        match value {
            Value::Bool(value) => Some(Key::Bool(*value)),
            Value::Int(value) => Some(Key::Int(i128::from(*value))),
            Value::Uint(value) => Some(Key::Int(i128::from(*value))),
            Value::Double(value) if value.fract() == 0.0 && value.abs() < 1.9e19 => Some(Key::Int(*value as i128)),
            Value::Double(value) if value.is_nan() => None,
            Value::Double(value) => Some(Key::Double(value.to_bits())),
            Value::String(Str::Lent(text)) => Some(Key::String((*text).to_owned())),
            Value::String(Str::Made(text)) => Some(Key::String(text.to_string())),
            _ => None,
        }
    }
}
