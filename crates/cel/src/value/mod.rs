//! Values at run time: scalars, constants of the program, and views of the caller's own trees.

mod compare;
mod error;
pub mod json;
mod key;
mod list;
mod map;
mod show;
pub mod time;

pub use error::{Error, Fault};
pub use key::Key;
pub use list::{Items, List};
pub use map::{Entries, Map, Pairs};
pub use show::general;
pub(crate) use show::{fixed, scientific};
pub use time::Timestamp;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::types::Type;

/// Text: the caller's, the program's or made on the way.
#[derive(Clone, Debug)]
pub enum Str<'a> {
    /// Somebody else's.
    Lent(&'a str),
    /// Made on the way.
    Made(Arc<str>),
}

impl std::ops::Deref for Str<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Str::Lent(text) => text,
            Str::Made(text) => text,
        }
    }
}

/// What only functions look into: `quantity('1')`, `ip('::1')`.
pub trait Opaque: Any + fmt::Debug + Send + Sync {
    /// The name of its type.
    fn type_name(&self) -> &'static str;
    /// The same as another; none where the two cannot be compared.
    fn equals(&self, other: &dyn Opaque) -> Option<bool>;
    /// What its cost depends on.
    fn size(&self) -> Option<u64> {
        None
    }
    /// For looking into it.
    fn any(&self) -> &dyn Any;
    /// As it is shown in messages.
    fn show(&self) -> String {
        String::new()
    }
}

/// A value. Cloning one copies at most a pointer.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number with a sign.
    Int(i64),
    /// A number without.
    Uint(u64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    String(Str<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    /// A moment.
    Timestamp(Timestamp),
    /// A list.
    List(List<'a>),
    /// A map, or an object with fields.
    Map(Map<'a>),
    /// A type.
    Type(Arc<Type>),
    /// Perhaps a value.
    Optional(Option<Arc<Value<'a>>>),
    /// What only functions look into.
    Opaque(Arc<dyn Opaque>),
}

/// What evaluating gives.
pub type Outcome<'a> = Result<Value<'a>, Error>;

impl<'a> Value<'a> {
    /// Text made on the way.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Value::String(Str::Made(text.into()))
    }

    /// Text of somebody else.
    pub fn lent(text: &'a str) -> Self {
        Value::String(Str::Lent(text))
    }

    /// A list made on the way.
    pub fn list(items: Vec<Value<'a>>) -> Self {
        Value::List(List::Own(Arc::new(items)))
    }

    /// A value that is there.
    pub fn some(value: Value<'a>) -> Self {
        Value::Optional(Some(Arc::new(value)))
    }

    /// What only functions look into.
    pub fn opaque(value: impl Opaque) -> Self {
        Value::Opaque(Arc::new(value))
    }

    /// Its type at run time, without parameters.
    pub fn type_of(&self) -> Type {
        match self {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Uint(_) => Type::Uint,
            Value::Double(_) => Type::Double,
            Value::String(_) => Type::String,
            Value::Bytes(_) => Type::Bytes,
            Value::Duration(_) => Type::Duration,
            Value::Timestamp(_) => Type::Timestamp,
            Value::List(_) => Type::list(Type::Dyn),
            Value::Map(map) => map.object().map_or_else(|| Type::map(Type::Dyn, Type::Dyn), Type::object),
            Value::Type(_) => Type::Type(None),
            Value::Optional(_) => Type::optional(Type::Dyn),
            Value::Opaque(value) => Type::Struct(value.type_name().into()),
        }
    }

    /// The name of its type at run time.
    pub fn type_name(&self) -> String {
        self.type_of().name().to_owned()
    }

    /// What costs depend on: characters, bytes, items, entries; 1 for all else.
    pub fn size(&self) -> u64 {
        match self {
            Value::String(text) => text.chars().count() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::List(list) => list.len() as u64,
            Value::Map(map) => map.len() as u64,
            Value::Optional(Some(value)) => value.size(),
            Value::Opaque(value) => value.size().unwrap_or(1),
            _ => 1,
        }
    }

    /// Whether it is what its type begins with: nothing, zero, empty.
    pub fn is_zero(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Int(value) => *value == 0,
            Value::Uint(value) => *value == 0,
            Value::Double(value) => *value == 0.0,
            Value::String(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Duration(nanos) => *nanos == 0,
            Value::Timestamp(moment) => moment.is_zero(),
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Type(_) | Value::Optional(_) | Value::Opaque(_) => false,
        }
    }

    /// What is looked into, if it is that.
    pub fn as_opaque<T: 'static>(&self) -> Option<&T> {
        match self {
            Value::Opaque(value) => value.any().downcast_ref(),
            _ => None,
        }
    }
}

impl Value<'static> {
    /// A constant, as a value of a shorter life.
    pub(crate) fn lend<'a>(&'a self) -> Value<'a> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Int(value) => Value::Int(*value),
            Value::Uint(value) => Value::Uint(*value),
            Value::Double(value) => Value::Double(*value),
            Value::String(text) => Value::String(Str::Lent(text)),
            Value::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Value::Duration(nanos) => Value::Duration(*nanos),
            Value::Timestamp(moment) => Value::Timestamp(*moment),
            Value::List(list) => Value::List(list.lend()),
            Value::Map(map) => Value::Map(map.lend()),
            Value::Type(of) => Value::Type(of.clone()),
            Value::Optional(held) => Value::Optional(held.as_ref().map(|held| Arc::new(held.lend()))),
            Value::Opaque(value) => Value::Opaque(value.clone()),
        }
    }
}

/// An object that an expression makes.
pub fn object<'a>(name: &str, fields: Vec<(String, Value<'a>)>) -> Value<'a> {
    let mut pairs = Pairs::default();
    for (field, value) in fields {
        pairs.insert(Value::text(field), value);
    }
    pairs.object = Some(name.into());
    Value::Map(Map::Own(Arc::new(pairs)))
}
