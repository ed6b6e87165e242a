//! Maps and objects: the caller's, the program's, made on the way.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Key, Str, Value};

/// A map with text keys, or an object with fields, of the caller's.
pub trait Entries<'a>: fmt::Debug + Send + Sync {
    /// How many entries there are.
    fn len(&self) -> usize;

    /// The value under a key; for objects the key is a field's name as expressions write it. Errors are what computing
    /// the value gives.
    fn get(&self, key: &str) -> Option<super::Outcome<'a>>;

    /// All keys.
    fn keys(&self) -> Vec<Str<'a>>;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of its type, if it is an object.
    fn object(&self) -> Option<&str> {
        None
    }

    /// Whether it is the same as what it is compared with, where that is another question than whether both are maps of the
    /// same entries; none where it is that question.
    fn equals(&self, _other: &Value<'a>) -> Option<Result<bool, super::Error>> {
        None
    }

    /// The tree behind it, with entries that expressions cannot see.
    fn tree(&self) -> Option<&'a serde_json::Map<String, serde_json::Value>> {
        None
    }

    /// Whether it is a fault to look for a key that is no text: upstream's views of what has a schema say so.
    fn strict(&self) -> bool {
        false
    }
}

/// Entries made on the way, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Pairs<'a> {
    pairs: Vec<(Value<'a>, Value<'a>)>,
    places: HashMap<Key, usize>,
    pub(super) object: Option<Arc<str>>,
}

impl<'a> Pairs<'a> {
    /// Puts a value under a key; the last one stays.
    pub fn insert(&mut self, key: Value<'a>, value: Value<'a>) {
        match Key::of(&key) {
            Some(name) => match self.places.get(&name) {
                Some(place) => self.pairs[*place].1 = value,
                None => {
                    self.places.insert(name, self.pairs.len());
                    self.pairs.push((key, value));
                }
            },
            None => self.pairs.push((key, value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &Value<'a>) {
        let Some(place) = Key::of(key).and_then(|key| self.places.remove(&key)) else { return };
        self.pairs.remove(place);
        self.places.values_mut().filter(|other| **other > place).for_each(|other| *other -= 1);
    }

    /// The value under a key.
    pub fn get(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        // Few keys are compared faster than hashed, and without a copy.
        if self.pairs.len() <= 8
            && let Value::String(text) = key
        {
            let is = |(key, _): &&(Value<'a>, Value<'a>)| matches!(key, Value::String(other) if **other == **text);
            return self.pairs.iter().find(is).map(|(_, value)| value);
        }
        self.places.get(&Key::of(key)?).map(|place| &self.pairs[*place].1)
    }
}

/// A map, or an object with fields.
#[derive(Clone, Debug)]
pub enum Map<'a> {
    /// The program's.
    Lent(&'a Pairs<'static>),
    /// Made on the way.
    Own(Arc<Pairs<'a>>),
    /// The caller's.
    Tree(Arc<dyn Entries<'a> + 'a>),
}

impl<'a> Map<'a> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Map::Lent(pairs) => pairs.pairs.len(),
            Map::Own(pairs) => pairs.pairs.len(),
            Map::Tree(entries) => entries.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value under a key.
    pub fn get(&self, key: &Value<'_>) -> Option<super::Outcome<'a>> {
        match (self, key) {
            (Map::Lent(pairs), key) => pairs.get(key).map(|value| Ok(value.lend())),
            (Map::Own(pairs), key) => pairs.get(key).cloned().map(Ok),
            (Map::Tree(entries), Value::String(key)) => entries.get(key),
            (Map::Tree(entries), _) => entries.strict().then_some(Err(super::Error::NO_OVERLOAD)),
        }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<super::Outcome<'a>> {
        match self {
            Map::Tree(entries) => entries.get(name),
            other => other.get(&Value::String(Str::Lent(name))),
        }
    }

    /// All keys.
    pub fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Map::Lent(pairs) => pairs.pairs.iter().map(|(key, _)| key.lend()).collect(),
            Map::Own(pairs) => pairs.pairs.iter().map(|(key, _)| key.clone()).collect(),
            Map::Tree(entries) => entries.keys().into_iter().map(Value::String).collect(),
        }
    }

    /// All entries; values that cannot be computed are left out.
    pub fn entries(&self) -> Vec<(Value<'a>, Value<'a>)> {
        match self {
            Map::Lent(pairs) => pairs.pairs.iter().map(|(key, value)| (key.lend(), value.lend())).collect(),
            Map::Own(pairs) => pairs.pairs.clone(),
            Map::Tree(entries) => {
                let value = |key: Str<'a>| {
                    let value = entries.get(&key)?.ok()?;
                    Some((Value::String(key), value))
                };
                entries.keys().into_iter().filter_map(value).collect()
            }
        }
    }

    /// The name of its type, if it is an object.
    pub fn object(&self) -> Option<&str> {
        match self {
            Map::Lent(pairs) => pairs.object.as_deref(),
            Map::Own(pairs) => pairs.object.as_deref(),
            Map::Tree(entries) => entries.object(),
        }
    }
}

impl Map<'static> {
    pub(super) fn lend<'a>(&'a self) -> Map<'a> {
        match self {
            Map::Lent(pairs) => Map::Lent(pairs),
            Map::Own(pairs) => Map::Lent(pairs),
            // Constants are never views.
            Map::Tree(_) => Map::Own(Arc::default()),
        }
    }

    pub(super) fn shorten<'a>(&self, shorten: fn(Value<'static>) -> Value<'a>) -> Map<'a> {
        let mut pairs = Pairs { object: self.object().map(Into::into), ..Pairs::default() };
        for (key, value) in self.entries() {
            pairs.insert(shorten(key), shorten(value));
        }
        Map::Own(Arc::new(pairs))
    }
}
