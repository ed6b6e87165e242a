//! Finding a patch: the difference of two objects, and of three as client-side apply needs it.

use serde_json::Value;

use super::lists::{self, Elements};
use super::merge::Merge;
use super::{
    DELETE_FROM_LIST, DIRECTIVE, PatchError, RETAIN_KEYS, Rule, SET_ORDER, Scope, Tree, go_type, no_merge_key, order,
    printed,
};
use crate::model::Type;

type Result<T> = std::result::Result<T, PatchError>;

/// The patch that gives `current` everything that `modified` has, and takes away what `original` had and
/// `modified` has no longer.
pub fn three_way(root: &Type, original: &Tree, modified: &Tree, current: &Tree) -> Result<Tree> {
    let additions = Diff { additions: true, deletions: false };
    let deletions = Diff { additions: false, deletions: true };
    let scope = Scope::Type(root);
    let delta = additions.maps(current, modified, scope, false)?;
    let removed = deletions.maps(original, modified, scope, false)?;
    Merge { applying: false }.maps(removed, delta, scope)
}

/// What of a difference is looked for.
#[derive(Clone, Copy)]
struct Diff {
    additions: bool,
    deletions: bool,
}

/// The difference of two lists.
#[derive(Default)]
struct ListDiff {
    patch: Vec<Value>,
    deleted: Vec<Value>,
    order: Vec<Value>,
}

impl Diff {
    fn maps(self, original: &Tree, modified: &Tree, scope: Scope, retain_keys: bool) -> Result<Tree> {
        let mut patch = Tree::new();
        for (key, wanted) in modified {
            match original.get(key) {
                Some(present) if key == DIRECTIVE && present == wanted => {}
                Some(_) if key == DIRECTIVE => drop(patch.insert(key.clone(), wanted.clone())),
                Some(present) if go_type(present) == go_type(wanted) => {
                    self.field(key, present, wanted, &mut patch, scope)?;
                }
                _ if self.additions => drop(patch.insert(key.clone(), wanted.clone())),
                _ => {}
            }
        }
        if self.deletions {
            let gone = original.keys().filter(|key| !modified.contains_key(*key));
            patch.extend(gone.map(|key| (key.clone(), Value::Null)));
        }
        let retained: Vec<Value> =
            modified.iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| Value::from(k.as_str())).collect();
        let fewer = original.keys().any(|key| !modified.contains_key(key));
        if retain_keys && !retained.is_empty() && (!patch.is_empty() || fewer) {
            patch.insert(RETAIN_KEYS.to_owned(), Value::Array(retained));
        }
        Ok(patch)
    }

    fn field(self, key: &str, present: &Value, wanted: &Value, patch: &mut Tree, scope: Scope) -> Result<()> {
        match (present, wanted) {
            (Value::Object(present), Value::Object(wanted)) => {
                let rule = match scope.structure(key) {
                    Err(_) if present == wanted => return Ok(()),
                    rule => rule?,
                };
                if rule.replaces() {
                    self.replace(key, &Value::Object(wanted.clone()), patch);
                    return Ok(());
                }
                let below = self.maps(present, wanted, rule.scope, rule.retains_keys())?;
                if !below.is_empty() {
                    patch.insert(key.to_owned(), Value::Object(below));
                }
            }
            (Value::Array(present), Value::Array(wanted)) => {
                let rule = match scope.list(key) {
                    Err(_) if present == wanted => return Ok(()),
                    rule => rule?,
                };
                if rule.merges() {
                    self.merged_list(key, present, wanted, rule, patch)?;
                } else if present != wanted {
                    self.replace(key, &Value::Array(wanted.clone()), patch);
                }
            }
            (present, wanted) if present != wanted => self.replace(key, wanted, patch),
            _ => {}
        }
        Ok(())
    }

    fn replace(self, key: &str, wanted: &Value, patch: &mut Tree) {
        if self.additions {
            patch.insert(key.to_owned(), wanted.clone());
        }
    }

    fn merged_list(self, key: &str, present: &[Value], wanted: &[Value], rule: Rule, patch: &mut Tree) -> Result<()> {
        let diff = self.lists(present, wanted, rule)?;
        for (name, list) in [
            (key.to_owned(), diff.patch),
            (format!("{DELETE_FROM_LIST}/{key}"), diff.deleted),
            (format!("{SET_ORDER}/{key}"), diff.order),
        ] {
            if !list.is_empty() {
                patch.insert(name, Value::Array(list));
            }
        }
        Ok(())
    }

    fn lists(self, present: &[Value], wanted: &[Value], rule: Rule) -> Result<ListDiff> {
        if present.is_empty() {
            let patch = if self.additions { wanted.to_vec() } else { Vec::new() };
            return Ok(ListDiff { patch, ..ListDiff::default() });
        }
        let key = rule.merge_key();
        if lists::elements(&[present, wanted])? == Elements::Scalars {
            return self.scalars(present, wanted);
        }
        let (patch, deleted) = self.keyed(present, wanted, rule)?;
        let mut patch = order::sort(patch, wanted, key)?;
        let same_order = present.len() == wanted.len() && present.iter().zip(wanted).all(|(a, b)| a.get(key) == b.get(key));
        patch.extend(deleted);
        let ordered = self.additions && (!patch.is_empty() || !same_order) || self.deletions && !patch.is_empty();
        let mut order = Vec::new();
        if ordered {
            for element in wanted {
                let value = element.get(key).cloned().unwrap_or_default();
                order.push(Value::Object(Tree::from_iter([(key.to_owned(), value)])));
            }
        }
        Ok(ListDiff { patch, deleted: Vec::new(), order })
    }

    fn scalars(self, present: &[Value], wanted: &[Value]) -> Result<ListDiff> {
        let (mut was, mut is) = (sorted(present), sorted(wanted));
        // Upstream compares after it has sorted the first list, and so tells the order more often than needed.
        let present_sorted: Vec<Value> = was.iter().rev().map(|(_, v)| v.clone()).collect();
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        while let (Some((w, _)), Some((i, _))) = (was.last(), is.last()) {
            match w.cmp(i) {
                std::cmp::Ordering::Equal => {
                    was.pop();
                    is.pop();
                }
                std::cmp::Ordering::Less => deleted.extend(was.pop()),
                std::cmp::Ordering::Greater => added.extend(is.pop()),
            }
        }
        deleted.extend(was.into_iter().rev());
        added.extend(is.into_iter().rev());
        let values = |list: Vec<(String, Value)>, asked: bool| -> Vec<Value> {
            list.into_iter().filter(|_| asked).map(|(_, v)| v).collect()
        };
        let patch = order::sort(values(added, self.additions), wanted, "")?;
        let deleted = lists::without_repetition(values(deleted, self.deletions));
        let ordered = !deleted.is_empty() || self.additions && !present_sorted.iter().eq(wanted);
        Ok(ListDiff { patch, deleted, order: if ordered { wanted.to_vec() } else { Vec::new() } })
    }

    /// Elements to add or change, and directives that delete.
    fn keyed(self, present: &[Value], wanted: &[Value], rule: Rule) -> Result<(Vec<Value>, Vec<Value>)> {
        let key = rule.merge_key();
        let (was, is) = (by_key(present, key)?, by_key(wanted, key)?);
        let (mut was, mut is) = (was.into_iter().peekable(), is.into_iter().peekable());
        let (mut patch, mut deleted) = (Vec::new(), Vec::new());
        loop {
            let order = match (was.peek(), is.peek()) {
                (None, None) => return Ok((patch, deleted)),
                (Some((w, _)), Some((i, _))) => w.cmp(i),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
            };
            let before = if order.is_le() { was.next() } else { None };
            let after = if order.is_ge() { is.next() } else { None };
            match (before, after) {
                (Some((_, before)), Some((_, after))) => {
                    let mut change = self.maps(before, after, rule.scope, rule.retains_keys())?;
                    if !change.is_empty() {
                        change.insert(key.to_owned(), after.get(key).cloned().unwrap_or_default());
                        patch.push(Value::Object(change));
                    }
                }
                (None, Some((_, after))) if self.additions => patch.push(Value::Object(after.clone())),
                (Some((_, before)), None) if self.deletions => {
                    let value = before.get(key).cloned().unwrap_or_default();
                    let directive = [(key.to_owned(), value), (DIRECTIVE.to_owned(), Value::from("delete"))];
                    deleted.push(Value::Object(Tree::from_iter(directive)));
                }
                _ => {}
            }
        }
    }
}

/// The elements with their keys, sorted by them.
fn by_key<'v>(list: &'v [Value], key: &str) -> Result<Vec<(String, &'v Tree)>> {
    let mut keyed = Vec::with_capacity(list.len());
    for map in list.iter().filter_map(Value::as_object) {
        let value = map.get(key).ok_or_else(|| no_merge_key(map, key))?;
        keyed.push((printed(value), map));
    }
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(keyed)
}

/// The scalars with their text, the last one first.
fn sorted(list: &[Value]) -> Vec<(String, Value)> {
    let mut sorted: Vec<(String, Value)> = list.iter().map(|v| (printed(v), v.clone())).collect();
    sorted.sort_by(|(a, _), (b, _)| b.cmp(a));
    sorted
}
