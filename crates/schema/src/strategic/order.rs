//! The order of merged lists: the patch's order among its own elements, the server's among the rest.

use std::collections::HashMap;

use serde_json::Value;

use super::merge::bad_order;
use super::{DIRECTIVE, PatchError, SET_ORDER, bad_argument, no_merge_key, printed};

type Result<T> = std::result::Result<T, PatchError>;

/// Upstream's sort is an insertion sort up to this length, and its comparison no order at all for
/// elements that have no place: only up to here the same steps give the same result.
const INSERTION: usize = 20;

/// Merges the elements of the patch and those that only the server has.
pub fn combine(
    patch: Vec<Value>,
    server: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Result<Vec<Value>> {
    let patch = sort(patch, patch_order, key)?;
    let server = sort(server, server_order, key)?;
    let places = Places::of(server_order, key);
    let mut all = Vec::with_capacity(patch.len() + server.len());
    let (mut left, mut right) = (server.into_iter().peekable(), patch.into_iter().peekable());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let left_first = matches!((places.find(l), places.find(r)), (Some(l), Some(r)) if l < r);
        all.extend(if left_first { left.next() } else { right.next() });
    }
    all.extend(left);
    all.extend(right);
    Ok(all)
}

/// Sorts by the place in `order`; elements to delete come last.
pub fn sort(list: Vec<Value>, order: &[Value], key: &str) -> Result<Vec<Value>> {
    let maps = list.first().or(order.first()).is_some_and(Value::is_object);
    if maps {
        for element in list.iter().chain(order) {
            let map = element.as_object().ok_or_else(|| bad_argument("map[string]interface {}", element))?;
            map.get(key).ok_or_else(|| no_merge_key(map, key))?;
        }
    }
    let (deleted, kept): (Vec<Value>, Vec<Value>) = list.into_iter().partition(is_delete);
    let places = Places::of(order, key);
    let mut placed: Vec<(Option<usize>, Value)> = kept.into_iter().map(|v| (places.find(&v), v)).collect();
    let less = |a: Option<usize>, b: Option<usize>| !matches!((a, b), (Some(a), Some(b)) if a >= b);
    if placed.len() <= INSERTION {
        for i in 1..placed.len() {
            let mut j = i;
            while j > 0 && less(placed[j].0, placed[j - 1].0) {
                placed.swap(j, j - 1);
                j -= 1;
            }
        }
    } else {
        placed.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    }
    Ok(placed.into_iter().map(|(_, v)| v).chain(deleted).collect())
}

fn is_delete(element: &Value) -> bool {
    element.get(DIRECTIVE).is_some_and(|d| d == "delete")
}

/// Where elements stand in an order: the first place of each.
struct Places<'o> {
    key: &'o str,
    maps: HashMap<&'o Value, usize>,
    scalars: HashMap<&'o Value, usize>,
}

impl<'o> Places<'o> {
    fn of(order: &'o [Value], key: &'o str) -> Self {
        let mut places = Places { key, maps: HashMap::new(), scalars: HashMap::new() };
        for (at, element) in order.iter().enumerate() {
            match element {
                Value::Object(map) => drop(map.get(key).map(|value| places.maps.entry(value).or_insert(at))),
                scalar => drop(places.scalars.entry(scalar).or_insert(at)),
            }
        }
        places
    }

    fn find(&self, element: &Value) -> Option<usize> {
        match element {
            Value::Object(map) => self.maps.get(map.get(self.key)?).copied(),
            scalar => self.scalars.get(scalar).copied(),
        }
    }
}

/// The list of the patch must follow the order that the patch gives for it.
pub fn check(patch: &[Value], order: &[Value], key: &str) -> Result<()> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let same = |a: &Value, b: &Value| if key.is_empty() { a == b } else { a.get(key) == b.get(key) };
    let mut rest = order.iter();
    for element in patch.iter().filter(|v| v.get(DIRECTIVE).is_none()) {
        if !key.is_empty() && (!element.is_object() || element.get(key).is_none()) {
            return match element.as_object() {
                Some(map) => Err(no_merge_key(map, key)),
                None => Err(bad_order()),
            };
        }
        if !rest.any(|v| same(element, v)) {
            return Err(PatchError::Unfit(format!(
                "The order in patch list:\n{}\n doesn't match {SET_ORDER} list:\n{}\n",
                printed(&Value::Array(patch.to_vec())),
                printed(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
}
