//! The life of a definition. What is said of wrong ones is held against upstream in `tests/structural`.

use meta::Object;
use serde_json::{Value, json};

use super::descriptor;
use crate::Context;

fn definition(change: impl FnOnce(&mut Value)) -> Object {
    let mut tree = json!({
        "metadata": {"name": "things.example.com", "resourceVersion": "1"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    });
    change(&mut tree);
    let mut object = Object::from_value(tree).expect("a map");
    descriptor().rules.default(&mut object);
    object
}

fn created(change: impl FnOnce(&mut Value)) -> Object {
    let mut object = definition(change);
    descriptor().rules.prepare_create(&mut object, &Context::default());
    object
}

fn texts(errors: Vec<meta::field::Error>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn names_and_conversion_are_filled_in() {
    let made = created(|tree| tree["status"] = json!({"storedVersions": ["v0"], "conditions": [{"type": "Established"}]}));
    assert_eq!(made.str_at("spec.names.singular"), "thing");
    assert_eq!(made.str_at("spec.names.listKind"), "ThingList");
    assert_eq!(made.str_at("spec.conversion.strategy"), "None");
    assert_eq!(made.at("status"), Some(&json!({"storedVersions": ["v1"]})));
    let service = |tree: &mut Value| tree["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"name": "a"}}}});
    assert_eq!(definition(service).i64_at("spec.conversion.webhook.clientConfig.service.port"), Some(443));
}

#[test]
fn a_new_version_of_storage_is_remembered_beside_the_old_one() {
    let (rules, old) = (descriptor().rules, created(|_| {}));
    let mut new = definition(|tree| {
        tree["spec"]["versions"][0]["storage"] = json!(false);
        let other = json!({"name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
        tree["spec"]["versions"].as_array_mut().expect("a list").push(other);
        tree["status"] = json!({});
    });
    rules.prepare_update(&mut new, &old, &Context::default());
    assert_eq!(new.at("status.storedVersions"), Some(&json!(["v1", "v2"])));
    assert_eq!(texts(rules.validate_update(&new, &old)), [""; 0]);
    assert!(rules.generation_changes(&new, &old));
    new.set("spec.versions", json!([new.list_at("spec.versions")[1]]));
    let said = texts(rules.validate_update(&new, &old));
    assert!(said[0].starts_with(r#"status.storedVersions[0]: Invalid value: "v1": missing from spec.versions"#), "{said:?}");
}

#[test]
fn kind_and_scope_stay_when_the_names_were_accepted() {
    let rules = descriptor().rules;
    let mut old = created(|_| {});
    let mut new = created(|tree| tree["spec"]["scope"] = json!("Namespaced"));
    assert_eq!(texts(rules.validate_update(&new, &old)), [""; 0]);
    for object in [&mut old, &mut new] {
        object.set("status.conditions", json!([{"type": "Established", "status": "True"}]));
    }
    assert_eq!(texts(rules.validate_update(&new, &old)), [r#"spec.scope: Invalid value: "Namespaced": field is immutable"#]);
}

#[test]
fn a_change_of_the_status_changes_nothing_else() {
    let (rules, old) = (descriptor().rules, created(|_| {}));
    let mut new = created(|tree| tree["spec"]["group"] = json!("else.com"));
    new.set("status.acceptedNames", json!({"plural": "Things"}));
    rules.prepare_subresource("status", &mut new, &old, &Context::default());
    assert_eq!(new.str_at("spec.group"), "example.com");
    let said = texts(rules.validate_subresource("status", &new, &old));
    assert!(said.len() == 1 && said[0].starts_with(r#"status.acceptedNames.plural: Invalid value: "Things": a DNS-1035 label"#), "{said:?}");
}

#[test]
fn a_format_that_says_nothing_is_warned_of_once() {
    let rules = descriptor().rules;
    let odd = |format: &str| {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "format": format}}});
        created(|tree| tree["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema)
    };
    assert_eq!(rules.warnings(&odd("strange"), None), [r#"unrecognized format "strange""#]);
    assert_eq!(rules.warnings(&odd("strange"), Some(&odd("strange"))), [""; 0]);
    assert_eq!(rules.warnings(&odd("date-time"), None), [""; 0]);
}
