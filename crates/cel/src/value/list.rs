//! Lists: the caller's, the program's, made on the way, and two put together without a copy.

use std::fmt;
use std::sync::Arc;

use super::{Error, Outcome, Value};

/// A list of the caller's.
pub trait Items<'a>: fmt::Debug + Send + Sync {
    /// How many items there are.
    fn len(&self) -> usize;

    /// An item; none behind the last. Errors are why it is no value of its type.
    fn get(&self, index: usize) -> Option<Outcome<'a>>;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is the same as what it is compared with, where that is another question than whether both are lists of the
    /// same items in the same order; none where it is that question.
    fn equals(&self, _other: &Value<'a>) -> Option<Result<bool, Error>> {
        None
    }

    /// The tree behind it.
    fn tree(&self) -> Option<&'a [serde_json::Value]> {
        None
    }

    /// What comes out when another list is added, where that is no concatenation; none where it is one.
    fn plus(&self, _other: &List<'a>) -> Option<Outcome<'a>> {
        None
    }
}

/// A list.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// The program's.
    Lent(&'a [Value<'static>]),
    /// Made on the way.
    Own(Arc<Vec<Value<'a>>>),
    /// One behind the other, and how many items they have.
    Both(Arc<(List<'a>, List<'a>)>, usize),
    /// The caller's.
    Tree(Arc<dyn Items<'a> + 'a>),
}

impl<'a> List<'a> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            List::Lent(items) => items.len(),
            List::Own(items) => items.len(),
            List::Both(_, len) => *len,
            List::Tree(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An item, or why it is no value; none behind the last.
    pub fn at(&self, index: usize) -> Option<Outcome<'a>> {
        match self {
            List::Lent(items) => items.get(index).map(|item| Ok(item.lend())),
            List::Own(items) => items.get(index).cloned().map(Ok),
            List::Both(both, _) => match index.checked_sub(both.0.len()) {
                Some(behind) => both.1.at(behind),
                None => both.0.at(index),
            },
            List::Tree(items) => items.get(index),
        }
    }

    /// An item; none behind the last. What is no value is null.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.at(index).map(|item| item.unwrap_or(Value::Null))
    }

    /// The items.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).map_while(|index| self.get(index))
    }

    /// This list and another.
    pub fn plus(&self, other: &List<'a>) -> Outcome<'a> {
        if let List::Tree(items) = self
            && let Some(outcome) = items.plus(other)
        {
            return outcome;
        }
        Ok(Value::List(match (self.is_empty(), other.is_empty()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            _ => List::Both(Arc::new((self.clone(), other.clone())), self.len() + other.len()),
        }))
    }

    /// Whether it has an item that is equal to this.
    pub fn contains(&self, value: &Value<'a>) -> bool {
        self.iter().any(|item| value.equals(&item) == Ok(true))
    }

    /// The position that a value means.
    pub fn position(index: &Value<'_>) -> Result<i64, Error> {
        let unsupported = || Error::made(format!("unsupported index value {} in list", index.shown()));
        match index {
            Value::Int(index) => Ok(*index),
            Value::Uint(index) => i64::try_from(*index).map_err(|_| unsupported()),
            Value::Double(index) if index.fract() == 0.0 && index.abs() < 9.2e18 => Ok(*index as i64),
            Value::Double(_) => Err(unsupported()),
            other => Err(Error::made(format!("unsupported index type '{}' in list", other.type_name()))),
        }
    }
}

impl List<'static> {
    pub(super) fn lend<'a>(&'a self) -> List<'a> {
        match self {
            List::Lent(items) => List::Lent(items),
            List::Own(items) => List::Lent(items),
            other => List::Own(Arc::new((0..other.len()).filter_map(|index| other.get(index)).map(shorten).collect())),
        }
    }
}

/// A constant that nobody keeps, as a value of a shorter life.
fn shorten<'a>(value: Value<'static>) -> Value<'a> {
    use super::Str;
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(value),
        Value::Int(value) => Value::Int(value),
        Value::Uint(value) => Value::Uint(value),
        Value::Double(value) => Value::Double(value),
        Value::String(Str::Lent(text)) => Value::lent(text),
        Value::String(Str::Made(text)) => Value::text(text),
        Value::Bytes(bytes) => Value::Bytes(bytes),
        Value::Duration(nanos) => Value::Duration(nanos),
        Value::Timestamp(moment) => Value::Timestamp(moment),
        Value::List(list) => Value::list(list.iter().map(shorten).collect()),
        Value::Map(map) => Value::Map(map.shorten(shorten)),
        Value::Type(of) => Value::Type(of),
        Value::Optional(held) => Value::Optional(held.map(|held| Arc::new(shorten((*held).clone())))),
        Value::Opaque(value) => Value::Opaque(value),
    }
}
