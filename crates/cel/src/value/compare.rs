//! Equality and order (upstream: cel-go `common/types`): numbers compare across types, all else only with its like.

use std::cmp::Ordering;

use super::{Error, List, Map, Value};

const NAN: Error = Error::fixed("NaN values cannot be ordered");

impl<'a> Value<'a> {
    /// Whether both are the same; errors where some cannot be compared.
    pub fn equals(&self, other: &Value<'a>) -> Result<bool, Error> {
        Ok(match (self, other) {
            (Value::Null, other) => matches!(other, Value::Null),
            (_, Value::Null) => false,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::String(a), Value::String(b)) => **a == **b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) => a.instant() == b.instant(),
            (Value::Type(a), Value::Type(b)) => a.name() == b.name(),
            (Value::Optional(a), Value::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => return a.equals(b),
                (a, b) => a.is_none() && b.is_none(),
            },
            (Value::Opaque(a), Value::Opaque(b)) => return a.equals(&**b).ok_or(Error::NO_OVERLOAD),
            (Value::Opaque(_), _) => return Err(Error::NO_OVERLOAD),
            (Value::List(List::Tree(items)), other) if let Some(same) = items.equals(other) => return same,
            (Value::Map(Map::Tree(entries)), other) if let Some(same) = entries.equals(other) => return same,
            (Value::List(a), Value::List(b)) => return lists(a, b),
            (Value::Map(a), Value::Map(b)) => return maps(a, b),
            (a, b) => match (Number::of(a), Number::of(b)) {
                (Some(a), Some(b)) => a.order(b) == Some(Ordering::Equal),
                _ => false,
            },
        })
    }

    /// Which comes first; errors where there is no order.
    pub fn order(&self, other: &Value<'a>) -> Result<Ordering, Error> {
        Ok(match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => (**a).cmp(&**b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.instant().cmp(&b.instant()),
            (a, b) => match (Number::of(a), Number::of(b)) {
                (Some(a), Some(b)) => a.order(b).ok_or(NAN)?,
                _ => return Err(Error::NO_OVERLOAD),
            },
        })
    }

    /// Whether it has an order with its like.
    pub fn is_comparable(&self) -> bool {
        matches!(
            self,
            Value::Bool(_)
                | Value::Int(_)
                | Value::Uint(_)
                | Value::Double(_)
                | Value::String(_)
                | Value::Bytes(_)
                | Value::Duration(_)
                | Value::Timestamp(_)
        )
    }
}

/// A number of any type.
#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Double(f64),
}

impl Number {
    fn of(value: &Value<'_>) -> Option<Number> {
        match value {
            Value::Int(value) => Some(Number::Whole(i128::from(*value))),
            Value::Uint(value) => Some(Number::Whole(i128::from(*value))),
            Value::Double(value) => Some(Number::Double(*value)),
            _ => None,
        }
    }

    fn order(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
            (Number::Double(a), Number::Double(b)) => a.partial_cmp(&b),
            (Number::Whole(a), Number::Double(b)) => mixed(a, b),
            (Number::Double(a), Number::Whole(b)) => mixed(b, a).map(Ordering::reverse),
        }
    }
}

/// Doubles beyond all whole numbers of 64 bits come before or behind them, others are compared as doubles.
fn mixed(whole: i128, double: f64) -> Option<Ordering> {
    (whole as f64).partial_cmp(&double)
}

fn lists<'a>(one: &List<'a>, other: &List<'a>) -> Result<bool, Error> {
    if one.len() != other.len() {
        return Ok(false);
    }
    // What cannot be compared is no difference, unless the list was put together from others.
    let mut error = None;
    for (a, b) in one.iter().zip(other.iter()) {
        match a.equals(&b) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(e) => error = error.or(Some(e)),
        }
    }
    match error {
        Some(error) if matches!(one, List::Both(..)) => Err(error),
        _ => Ok(true),
    }
}

fn maps<'a>(one: &Map<'a>, other: &Map<'a>) -> Result<bool, Error> {
    if one.len() != other.len() || one.object() != other.object() {
        return Ok(false);
    }
    for (key, value) in one.entries() {
        let Some(Ok(that)) = other.get(&key) else { return Ok(false) };
        if value.equals(&that)? {
            continue;
        }
        return Ok(false);
    }
    Ok(true)
}
