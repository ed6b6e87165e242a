//! Lists whose elements are known by a key, or by themselves.

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

/// The element whose `key` has this value.
pub fn find(list: &[Value], key: &str, value: &Value) -> Result<Option<usize>> {
    for (at, element) in list.iter().enumerate() {
        match element {
            Value::Object(map) if map.get(key) == Some(value) => return Ok(Some(at)),
            Value::Object(_) => {}
            _ => return Err(PatchError::Unfit(format!("value for key {at} is not a map"))),
        }
    }
    Ok(None)
}

/// Drops repeated scalars as upstream does it: the last element takes the place of a repeated one.
pub fn without_repetition(mut list: Vec<Value>) -> Vec<Value> {
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

/// The elements that are in `by`, and the others.
pub fn partition(list: Vec<Value>, by: &[Value], key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for element in list {
        let found = if key.is_empty() {
            by.contains(&element)
        } else {
            let map = element.as_object().ok_or_else(|| bad_argument("map[string]interface {}", &element))?;
            let value = map.get(key).ok_or_else(|| no_merge_key(map, key))?;
            find(by, key, value)?.is_some()
        };
        if found { inside.push(element) } else { outside.push(element) }
    }
    Ok((inside, outside))
}
