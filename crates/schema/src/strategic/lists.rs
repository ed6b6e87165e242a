//! Lists whose elements are known by a key, or by themselves.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{PatchError, bad_argument, go_type, no_merge_key, printed};

type Result<T> = std::result::Result<T, PatchError>;

/// What the elements of a list are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    Scalars,
    Maps,
}

/// What the elements are; all must be of one type.
pub fn elements(lists: &[&[Value]]) -> Result<Elements> {
    let mut all = lists.iter().copied().flatten();
    let Some(first) = all.next() else {
        return Err(PatchError::Unfit("no elements in any of the given slices".to_owned()));
    };
    if first.is_array() {
        return Err(PatchError::Unprocessable("lists of lists are not supported".to_owned()));
    }
    if all.any(|v| go_type(v) != go_type(first)) {
        let shown: Vec<String> = lists.iter().map(|l| printed(&Value::Array(l.to_vec()))).collect();
        let message = format!("list element types are not identical: [{}]", shown.join(" "));
        return Err(PatchError::Unfit(message));
    }
    Ok(if first.is_object() { Elements::Maps } else { Elements::Scalars })
}

/// Where elements stand, by the values of their keys: the first of each.
#[derive(Default)]
pub struct Index {
    places: HashMap<Value, usize>,
    /// The first element that is no map.
    stranger: Option<usize>,
}

impl Index {
    /// The elements of a list by `key`.
    pub fn of(list: &[Value], key: &str) -> Index {
        let mut index = Index::default();
        for (at, element) in list.iter().enumerate() {
            match element {
                Value::Object(map) => drop(map.get(key).map(|value| index.add(value, at))),
                _ => drop(index.stranger.get_or_insert(at)),
            }
        }
        index
    }

    /// One more element, at the end.
    pub fn add(&mut self, value: &Value, at: usize) {
        if !self.places.contains_key(value) {
            self.places.insert(value.clone(), at);
        }
    }

    /// The element whose key has this value. Upstream looks from the beginning, and stumbles over what is no map.
    pub fn find(&self, value: &Value) -> Result<Option<usize>> {
        let found = self.places.get(value).copied();
        match self.stranger {
            Some(at) if found.is_none_or(|found| found > at) => Err(PatchError::Unfit(format!("value for key {at} is not a map"))),
            _ => Ok(found),
        }
    }
}

/// Drops repeated scalars as upstream does it: the last element takes the place of a repeated one.
pub fn without_repetition(mut list: Vec<Value>) -> Vec<Value> {
    let mut numbers: HashMap<Value, usize> = HashMap::new();
    let mut places: Vec<BTreeSet<usize>> = Vec::new();
    // For each element the number of its value.
    let mut of: Vec<usize> = Vec::with_capacity(list.len());
    for (at, value) in list.iter().enumerate() {
        let number = *numbers.entry(value.clone()).or_insert(places.len());
        if number == places.len() {
            places.push(BTreeSet::new());
        }
        places[number].insert(at);
        of.push(number);
    }
    let mut i = 0;
    while i + 1 < list.len() {
        while let Some(again) = places[of[i]].range(i + 1..).next().copied() {
            let last = list.len() - 1;
            places[of[i]].remove(&again);
            list.swap_remove(again);
            let moved = of[last];
            of.swap_remove(again);
            if again < last {
                places[moved].remove(&last);
                places[moved].insert(again);
            }
        }
        i += 1;
    }
    list
}

/// The elements that are in `by`, and the others.
pub fn partition(list: Vec<Value>, by: &[Value], key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    let scalars: HashSet<&Value> = if key.is_empty() { by.iter().collect() } else { HashSet::new() };
    let index = if key.is_empty() { Index::default() } else { Index::of(by, key) };
    for element in list {
        let found = if key.is_empty() {
            scalars.contains(&element)
        } else {
            let map = element.as_object().ok_or_else(|| bad_argument("map[string]interface {}", &element))?;
            let value = map.get(key).ok_or_else(|| no_merge_key(map, key))?;
            index.find(value)?.is_some()
        };
        if found { inside.push(element) } else { outside.push(element) }
    }
    Ok((inside, outside))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Upstream's way: each with each.
    fn each_with_each(mut list: Vec<Value>) -> Vec<Value> {
        let mut i = 0;
        while i + 1 < list.len() {
            let mut j = i + 1;
            while j < list.len() {
                if list[i] == list[j] {
                    list.swap_remove(j);
                } else {
                    j += 1;
                }
            }
            i += 1;
        }
        list
    }

    #[test]
    fn repetition_goes_in_upstreams_order() {
        // All lists of six of three values.
        for number in 0..3_usize.pow(6) {
            let list: Vec<Value> = (0..6).map(|digit| json!(number / 3_usize.pow(digit) % 3)).collect();
            assert_eq!(without_repetition(list.clone()), each_with_each(list.clone()), "{list:?}");
        }
        let long: Vec<Value> = (0..100_000).map(|n| json!(n % 50_000)).collect();
        assert_eq!(without_repetition(long).len(), 50_000);
    }

    #[test]
    fn elements_are_found_up_to_a_stranger() {
        let list = [json!({"a": 1}), json!({"a": 1}), json!(5), json!({"a": 2})];
        let index = Index::of(&list, "a");
        assert_eq!(index.find(&json!(1)), Ok(Some(0)));
        let stranger = PatchError::Unfit("value for key 2 is not a map".to_owned());
        assert_eq!((index.find(&json!(2)), index.find(&json!(3))), (Err(stranger.clone()), Err(stranger)));
    }
}
