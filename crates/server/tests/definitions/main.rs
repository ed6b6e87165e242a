//! Custom resources, from their definition to their end.

#[path = "../kit/mod.rs"]
mod kit;
mod rules;

use http::Method;
use kit::Kit;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    let schema = json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "properties": {
            "size": {"type": "integer", "minimum": 1, "default": 3},
            "color": {"type": "string", "enum": ["red", "blue"]},
            "replicas": {"type": "integer"},
        }},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
    }});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector"}},
            "selectableFields": [{"jsonPath": ".spec.color"}],
            "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}]})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "versions": [version("v1", true), version("v1beta1", false)],
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wd"]}}})
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

async fn send(kit: &Kit, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let answer = kit.ask(method, path, &[], body.to_string()).await;
    let code = answer.code.as_u16();
    (code, serde_json::from_str(answer.text()).unwrap_or_default())
}

/// Lets the tasks of the server work until something is so.
async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let all = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), all).await.unwrap_or_else(|_| panic!("{what}: not within 20 s"));
}

/// The definition, once it is served.
async fn defined(kit: &Kit) {
    let (code, made) = send(kit, Method::POST, DEFINITIONS, &definition()).await;
    assert_eq!(code, 201, "{made}");
    until("it is served", || async { kit.get(WIDGETS).await.code == 200 }).await;
    let now = kit.get(&format!("{DEFINITIONS}/widgets.example.com")).await.json();
    assert_eq!(now["status"]["acceptedNames"], definition()["spec"]["names"]);
    assert_eq!(now["status"]["storedVersions"], json!(["v1"]));
    let conditions: Vec<(&str, &str)> = now["status"]["conditions"].as_array().into_iter().flatten()
        .map(|c| (c["type"].as_str().unwrap_or(""), c["status"].as_str().unwrap_or(""))).collect();
    assert_eq!(conditions, [("NamesAccepted", "True"), ("Established", "True")]);
}

#[tokio::test]
async fn a_custom_resource_lives_like_any_other() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    defined(&kit).await;
    let (code, made) = send(&kit, Method::POST, WIDGETS, &widget("a", json!({"color": "red", "replicas": 2}))).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"], json!({"color": "red", "replicas": 2, "size": 3}), "defaults are filled in");
    assert_eq!(made["metadata"]["generation"], 1);
    let one = format!("{WIDGETS}/a");
    let answer = kit.get(&one).await;
    let text = answer.text();
    assert!(text.starts_with(r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"creationTimestamp":"#), "{text}");
    let (code, refused) = send(&kit, Method::POST, WIDGETS, &widget("b", json!({"color": "green", "size": 0}))).await;
    assert_eq!(code, 422);
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains(r#"spec.color: Unsupported value: "green": supported values: "red", "blue""#), "{message}");
    assert!(message.contains("spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"), "{message}");
    // Unknown fields are pruned, and warned of.
    let (_, pruned) = send(&kit, Method::POST, WIDGETS, &widget("c", json!({"color": "blue", "nothing": 1}))).await;
    assert_eq!(pruned["spec"], json!({"color": "blue", "size": 3}));
    // The list, and by a field of its own.
    let list = kit.get(WIDGETS).await;
    assert!(list.text().starts_with(r#"{"apiVersion":"example.com/v1","items":[{"apiVersion":"#), "{}", list.text());
    assert!(list.text().contains(r#""kind":"WidgetList","metadata":{"continue":"","resourceVersion":""#));
    let red = kit.get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dred")).await.json();
    assert_eq!(red["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(kit.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D3")).await.code, 400);
    // The other version.
    let other = kit.get("/apis/example.com/v1beta1/namespaces/default/widgets/a").await.json();
    assert_eq!((&other["apiVersion"], &other["spec"]), (&json!("example.com/v1beta1"), &made["spec"]));
    // Status and scale.
    let mut stated = kit.get(&one).await.json();
    stated["status"] = json!({"replicas": 1, "selector": "a=b"});
    stated["spec"]["color"] = json!("blue");
    let (code, stated) = send(&kit, Method::PUT, &format!("{one}/status"), &stated).await;
    assert_eq!((code, &stated["spec"]["color"], &stated["status"]["replicas"]), (200, &json!("red"), &json!(1)));
    let scale = kit.get(&format!("{one}/scale")).await.json();
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(2), &json!("a=b")));
    let headers = [("content-type", "application/merge-patch+json")];
    let scaled = kit.ask(Method::PATCH, &format!("{one}/scale"), &headers, r#"{"spec":{"replicas":5}}"#.to_owned()).await;
    assert_eq!(scaled.code, 200, "{}", scaled.text());
    let now = kit.get(&one).await.json();
    assert_eq!((&now["spec"]["replicas"], &now["metadata"]["generation"]), (&json!(5), &json!(2)));
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    assert_eq!(kit.ask(Method::PATCH, &one, &strategic, "{}".to_owned()).await.code, 415);
    // Its table.
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = kit.ask(Method::GET, WIDGETS, &table, String::new()).await.json();
    assert_eq!(table["columnDefinitions"][1]["name"], "Color");
    assert_eq!(table["rows"][0]["cells"], json!(["a", "red"]));
}

#[tokio::test]
async fn applied_fields_are_owned_by_the_definitions_lists() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    defined(&kit).await;
    let apply = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{WIDGETS}/a?fieldManager=m");
    let first = kit.ask(Method::PATCH, &path, &apply, widget("a", json!({"color": "red"})).to_string()).await;
    assert_eq!(first.code, 201, "{}", first.text());
    assert_eq!(first.json()["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {"f:color": {}}}));
    let again = kit.ask(Method::PATCH, &path, &apply, widget("a", json!({"size": 4})).to_string()).await.json();
    assert_eq!(again["spec"], json!({"size": 4}), "what is applied no more goes");
    let other = format!("{WIDGETS}/a?fieldManager=n");
    let conflict = kit.ask(Method::PATCH, &other, &apply, widget("a", json!({"size": 5})).to_string()).await;
    assert_eq!(conflict.code, 409, "{}", conflict.text());
}

#[tokio::test]
async fn a_definition_takes_its_objects_with_it() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    defined(&kit).await;
    let mut held = widget("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(send(&kit, Method::POST, WIDGETS, &held).await.0, 201);
    assert_eq!(send(&kit, Method::POST, WIDGETS, &widget("a", json!({}))).await.0, 201);
    let one = format!("{DEFINITIONS}/widgets.example.com");
    let gone = kit.ask(Method::DELETE, &one, &[], String::new()).await;
    assert_eq!(gone.code, 200, "{}", gone.text());
    assert_eq!(gone.json()["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    until("the object goes", || async { kit.get(&format!("{WIDGETS}/a")).await.code == 404 }).await;
    let refused = send(&kit, Method::POST, WIDGETS, &widget("b", json!({}))).await;
    assert_eq!(refused.0, 403, "{}", refused.1);
    assert_eq!(kit.get(&one).await.code, 200, "an object waits");
    let merge = [("content-type", "application/merge-patch+json")];
    let freed = kit.ask(Method::PATCH, &format!("{WIDGETS}/held"), &merge, r#"{"metadata":{"finalizers":null}}"#.to_owned()).await;
    assert_eq!(freed.code, 200, "{}", freed.text());
    until("the definition goes", || async { kit.get(&one).await.code == 404 }).await;
    until("it is served no more", || async { kit.get(WIDGETS).await.code == 404 }).await;
}

#[tokio::test]
async fn what_the_stored_version_does_not_know_is_dropped_whichever_version_wrote_it() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let mut two = definition();
    let other = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "color": {"type": "string"}, "shade": {"type": "string", "default": "dark"}}}}});
    two["spec"]["versions"][1]["schema"]["openAPIV3Schema"] = other;
    two["spec"]["versions"][1]["selectableFields"] = json!([]);
    let (code, made) = send(&kit, Method::POST, DEFINITIONS, &two).await;
    assert_eq!(code, 201, "{made}");
    until("it is served", || async { kit.get(WIDGETS).await.code == 200 }).await;
    let beta = "/apis/example.com/v1beta1/namespaces/default/widgets";
    let object = json!({"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"color": "red", "shade": "light"}});
    let (code, made) = send(&kit, Method::POST, beta, &object).await;
    assert_eq!((code, &made["spec"]), (201, &json!({"color": "red", "shade": "dark"})), "{made}");
    let read = kit.get(&format!("{WIDGETS}/a")).await.json();
    assert_eq!(read["spec"], json!({"color": "red", "size": 3}));
    assert_eq!(kit.get(&format!("{beta}/a")).await.json()["spec"], made["spec"]);
}

/// Its objects go, although no version of it has been served for a while.
#[tokio::test]
async fn a_definition_that_serves_nothing_takes_its_objects_with_it() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    defined(&kit).await;
    assert_eq!(send(&kit, Method::POST, WIDGETS, &widget("a", json!({}))).await.0, 201);
    let one = format!("{DEFINITIONS}/widgets.example.com");
    let mut now = kit.get(&one).await.json();
    for version in now["spec"]["versions"].as_array_mut().expect("versions") {
        version["served"] = json!(false);
    }
    assert_eq!(send(&kit, Method::PUT, &one, &now).await.0, 200);
    until("it is served no more", || async { kit.get(WIDGETS).await.code == 404 }).await;
    assert_eq!(kit.ask(Method::DELETE, &one, &[], String::new()).await.code, 200);
    until("the definition goes", || async { kit.get(&one).await.code == 404 }).await;
    // Under the same name there is nothing of before.
    defined(&kit).await;
    assert_eq!(kit.get(WIDGETS).await.json()["items"], json!([]));
}

/// Clients of metadata alone ask for protobuf first.
#[tokio::test]
async fn metadata_of_a_custom_resource_is_had_as_protobuf() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    defined(&kit).await;
    let mut labelled = widget("a", json!({}));
    labelled["metadata"]["labels"] = json!({"colour": "of-the-sea"});
    assert_eq!(send(&kit, Method::POST, WIDGETS, &labelled).await.0, 201);
    let accept = [("accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")];
    let answer = kit.ask(Method::GET, &format!("{WIDGETS}/a"), &accept, String::new()).await;
    assert_eq!(answer.code, 200);
    let has = |text: &str| answer.body.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(answer.body.starts_with(b"k8s\0") && has("PartialObjectMetadata") && has("of-the-sea"));
}

#[tokio::test]
async fn a_definition_does_not_take_the_place_of_what_is_built_in() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let mut leases = definition();
    leases["metadata"] = json!({"name": "leases.coordination.k8s.io", "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}});
    leases["spec"]["group"] = json!("coordination.k8s.io");
    leases["spec"]["names"] = json!({"plural": "leases", "singular": "lease", "kind": "Lease", "listKind": "LeaseList"});
    let (code, made) = send(&kit, Method::POST, DEFINITIONS, &leases).await;
    assert_eq!(code, 201, "{made}");
    let one = format!("{DEFINITIONS}/leases.coordination.k8s.io");
    let established = |object: &Value| object["status"]["conditions"].as_array().is_some_and(|all| all.len() > 1);
    until("its names are looked at", || async { established(&kit.get(&one).await.json()) }).await;
    // Whatever else happens to definitions.
    defined(&kit).await;
    let list = kit.get("/apis/coordination.k8s.io/v1/namespaces/default/leases").await.json();
    assert_eq!((&list["kind"], &list["items"]), (&json!("LeaseList"), &json!([])));
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}, "spec": {"holderIdentity": "x"}});
    let (code, made) = send(&kit, Method::POST, "/apis/coordination.k8s.io/v1/namespaces/default/leases", &lease).await;
    assert_eq!((code, &made["spec"]["holderIdentity"]), (201, &json!("x")), "{made}");
    assert_eq!(kit.ask(Method::DELETE, &one, &[], String::new()).await.code, 200);
    until("the definition goes", || async { kit.get(&one).await.code == 404 }).await;
    let left = kit.get("/apis/coordination.k8s.io/v1/namespaces/default/leases/a").await;
    assert_eq!(left.code, 200, "the object stays: {}", left.text());
}

/// One definition that nobody can read keeps no other from being served.
#[tokio::test]
async fn a_definition_that_is_damaged_harms_itself_alone() {
    let store = store::Memory::new();
    let key = "/registry/apiextensions.k8s.io/customresourcedefinitions/damaged.example.com".into();
    let op = store::Op::Put("{damaged".into());
    let write = store::Write { key, expect: store::Expect::Absent, op, durability: store::Durability::Sync, note: None };
    store::Store::commit(&store, write).await.expect("written");
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::over(directory.path(), store).await;
    defined(&kit).await;
    assert_eq!(kit.get(&format!("{DEFINITIONS}/damaged.example.com")).await.code, 500);
    assert_eq!(kit.ask(Method::DELETE, &format!("{DEFINITIONS}/widgets.example.com"), &[], String::new()).await.code, 200);
    until("the other goes", || async { kit.get(&format!("{DEFINITIONS}/widgets.example.com")).await.code == 404 }).await;
}

#[tokio::test]
async fn a_changed_schema_is_another_document() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    defined(&kit).await;
    let url = async || kit.get("/openapi/v3").await.json()["paths"]["apis/example.com/v1"]["serverRelativeURL"].clone();
    let (before, fields) = (url().await, "spec");
    let document = kit.get(before.as_str().expect("a document")).await.json();
    let thing = &document["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(thing["properties"][fields]["properties"]["color"]["enum"], json!(["red", "blue"]));
    let merge = [("content-type", "application/json-patch+json")];
    let path = |version| format!("/spec/versions/{version}/schema/openAPIV3Schema/properties/spec/properties/size/description");
    let patch = json!([0, 1].map(|version| json!({"op": "add", "path": path(version), "value": "how large"}))).to_string();
    let changed = kit.ask(Method::PATCH, &format!("{DEFINITIONS}/widgets.example.com"), &merge, patch).await;
    assert_eq!(changed.code, 200, "{}", changed.text());
    until("it is published anew", || async { url().await != before }).await;
    let before = url().await;
    let path = |version| format!("/spec/versions/{version}/selectableFields/-");
    let select = json!([0, 1].map(|version| json!({"op": "add", "path": path(version), "value": {"jsonPath": ".spec.size"}}))).to_string();
    let changed = kit.ask(Method::PATCH, &format!("{DEFINITIONS}/widgets.example.com"), &merge, select).await;
    assert_eq!(changed.code, 200, "{}", changed.text());
    until("its fields are published anew", || async { url().await != before }).await;
    let document = kit.get(url().await.as_str().expect("a document")).await.json();
    let fields = json!([{"fieldPath": "spec.color"}, {"fieldPath": "spec.size"}]);
    assert_eq!(document["components"]["schemas"]["com.example.v1.WidgetList"]["x-kubernetes-selectable-fields"], fields);
}
