//! A patch as it is after it was applied. Upstream takes items of a patch into the object as they are; what the patch
//! says later of the same item goes into both, and refusals show the patch in that state.

use serde_json::Value;

use super::merge::Merge;
use super::lists::Index;
use super::{Scope, Tree};

/// The patch after it was applied to `original`.
pub fn spent(scope: Scope<'_>, original: &Tree, mut patch: Tree) -> Tree {
    for (key, value) in &mut patch {
        match (original.get(key), value) {
            (Some(Value::Object(present)), Value::Object(map)) => {
                if let Some(rule) = scope.structure(key).ok().filter(|rule| !rule.replaces()) {
                    *map = spent(rule.scope, present, std::mem::take(map));
                }
            }
            (Some(Value::Array(present)), Value::Array(items)) => {
                if let Some(rule) = scope.list(key).ok().filter(|rule| rule.merges() && !rule.merge_key().is_empty()) {
                    spend_items(rule.scope, rule.merge_key(), present, items);
                }
            }
            _ => {}
        }
    }
    patch
}

fn spend_items(scope: Scope<'_>, key: &str, present: &[Value], items: &mut [Value]) {
    let (known, mut seen) = (Index::of(present, key), Index::default());
    for at in 0..items.len() {
        let (before, rest) = items.split_at_mut(at);
        let Some(Value::Object(item)) = rest.first_mut() else { continue };
        let value = item.get(key).cloned();
        let find = |index: &Index| value.as_ref().and_then(|value| index.find(value).ok().flatten());
        let (here, earlier) = (find(&known), find(&seen));
        value.iter().for_each(|value| seen.add(value, at));
        if let Some(Value::Object(present)) = here.map(|at| &present[at]) {
            *item = spent(scope, present, std::mem::take(item));
        } else if let Some(Value::Object(first)) = earlier.map(|at| &mut before[at])
            && let Ok(merged) = (Merge { applying: true }).maps(first.clone(), item.clone(), scope)
        {
            *first = merged;
        }
    }
}

#[cfg(test)]
mod tests {
    use meta::{Gvk, Object};
    use serde_json::json;

    use crate::Schema;

    #[test]
    fn an_item_that_comes_twice_and_is_new_has_everything_at_once() {
        let account = Schema::builtin(&Gvk::new("", "v1", "ServiceAccount")).expect("there");
        let original = Object::from_value(json!({"secrets": [{"name": "a"}]})).expect("an object");
        let patch = json!({"secrets": [{"name": "b"}, {"name": "b", "kind": "K"}, {"name": "a", "kind": "A"}, {"name": "a"}]});
        let spent = json!({"secrets": [{"kind": "K", "name": "b"}, {"name": "b", "kind": "K"}, {"name": "a", "kind": "A"}, {"name": "a"}]});
        assert_eq!(account.spent_patch(&original, &patch), spent);
        let empty = Object::default();
        assert_eq!(account.spent_patch(&empty, &patch), patch, "a list that is new as a whole is not gone through");
    }
}
