//! Rules in CEL from the outside: what upstream's end-to-end tests (`crd_validation_rules.go`, `crd_validation_ratcheting.go`)
//! want of them.

use http::Method;
use serde_json::{Value, json};

use super::kit::Kit;
use super::{DEFINITIONS, WIDGETS, definition, send, until, widget};

/// A definition whose specification is this.
fn ruled(spec: Value) -> Value {
    let mut made = definition();
    for version in made["spec"]["versions"].as_array_mut().expect("a list") {
        let status = json!({"type": "object", "properties": {"health": {"type": "string"}},
            "x-kubernetes-validations": [{"rule": "self.health == 'ok' || self.health == 'unhealthy'"}]});
        version["schema"] = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}});
        version["subresources"] = json!({"status": {}});
        version["selectableFields"] = Value::Null;
    }
    made
}

async fn served(kit: &Kit, spec: Value) {
    let (code, made) = send(kit, Method::POST, DEFINITIONS, &ruled(spec)).await;
    assert_eq!(code, 201, "{made}");
    until("it is served", || async { kit.get(WIDGETS).await.code == 200 }).await;
}

async fn refused(kit: &Kit, path: &str, body: &Value, why: &str) {
    let (code, said) = send(kit, Method::POST, path, body).await;
    let message = said["message"].as_str().unwrap_or_default();
    assert!(code == 422 && message.contains(why), "{code} {message}");
}

fn numbers(most: u64) -> Value {
    json!({"type": "array", "maxItems": most, "items": {"type": "integer"}})
}

/// One worker more: what a rule costs is not paid by those who serve others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_held_to_rules() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let rules = json!([{"rule": "self.x + self.y > 0"},
        {"rule": "self.first.isSorted() && self.second.isSorted() && ((self.first.sum() + self.second.sum()) % 2 == 0)"},
        {"rule": "self.large.all(x, self.large.all(y, y == x))"}]);
    let fields = json!({"x": {"type": "integer"}, "y": {"type": "integer"}, "first": numbers(1000), "second": numbers(1000), "large": numbers(725)});
    served(&kit, json!({"type": "object", "properties": fields, "x-kubernetes-validations": rules})).await;
    let good = json!({"x": 1, "y": 0, "first": [3, 4], "second": [5, 10], "large": [2, 2]});
    let (code, made) = send(&kit, Method::POST, WIDGETS, &widget("a", good.clone())).await;
    assert_eq!(code, 201, "{made}");
    refused(&kit, WIDGETS, &widget("b", json!({"x": 0, "y": 0})), "spec: Invalid value: failed rule: self.x + self.y > 0").await;
    refused(&kit, WIDGETS, &widget("b", json!({"x": 0, "y": 0})), "spec: Invalid value: \"object\": no such key: first evaluating rule").await;
    let large = json!({"x": 1, "y": 0, "first": [], "second": [], "large": vec![20; 725]});
    refused(&kit, WIDGETS, &widget("b", large), "call cost exceeds limit").await;
    let mut stated = made;
    stated["status"] = json!({"health": "odd"});
    let (code, said) = send(&kit, Method::PUT, &format!("{WIDGETS}/a/status"), &stated).await;
    assert_eq!((code, said["details"]["causes"][0]["field"].as_str()), (422, Some("status")), "{said}");
    stated["status"] = json!({"health": "ok"});
    assert_eq!(send(&kit, Method::PUT, &format!("{WIDGETS}/a/status"), &stated).await.0, 200);
}

#[tokio::test]
async fn definitions_with_wrong_rules_are_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let with = |fields: Value, rule: &str| ruled(json!({"type": "object", "properties": fields, "x-kubernetes-validations": [{"rule": rule}]}));
    refused(&kit, DEFINITIONS, &with(json!({"x": {"type": "integer"}}), "self.z == 100"), "undefined field 'z'").await;
    refused(&kit, DEFINITIONS, &with(json!({}), "self = 42"), "Syntax error").await;
    let inner = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(s, s == 'string constant')"}]});
    let dear = with(json!({"x": {"type": "array", "items": inner}}), "true");
    refused(&kit, DEFINITIONS, &dear, "estimated rule cost exceeds budget by factor of more than 100x").await;
}

#[tokio::test]
async fn changes_are_held_to_rules_on_changes_and_warned_of_what_stays_wrong() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let number = json!({"type": "integer", "x-kubernetes-validations": [{"rule": "self > oldSelf"}]});
    served(&kit, json!({"type": "object", "properties": {"number": number, "name": {"type": "string"}}})).await;
    let (code, made) = send(&kit, Method::POST, WIDGETS, &widget("a", json!({"number": 10, "name": "x"}))).await;
    assert_eq!(code, 201, "{made}");
    let merge = [("content-type", "application/merge-patch+json")];
    let patch = async |body: &str| kit.ask(Method::PATCH, &format!("{WIDGETS}/a"), &merge, body.to_owned()).await;
    let less = patch(r#"{"spec":{"number":9}}"#).await;
    assert!(less.code == 422 && less.text().contains("failed rule: self \\u003e oldSelf"), "{}", less.text());
    assert_eq!(patch(r#"{"spec":{"number":11}}"#).await.code, 200);
    // A rule that comes later lets be what is there.
    let rule = json!([{"rule": "self.startsWith('a')", "message": "begins with a"}]);
    let path = |version: usize| format!("/spec/versions/{version}/schema/openAPIV3Schema/properties/spec/properties/name/x-kubernetes-validations");
    let stricter = json!([0, 1].map(|version| json!({"op": "add", "path": path(version), "value": rule}))).to_string();
    let json_patch = [("content-type", "application/json-patch+json")];
    let changed = kit.ask(Method::PATCH, &format!("{DEFINITIONS}/widgets.example.com"), &json_patch, stricter).await;
    assert_eq!(changed.code, 200, "{}", changed.text());
    let other = widget("b", json!({"name": "x"})).to_string();
    let strict = format!("{WIDGETS}?dryRun=All");
    until("the rule holds", || async { kit.ask(Method::POST, &strict, &[], other.clone()).await.code == 422 }).await;
    let kept = patch(r#"{"spec":{"number":12}}"#).await;
    assert_eq!((kept.code.as_u16(), kept.header("warning")), (200, r#"299 - "spec.name: Invalid value: \"x\": begins with a""#));
    assert_eq!(patch(r#"{"spec":{"name":"y","number":13}}"#).await.code, 422);
}
