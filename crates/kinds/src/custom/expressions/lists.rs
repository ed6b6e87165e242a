//! Lists as expressions see them. Sets and maps are the same in any order, and none of their elements comes twice when two of
//! them are put together (upstream: `unstructuredList`, `unstructuredSetList`, `unstructuredMapList`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cel::value::{Error, Items, List, Map, Outcome, Str, Value};
use schema::ListType;
use schema::structural::Node;
use serde_json::Value as Json;

use super::value;

/// A list by its schema.
pub fn view<'a>(node: &'a Node, list: &'a [Json]) -> Arc<dyn Items<'a> + 'a> {
    match node.list_type {
        Some(ListType::Set | ListType::Map) => Arc::new(Keyed { node, elements: Elements::Tree(list) }),
        _ => Arc::new(Plain { node, list }),
    }
}

const NO_OVERLOAD: Error = Error::fixed("no such overload");

/// An element by the schema of the list.
fn element<'a>(list: &'a Node, value: &'a Json) -> Outcome<'a> {
    match list.element() {
        Some(node) => value::view(node, false, value),
        None => Err(NO_OVERLOAD),
    }
}

/// A list whose order counts.
#[derive(Debug)]
struct Plain<'a> {
    node: &'a Node,
    list: &'a [Json],
}

impl<'a> Items<'a> for Plain<'a> {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn get(&self, index: usize) -> Option<Outcome<'a>> {
        self.list.get(index).map(|value| element(self.node, value))
    }

    fn tree(&self) -> Option<&'a [Json]> {
        Some(self.list)
    }

    fn equals(&self, other: &Value<'a>) -> Option<Result<bool, Error>> {
        let Value::List(other) = other else { return Some(Err(NO_OVERLOAD)) };
        if self.list.len() != other.len() {
            return Some(Ok(false));
        }
        let same = |index| match (self.get(index), other.at(index)) {
            (Some(own), Some(theirs)) => own?.equals(&theirs?),
            _ => Ok(false),
        };
        Some((0..self.list.len()).map(same).find(|same| *same != Ok(true)).unwrap_or(Ok(true)))
    }
}

/// An element: the object's own, or one that an expression has put there.
#[derive(Clone, Debug)]
enum Element<'a> {
    Tree(&'a Json),
    Made(Value<'a>),
}

impl<'a> Element<'a> {
    fn view(&self, list: &'a Node) -> Outcome<'a> {
        match self {
            Element::Tree(value) => element(list, value),
            Element::Made(value) => Ok(value.clone()),
        }
    }
}

/// The elements of a list.
#[derive(Debug)]
enum Elements<'a> {
    Tree(&'a [Json]),
    Mixed(Vec<Element<'a>>),
}

/// What upstream takes elements of sets, and keys of elements, by: Go's own values, of which `1` and `1.0` are two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(u64),
    Text(Cow<'a, str>),
    All(Vec<Key<'a>>),
    /// A list or an object as JSON. Upstream falls over sets of such.
    Tree(String),
    /// Nothing that anything could be equal to: the place of the element.
    Own(usize),
}

impl<'a> Key<'a> {
    fn of_tree(value: &'a Json, at: usize, in_set: bool) -> Key<'a> {
        match value {
            Json::Null => Key::Null,
            Json::Bool(flag) => Key::Bool(*flag),
            Json::String(text) => Key::Text(Cow::Borrowed(text)),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Key::Int(number),
                None => Key::Double(number.as_f64().unwrap_or(f64::NAN).to_bits()),
            },
            Json::Array(_) | Json::Object(_) if in_set => Key::Tree(value.to_string()),
            Json::Array(_) | Json::Object(_) => Key::Own(at),
        }
    }

    fn of_value(value: &Value<'a>, at: usize) -> Key<'a> {
        match value {
            Value::Bool(flag) => Key::Bool(*flag),
            Value::Int(number) => Key::Int(*number),
            Value::Uint(number) => Key::Uint(*number),
            Value::Double(number) => Key::Double(number.to_bits()),
            Value::String(Str::Lent(text)) => Key::Text(Cow::Borrowed(text)),
            Value::String(Str::Made(text)) => Key::Text(Cow::Owned(text.to_string())),
            Value::Map(Map::Tree(entries)) => entries.tree().map_or(Key::Own(at), |tree| Key::Tree(Json::Object(tree.clone()).to_string())),
            Value::List(List::Tree(items)) => items.tree().map_or(Key::Own(at), |tree| Key::Tree(Json::Array(tree.to_vec()).to_string())),
            _ => Key::Own(at),
        }
    }
}

/// A set, or a map.
#[derive(Debug)]
struct Keyed<'a> {
    node: &'a Node,
    elements: Elements<'a>,
}

impl<'a> Keyed<'a> {
    fn at(&self, index: usize) -> Option<Element<'a>> {
        match &self.elements {
            Elements::Tree(list) => list.get(index).map(Element::Tree),
            Elements::Mixed(list) => list.get(index).cloned(),
        }
    }

    fn all(&self) -> impl Iterator<Item = Element<'a>> + '_ {
        (0..self.len()).map_while(|index| self.at(index))
    }

    fn is_map(&self) -> bool {
        self.node.list_type == Some(ListType::Map)
    }

    /// The key of an element of a map. Upstream looks for keys by the names that expressions have for them.
    fn map_key(&self, tree: Option<&'a serde_json::Map<String, Json>>, at: usize) -> Key<'a> {
        let Some(tree) = tree else { return Key::Own(at) };
        let of = |name: &str| {
            let name = cel::escape::escape(name).unwrap_or_else(|| name.to_owned());
            tree.get(&name).map_or(Key::Null, |value| Key::of_tree(value, at, false))
        };
        Key::All(self.node.map_keys.iter().map(|name| of(name)).collect())
    }

    fn key(&self, element: &Element<'a>, at: usize) -> Key<'a> {
        match element {
            Element::Tree(value) if self.is_map() => self.map_key((*value).as_object(), at),
            Element::Tree(value) => Key::of_tree(value, at, true),
            Element::Made(value) => self.key_of(value, at),
        }
    }

    /// The key of what an expression has. It never is that of an element which has none.
    fn key_of(&self, value: &Value<'a>, at: usize) -> Key<'a> {
        match value {
            Value::Map(Map::Tree(entries)) if self.is_map() => self.map_key(entries.tree(), at),
            _ if self.is_map() => Key::Own(at),
            value => Key::of_value(value, at),
        }
    }

    /// Places by keys; the last one of a key counts.
    fn places(&self) -> HashMap<Key<'a>, usize> {
        self.all().enumerate().map(|(at, element)| (self.key(&element, at), at)).collect()
    }

    fn same(&self, other: &List<'a>) -> Result<bool, Error> {
        if self.len() != other.len() {
            return Ok(false);
        }
        let places = self.places();
        for at in 0..other.len() {
            // What is no value of its type is the same as nothing.
            let Some(Ok(theirs)) = other.at(at) else { return Ok(false) };
            let place = places.get(&self.key_of(&theirs, usize::MAX - at));
            let Some(own) = place.and_then(|place| self.at(*place)) else { return Ok(false) };
            if self.is_map() {
                match own.view(self.node)?.equals(&theirs) {
                    Ok(true) => {}
                    other => return other,
                }
            }
        }
        Ok(true)
    }
}

impl<'a> Items<'a> for Keyed<'a> {
    fn len(&self) -> usize {
        match &self.elements {
            Elements::Tree(list) => list.len(),
            Elements::Mixed(list) => list.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Outcome<'a>> {
        self.at(index).map(|element| element.view(self.node))
    }

    fn equals(&self, other: &Value<'a>) -> Option<Result<bool, Error>> {
        match other {
            Value::List(other) => Some(self.same(other)),
            _ => Some(Err(NO_OVERLOAD)),
        }
    }

    /// Elements of the other list replace those of the same key, or come behind.
    fn plus(&self, other: &List<'a>) -> Option<Outcome<'a>> {
        let (mut elements, mut places) = (self.all().collect::<Vec<_>>(), self.places());
        for at in 0..other.len() {
            let value = match other.at(at)? {
                Ok(value) => value,
                Err(why) => return Some(Err(why)),
            };
            match places.entry(self.key_of(&value, usize::MAX - at)) {
                std::collections::hash_map::Entry::Occupied(place) if self.is_map() => elements[*place.get()] = Element::Made(value),
                std::collections::hash_map::Entry::Occupied(_) => {}
                std::collections::hash_map::Entry::Vacant(place) => {
                    // Of two in the other list that have a key that is new, a map has both, a set one.
                    if !self.is_map() {
                        place.insert(elements.len());
                    }
                    elements.push(Element::Made(value));
                }
            }
        }
        Some(Ok(Value::List(List::Tree(Arc::new(Keyed { node: self.node, elements: Elements::Mixed(elements) })))))
    }
}
