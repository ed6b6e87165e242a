//! What rules see, and what they say. All else is held against upstream in `tests/structural`.

use meta::field::Errors;
use meta::{Gvk, Object};
use schema::Schema;
use serde_json::{Value, json};

use super::Expressions;

fn expressions(spec: Value) -> Expressions {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let Value::Object(props) = schema else { panic!("a schema is a map") };
    let schema = Schema::structural(Gvk::new("example.com", "v1", "Thing"), &props).expect("structural");
    Expressions::new(schema.node().cloned().expect("a node"))
}

fn object(spec: Value) -> Object {
    Object::from_value(json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec})).expect("an object")
}

fn said(spec: &Value, new: Value, old: Option<Value>) -> (Vec<String>, Vec<String>) {
    let (new, old) = (object(new), old.map(object));
    let verdict = expressions(spec.clone()).validate(&new, old.as_ref(), &Errors::new());
    (verdict.errors.iter().map(ToString::to_string).collect(), verdict.warnings)
}

fn rule(rule: &str) -> Value {
    json!([{"rule": rule}])
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_rule_that_does_not_hold_is_told_where_it_stands() {
    let spec = json!({"type": "object", "properties": {"size": {"type": "integer", "x-kubernetes-validations": [
        {"rule": "self > 2", "message": " too small ", "reason": "FieldValueForbidden"}, {"rule": "self != 1", "messageExpression": "'not ' + string(self)"}]}}});
    assert_eq!(said(&spec, json!({"size": 3}), None).0, none());
    assert_eq!(said(&spec, json!({"size": 1}), None).0, ["spec.size: Forbidden: too small", "spec.size: Invalid value: 1: not 1"]);
    assert_eq!(said(&spec, json!({}), None).0, none(), "a rule is asked of what is there");
}

#[test]
fn a_named_field_is_told_and_large_values_are_not() {
    let spec = json!({"type": "object", "properties": {"a": {"type": "string"}},
        "x-kubernetes-validations": [{"rule": "self.a == 'x'", "fieldPath": ".a", "reason": "FieldValueDuplicate"}, {"rule": "has(self.b__dash__c)"}]});
    let error = &said(&spec, json!({"a": "y"}), None).0;
    assert_eq!(error[0], "spec.a: Duplicate value");
    assert!(error[1].starts_with("spec: Invalid value: \"object\": rule compile error: compilation failed: ERROR: <input>:1:4: undefined field 'b__dash__c'"), "{error:?}");
}

#[test]
fn what_has_not_changed_is_let_be_with_a_warning() {
    let spec = json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": rule("self == 'x'")}, "b": {"type": "string"}}});
    let (errors, warnings) = said(&spec, json!({"a": "y", "b": "1"}), Some(json!({"a": "y", "b": "2"})));
    assert_eq!((errors, warnings), (none(), vec![r#"spec.a: Invalid value: "y": failed rule: self == 'x'"#.to_owned()]));
    assert_eq!(said(&spec, json!({"a": "y"}), Some(json!({"a": "z"}))).0.len(), 1);
}

#[test]
fn a_rule_on_changes_finds_old_elements_by_their_keys() {
    let item = json!({"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
        "x-kubernetes-validations": rule("self.size >= oldSelf.size")});
    let spec = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item});
    let old = json!([{"name": "a", "size": 5}, {"name": "b", "size": 1}]);
    let new = json!([{"name": "c", "size": 0}, {"name": "b", "size": 2}, {"name": "a", "size": 4}]);
    assert_eq!(said(&spec, new.clone(), Some(old)).0, ["spec[2]: Invalid value: failed rule: self.size >= oldSelf.size"]);
    assert_eq!(said(&spec, new, None).0, none(), "without an old object nobody asks");
}

#[test]
fn an_optional_old_value_is_asked_for_at_creation_too() {
    let spec = json!({"type": "integer", "x-kubernetes-validations": [{"rule": "oldSelf.hasValue() ? oldSelf.value() < self : self == 1", "optionalOldSelf": true}]});
    assert_eq!(said(&spec, json!(1), None).0, none());
    assert_eq!(said(&spec, json!(2), None).0.len(), 1);
    assert_eq!(said(&spec, json!(2), Some(json!(1))).0, none());
}

#[test]
fn sets_and_maps_are_the_same_in_any_order() {
    let list = |kind: &str, items: Value, rule_text: &str| {
        let keys = if kind == "map" { json!(["k"]) } else { json!([]) };
        json!({"type": "array", "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": keys, "items": items, "x-kubernetes-validations": rule(rule_text)})
    };
    let set = list("set", json!({"type": "string"}), "self == oldSelf && self + ['c', 'a'] == ['a', 'b', 'c']");
    assert_eq!(said(&set, json!(["a", "b"]), Some(json!(["b", "a"]))).0, none());
    let atomic = list("atomic", json!({"type": "string"}), "self == oldSelf");
    assert_eq!(said(&atomic, json!(["a", "b"]), Some(json!(["b", "a"]))).0.len(), 1);
    let item = json!({"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}});
    let map = list("map", item, "self == oldSelf && (self + oldSelf).size() == 2");
    let (one, two) = (json!({"k": "a", "v": 1}), json!({"k": "b", "v": 2}));
    assert_eq!(said(&map, json!([one, two]), Some(json!([two, one]))).0, none());
}

#[test]
fn all_rules_of_an_object_share_a_budget() {
    let loops = "self.all(a, self.all(b, self.all(c, a + b + c != 'x')))";
    let spec = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": rule(loops)});
    let many = json!(vec!["abcdef"; 200]);
    let error = said(&spec, many, None).0;
    let why = "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: ";
    assert_eq!(error, [format!(r#"spec: Invalid value: "array": {why}{loops}"#)]);
    let dear = "[1, 2, 3, 4, 5, 6, 7, 8, 9].all(a, [1, 2, 3, 4, 5, 6, 7, 8, 9].all(b, [1, 2, 3, 4, 5, 6, 7, 8, 9].all(c, a + b + c > self)))";
    let spec = json!({"type": "array", "items": {"type": "integer", "x-kubernetes-validations": rule(dear)}});
    let error = said(&spec, json!(vec![0; 5000]), None).0;
    assert_eq!(error.len(), 1);
    assert!(error[0].ends_with("validation failed due to running out of cost budget, no further validation rules will be run"), "{error:?}");
}

#[test]
fn nothing_is_asked_of_an_object_of_another_form() {
    let of = expressions(json!({"type": "integer", "x-kubernetes-validations": rule("self > 1")}));
    let path = meta::field::Path::new("spec");
    let found = vec![meta::field::Error::required(&path, "")];
    let said = of.validate(&object(json!(0)), None, &found).errors;
    assert_eq!(said.len(), 1);
    let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
    assert_eq!(said[0].to_string(), format!(r#"<nil>: Invalid value: null: {why}"#));
}

#[test]
fn a_schema_without_rules_costs_nothing() {
    let none = expressions(json!({"type": "integer"}));
    assert_eq!(none.cost(), 0);
    let some = expressions(json!({"type": "integer", "x-kubernetes-validations": rule("self > 1")}));
    assert_eq!(some.cost(), cel::limits::RUNTIME, "it is not compiled");
    some.validate(&object(json!(2)), None, &Errors::new());
    assert!((1..10).contains(&some.cost()));
}
