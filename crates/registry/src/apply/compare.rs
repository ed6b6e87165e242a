//! What a write adds, changes and takes away: one walk over both states along the schema (upstream:
//! `structured-merge-diff/typed/compare.go`).
//!
//! A part that is new is in the set itself, and everything below it. Fields that Go prints even when they are
//! empty count as present in both states: that is why a new object's `spec` is nobody's, but a new container's
//! empty `resources` is its maker's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schema::{Field, Kind, Type};
use serde_json::{Map, Value};

use super::set::{Node, Set, Step};
use super::walk::Form;

type Fields = Map<String, Value>;

static NULL: Value = Value::Null;
static STRUCT: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
static STRING: Value = Value::String(String::new());
static FALSE: Value = Value::Bool(false);

/// Fields of the metadata that nobody manages.
pub(super) const UNMANAGED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "clusterName",
];

/// The difference between two states.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// What is new or has another value.
    pub changed: Set,
    /// What is gone.
    pub removed: Set,
    /// Whether a list has an item that lacks what items are told apart by.
    pub nameless: bool,
}

/// One place in both states.
#[derive(Default)]
struct Pair {
    changed: Node,
    removed: Node,
    nameless: bool,
}

/// The difference of two objects of one kind, without what nobody manages.
pub(super) fn compare(root: &Type, old: &Fields, new: &Fields) -> Changes {
    let mut pair = Pair::default();
    fields(root, Some(old), Some(new), &["apiVersion", "kind", "metadata"], &mut pair);
    if let Some(metadata) = root.field("metadata").and_then(|(_, field)| field.shape.fields()) {
        let mut inner = Pair::default();
        let (was, is) = (old.get("metadata").unwrap_or(&STRUCT), new.get("metadata").unwrap_or(&STRUCT));
        fields(metadata, Some(map(was)), Some(map(is)), UNMANAGED, &mut inner);
        pair.put(Step::Field("metadata".to_owned()), inner);
    }
    Changes { changed: pair.changed.below, removed: pair.removed.below, nameless: pair.nameless }
}

impl Pair {
    fn put(&mut self, step: Step, below: Pair) {
        self.nameless |= below.nameless;
        if !below.removed.is_empty() {
            self.removed.below.put(step.clone(), below.removed);
        }
        self.changed.below.put(step, below.changed);
    }

    /// Marks the place itself.
    fn mark(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.changed.member = true,
            (_, None) => self.removed.member = true,
            _ => {}
        }
    }
}

fn map(value: &Value) -> &Fields {
    static EMPTY: LazyLock<Fields> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

fn value(form: Form<'_>, old: Option<&Value>, new: Option<&Value>) -> Pair {
    let mut pair = Pair::default();
    let empty = |value: Option<&Value>| match value {
        Some(Value::Object(map)) => map.is_empty() && !matches!(form, Form::Struct(t) if t.fields.iter().any(always)),
        Some(Value::Array(list)) => list.is_empty(),
        _ => true,
    };
    let form = match form {
        Form::Deduced if !old.into_iter().chain(new).any(Value::is_object) => Form::Whole,
        form => form,
    };
    if matches!(form, Form::Whole) || empty(old) && empty(new) {
        if let (Some(old), Some(new)) = (old, new) {
            pair.changed.member = old != new && !(empty(Some(old)) && empty(Some(new)) && !matches!(form, Form::Whole));
        }
        pair.mark(old, new);
        return pair;
    }
    match form {
        Form::Struct(t) => fields(t, old.map(map), new.map(map), &[], &mut pair),
        Form::Map(_) | Form::Deduced => {
            entries(form.below(""), old.and_then(Value::as_object), new.and_then(Value::as_object), &mut pair);
        }
        _ => items(form, old, new, &mut pair),
    }
    pair.mark(old, new);
    pair
}

/// Whether Go prints the field even when it is empty.
fn always(field: &Field) -> bool {
    let whole = matches!(field.shape.kind, Kind::Struct(_) | Kind::Time | Kind::MicroTime);
    !field.omitzero && (!field.omitempty || whole && !field.pointer)
}

/// What Go prints of such a field.
fn zero(field: &Field) -> &'static Value {
    match field.shape.kind {
        _ if field.pointer => &NULL,
        Kind::Struct(_) => &STRUCT,
        Kind::String => &STRING,
        Kind::Bool => &FALSE,
        _ => &NULL,
    }
}

fn fields(t: &Type, old: Option<&Fields>, new: Option<&Fields>, skip: &[&str], pair: &mut Pair) {
    let mut one = |name: &str, is: Option<&Value>, was: Option<&Value>| {
        if !skip.contains(&name) && (is.is_some() || was.is_some()) {
            let form = Form::Struct(t).below(name);
            pair.put(Step::Field(name.to_owned()), value(form, was, is));
        }
    };
    for (name, is) in new.into_iter().flatten() {
        let field = t.field(name).map(|(_, field)| field);
        let (is, was) = (present(t, Some(is), new, field), present(t, old.and_then(|o| o.get(name)), old, field));
        one(name, is, was);
    }
    let gone = old.into_iter().flatten().filter(|(name, _)| !new.is_some_and(|n| n.contains_key(*name)));
    for (name, was) in gone {
        let field = t.field(name).map(|(_, field)| field);
        one(name, present(t, None, new, field), present(t, Some(was), old, field));
    }
    if old.is_some() != new.is_some() {
        let there = old.or(new);
        let silent = t.fields.iter().filter(|f| always(f) && !there.is_some_and(|m| m.contains_key(&*f.name)));
        for field in silent {
            one(&field.name, present(t, None, new, Some(field)), present(t, None, old, Some(field)));
        }
    }
}

/// The value of a field of a struct, as Go prints it. A custom resource has what it says, null too.
fn present<'a>(t: &Type, value: Option<&'a Value>, of: Option<&Fields>, field: Option<&Field>) -> Option<&'a Value> {
    if t.structural {
        return value;
    }
    let printed = field.filter(|f| of.is_some() && always(f)).map(zero);
    value.filter(|v| !v.is_null()).or(printed)
}

fn entries(form: Form<'_>, old: Option<&Fields>, new: Option<&Fields>, pair: &mut Pair) {
    for (name, is) in new.into_iter().flatten() {
        pair.put(Step::Field(name.clone()), value(form, old.and_then(|o| o.get(name)), Some(is)));
    }
    for (name, was) in old.into_iter().flatten().filter(|(name, _)| !new.is_some_and(|n| n.contains_key(*name))) {
        pair.put(Step::Field(name.clone()), value(form, Some(was), None));
    }
}

/// Items of a set or of a list of maps, found by value or by key. Of an item that is there twice only the item
/// itself is in the sets.
fn items(form: Form<'_>, old: Option<&Value>, new: Option<&Value>, pair: &mut Pair) {
    let mut by_step: BTreeMap<Step, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for item in list_of(old) {
        by_step.entry(form.step(item)).or_default().0.push(item);
    }
    for item in list_of(new) {
        by_step.entry(form.step(item)).or_default().1.push(item);
    }
    pair.nameless |= by_step.contains_key(&Step::nothing()) && nameless(form);
    for (step, (was, is)) in by_step {
        let inner = match (&was[..], &is[..]) {
            ([] | [_], [] | [_]) => value(form.item(), was.first().copied(), is.first().copied()),
            ([_, _, ..], [_, _, ..]) => Pair { changed: Node { member: was != is, ..Node::default() }, ..Pair::default() },
            ([_, _, ..], _) => {
                let mut inner = is.first().map(|is| value(form.item(), None, Some(is))).unwrap_or_default();
                inner.removed.member = true;
                inner
            }
            _ => {
                let mut inner = was.first().map(|was| value(form.item(), Some(was), None)).unwrap_or_default();
                inner.changed.member = true;
                inner
            }
        };
        pair.put(step, inner);
    }
}

/// Whether Go prints none of the fields that items are told apart by, when they are empty.
fn nameless(form: Form<'_>) -> bool {
    let Form::Items(list, shape) = form else { return false };
    let printed = |key: &str| shape.fields().and_then(|t| t.field(key)).is_some_and(|(_, field)| always(field));
    !list.map_keys.iter().any(|key| printed(key))
}

fn list_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use meta::Gvk;
    use schema::Schema;
    use serde_json::json;

    use super::*;

    fn changes(kind: &str, old: Value, new: Value) -> (Value, Value) {
        let group = if kind == "Pod" || kind == "ConfigMap" { "" } else { "apps" };
        let schema = Schema::builtin(&Gvk::new(group, "v1", kind)).expect("schema");
        let changes = compare(schema.root(), old.as_object().expect("map"), new.as_object().expect("map"));
        (changes.changed.to_value(), changes.removed.to_value())
    }

    #[test]
    fn what_is_new_is_in_the_set_with_everything_below() {
        let pod = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let (changed, removed) = changes("Pod", json!({}), pod.clone());
        let container = json!({".": {}, "f:image": {}, "f:name": {}, "f:resources": {}});
        assert_eq!(
            changed,
            json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": container}}})
        );
        assert_eq!(removed, json!({}));
        assert_eq!(changes("Pod", pod.clone(), pod), (json!({}), json!({})));
    }

    #[test]
    fn an_item_without_its_keys_is_seen_unless_go_prints_them() {
        let nameless = |kind: &str, new: Value| {
            let schema = Schema::builtin(&Gvk::new("", "v1", kind)).expect("schema");
            compare(schema.root(), &Map::new(), new.as_object().expect("map")).nameless
        };
        assert!(nameless("ServiceAccount", json!({"secrets": [{"name": "a"}, {}]})));
        assert!(!nameless("ServiceAccount", json!({"secrets": [{"name": "a"}]})));
        assert!(!nameless("Pod", json!({"spec": {"containers": [{}]}})));
    }

    #[test]
    fn changes_are_told_from_removals() {
        let (old, new) = (json!({"data": {"a": "1", "b": "1"}}), json!({"data": {"a": "2", "c": "1"}}));
        let (changed, removed) = changes("ConfigMap", old, new);
        assert_eq!(changed, json!({"f:data": {"f:a": {}, "f:c": {}}}));
        assert_eq!(removed, json!({"f:data": {"f:b": {}}}));
        let (_, removed) = changes("ConfigMap", json!({"data": {"a": "1"}}), json!({}));
        assert_eq!(removed, json!({"f:data": {".": {}, "f:a": {}}}));
    }
}
