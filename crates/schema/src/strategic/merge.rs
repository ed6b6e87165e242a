//! Merging a patch into an object, or (for client-side apply) one patch into another.

use std::collections::HashSet;

use serde_json::Value;

use super::lists::{self, Elements, Index};
use super::order;
use super::{
    DELETE_FROM_LIST, DIRECTIVE, PatchError, RETAIN_KEYS, Rule, SET_ORDER, Scope, Tree, bad_argument, go_type, printed,
    printed_map,
};

/// How to merge.
#[derive(Clone, Copy)]
pub struct Merge {
    /// Carry out directives and drop nulls; otherwise keep both for whoever applies the result.
    pub applying: bool,
}

type Result<T> = std::result::Result<T, PatchError>;

impl Merge {
    /// Merges `patch` into `original`.
    pub fn maps(self, mut original: Tree, mut patch: Tree, scope: Scope) -> Result<Tree> {
        if let Some(directive) = patch.remove(DIRECTIVE) {
            return match directive.as_str() {
                Some("replace") => Ok(patch),
                Some("delete") => Ok(Tree::new()),
                _ => {
                    patch.insert(DIRECTIVE.to_owned(), directive.clone());
                    Err(bad_directive(&directive, &patch))
                }
            };
        }
        self.retain_keys(&mut original, &mut patch)?;
        self.ordered_lists(&mut original, &mut patch, scope)?;
        for (key, value) in patch {
            self.field(&mut original, key, value, scope)?;
        }
        Ok(original)
    }

    fn field(self, original: &mut Tree, key: String, mut value: Value, scope: Scope) -> Result<()> {
        let delete_list = key.starts_with(DELETE_FROM_LIST);
        if delete_list && !self.applying {
            original.insert(key, value);
            return Ok(());
        }
        let key = if delete_list { list_name(&key, DELETE_FROM_LIST)?.to_owned() } else { key };
        if value.is_null() {
            original.remove(&key);
            if self.applying {
                return Ok(());
            }
        }
        let Some(present) = original.get_mut(&key).filter(|p| go_type(p) == go_type(&value)) else {
            if delete_list {
                return Ok(());
            }
            if self.applying {
                drop_nulls(&mut value);
            }
            match without_directives(value) {
                Some(value) => original.insert(key, value),
                None => original.remove(&key),
            };
            return Ok(());
        };
        let merged = match (present.take(), value) {
            (Value::Object(present), Value::Object(value)) => {
                let rule = scope.structure(&key)?;
                if rule.replaces() { Value::Object(value) } else { Value::Object(self.maps(present, value, rule.scope)?) }
            }
            (Value::Array(present), Value::Array(value)) => {
                let rule = scope.list(&key)?;
                Value::Array(self.list(present, value, rule, delete_list)?)
            }
            (_, value) => value,
        };
        original.insert(key, merged);
        Ok(())
    }

    fn list(self, original: Vec<Value>, patch: Vec<Value>, rule: Rule, delete_list: bool) -> Result<Vec<Value>> {
        if !rule.merges() && !delete_list {
            return Ok(patch);
        }
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        let key = rule.merge_key();
        let (merged, original, patch) = match lists::elements(&[&original, &patch])? {
            Elements::Scalars if delete_list => {
                let gone: HashSet<&Value> = patch.iter().collect();
                return Ok(original.into_iter().filter(|v| !gone.contains(v)).collect());
            }
            Elements::Scalars => {
                let both = original.iter().chain(&patch).cloned().collect();
                (lists::without_repetition(both), original, patch)
            }
            Elements::Maps if key.is_empty() => {
                let message = format!("cannot merge lists without merge key for {}", rule.scope.name());
                return Err(PatchError::Unfit(message));
            }
            Elements::Maps => {
                let (original, patch) = special_elements(original, patch, key)?;
                (self.elements(original.clone(), &patch, key, rule.scope)?, original, patch)
            }
        };
        let (of_patch, of_server) = lists::partition(merged, &patch, key)?;
        order::combine(of_patch, of_server, &patch, &original, key)
    }

    fn elements(self, mut original: Vec<Value>, patch: &[Value], key: &str, scope: Scope) -> Result<Vec<Value>> {
        let mut index = Index::of(&original, key);
        for element in patch {
            let Value::Object(element) = element else { continue };
            let value = element.get(key).ok_or_else(|| super::no_merge_key(element, key))?;
            match index.find(value)? {
                Some(at) => {
                    let Value::Object(present) = original[at].take() else { continue };
                    original[at] = Value::Object(self.maps(present, element.clone(), scope)?);
                }
                None => {
                    index.add(value, original.len());
                    original.push(Value::Object(element.clone()));
                }
            }
        }
        Ok(original)
    }

    fn retain_keys(self, original: &mut Tree, patch: &mut Tree) -> Result<()> {
        let malformed = || PatchError::Malformed("invalid patch format of retainKeys".to_owned());
        let Some(retain) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
        if !self.applying {
            let present = original.entry(RETAIN_KEYS).or_insert_with(|| retain.clone());
            if *present != retain {
                let message = "this may happen when calculating the 3-way diff patch";
                return Err(PatchError::Unfit(format!(
                    "{} and {} are not deep equal: {message}",
                    printed(present),
                    printed(&retain)
                )));
            }
            return Ok(());
        }
        let retain = retain.as_array().ok_or_else(malformed)?;
        let retain: HashSet<&str> = retain.iter().filter_map(Value::as_str).collect();
        let retained = |key: &str| retain.contains(key);
        for (key, value) in patch.iter() {
            let directive = key.starts_with(DELETE_FROM_LIST) || key.starts_with(SET_ORDER);
            if !value.is_null() && !directive && !retained(key) {
                return Err(malformed());
            }
        }
        original.retain(|key, _| retained(key));
        Ok(())
    }

    /// Merges the lists for which the patch gives an order.
    fn ordered_lists(self, original: &mut Tree, patch: &mut Tree, scope: Scope) -> Result<()> {
        let directives: Vec<String> = patch.keys().filter(|k| k.starts_with(SET_ORDER)).cloned().collect();
        for directive in directives {
            let Some(order) = patch.remove(&directive) else { continue };
            if !self.applying && *original.entry(directive.clone()).or_insert_with(|| order.clone()) != order {
                return Err(bad_order());
            }
            let order = order.as_array().ok_or_else(|| bad_argument("[]interface {}", &order))?;
            let name = list_name(&directive, SET_ORDER)?;
            let present = original.get(name).map(list_of).transpose()?;
            let patched = patch.get(name).map(list_of).transpose()?;
            let rule = scope.list(name)?;
            let key = rule.merge_key();
            order::check(patched.as_deref().unwrap_or(&[]), order, key)?;
            let server = present.clone().unwrap_or_default();
            let added = patched.clone().unwrap_or_default();
            let merged = match (present, patched) {
                (None, None) => continue,
                (Some(present), None) => present,
                (None, Some(patched)) => match without_directives(Value::Array(patched)) {
                    Some(Value::Array(list)) => list,
                    _ => continue,
                },
                (Some(present), Some(patched)) => self.list(present, patched, rule, false)?,
            };
            let (of_patch, of_server) = lists::partition(merged, order, key)?;
            lists::elements(&[&server, &added])?;
            let both = order::combine(of_patch, of_server, order, &server, key)?;
            original.insert(name.to_owned(), Value::Array(both));
            patch.remove(name);
        }
        Ok(())
    }
}

fn list_of(value: &Value) -> Result<Vec<Value>> {
    value.as_array().cloned().ok_or_else(|| bad_argument("[]interface {}", value))
}

pub(super) fn bad_order() -> PatchError {
    PatchError::Malformed("invalid patch format of setElementOrder list".to_owned())
}

/// `$setElementOrder/containers` is about `containers`.
fn list_name<'k>(key: &'k str, directive: &str) -> Result<&'k str> {
    match key.split_once('/') {
        Some((prefix, name)) if prefix == directive => Ok(name),
        _ if directive == SET_ORDER => Err(bad_order()),
        _ => Err(PatchError::Malformed("invalid patch format of primitive list".to_owned())),
    }
}

fn bad_directive(directive: &Value, patch: &Tree) -> PatchError {
    PatchError::Unfit(format!("unknown patch type: {} in map: {}", printed(directive), printed_map(patch)))
}

/// Carries out `$patch` in the elements of a list: what is left of the original, and of the patch.
fn special_elements(mut original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut plain = Vec::new();
    let mut gone: HashSet<Value> = HashSet::new();
    let mut replace = false;
    for element in patch {
        let Some(directive) = element.get(DIRECTIVE) else {
            plain.push(element);
            continue;
        };
        let Value::Object(map) = &element else { continue };
        match directive.as_str() {
            Some("delete") => {
                let value = map.get(key).ok_or_else(|| super::no_merge_key(map, key))?;
                gone.insert(value.clone());
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(PatchError::Unfit("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => return Err(bad_directive(directive, map)),
        }
    }
    original.retain(|element| element.get(key).is_none_or(|value| !gone.contains(value)));
    Ok(if replace { (plain, Vec::new()) } else { (original, plain) })
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The value without anything that carries `$patch`.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter_map(|(k, v)| Some((k, without_directives(v)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(list) => Some(Value::Array(list.into_iter().filter_map(without_directives).collect())),
        scalar => Some(scalar),
    }
}
