//! Conversion by a webhook: how often it is asked, in what portions, and who suffers when it fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admission::Call as Webhooks;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use kinds::webhook::Client;
use meta::{Object, Status};
use registry::api::*;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::kit::{World, object, scope, value, world};

/// Splits and joins an address: `hostPort` in v1, `host` and `port` in v2.
struct Webhook {
    /// What was asked: names, and the version that they were to have.
    asked: Mutex<Vec<(Vec<String>, String)>>,
    /// Whom it refuses.
    refuses: Mutex<Option<&'static str>>,
    /// Answers that it may give.
    turns: Semaphore,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Webhook {
    fn answer(&self, review: &Value) -> Value {
        let to = review["request"]["desiredAPIVersion"].as_str().unwrap_or_default().to_owned();
        let objects = review["request"]["objects"].as_array().cloned().unwrap_or_default();
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let names: Vec<String> = objects.iter().map(name).collect();
        let refuses = self.refuses.lock().expect("no panic").filter(|refused| names.iter().any(|name| name == refused));
        self.asked.lock().expect("no panic").push((names, to.clone()));
        let result = if refuses.is_some() { json!({"status": "Failure", "message": "no!"}) } else { json!({"status": "Success"}) };
        let converted: Vec<Value> = objects.into_iter().map(|object| convert(object, &to)).collect();
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
            "response": {"uid": review["request"]["uid"], "result": result, "convertedObjects": converted}})
    }

    /// Forgets what it was asked, and says it.
    fn asked(&self) -> Vec<(Vec<String>, String)> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }
}

fn convert(mut object: Value, to: &str) -> Value {
    object["apiVersion"] = to.into();
    let Some(spec) = object.get_mut("spec") else { return object };
    *spec = match to {
        "example.com/v2" => match spec["hostPort"].as_str().unwrap_or_default().split_once(':') {
            Some((host, port)) => json!({"host": host, "port": port, "unknown": 1}),
            None => json!({}),
        },
        _ => json!({"hostPort": format!("{}:{}", spec["host"].as_str().unwrap_or_default(), spec["port"].as_str().unwrap_or_default())}),
    };
    object
}

#[async_trait]
impl Webhooks for Webhook {
    async fn post(&self, _client: &Client, body: Bytes, _patience: Duration) -> Result<Bytes, String> {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let turn = self.turns.acquire().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        turn.expect("is open").forget();
        let review = serde_json::from_slice(&body).expect("JSON");
        Ok(self.answer(&review).to_string().into())
    }
}

fn definition(stored: &str) -> Object {
    let version = |name: &str, fields: &[&str]| {
        let fields: serde_json::Map<String, Value> = fields.iter().map(|f| ((*f).to_owned(), json!({"type": "string"}))).collect();
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}});
        let selectable = json!([{"jsonPath": format!(".spec.{}", if name == "v1" { "hostPort" } else { "host" })}]);
        json!({"name": name, "served": true, "storage": name == stored, "schema": {"openAPIV3Schema": schema}, "selectableFields": selectable})
    };
    let names = json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"});
    object(json!({"metadata": {"name": "widgets.example.com"}, "status": {"acceptedNames": names},
        "spec": {"group": "example.com", "scope": "Namespaced", "versions": [version("v1", &["hostPort"]), version("v2", &["host", "port"])],
            "names": names, "conversion": {"strategy": "Webhook",
                "webhook": {"clientConfig": {"url": "https://webhook"}, "conversionReviewVersions": ["v1"]}}}}))
}

async fn serve(world: &World, stored: &str) {
    let kinds = kinds::custom::descriptors(&definition(stored)).expect("can be served");
    world.registry.serve(vec![(kinds[0].storage.clone(), kinds)]).await.expect("is served");
}

/// A registry with widgets, stored in v1, and who converts them.
async fn widgets() -> (World, Arc<Webhook>) {
    let world = world().await;
    let webhook = Arc::new(Webhook {
        asked: Mutex::default(),
        refuses: Mutex::default(),
        turns: Semaphore::new(1 << 20),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    world.registry.set_calls(webhook.clone());
    serve(&world, "v1").await;
    (world, webhook)
}

fn call(version: &str, name: &str) -> Call {
    let mut call = crate::kit::call("widgets.example.com", "default", name);
    call.attributes.version = version.to_owned();
    call
}

fn widget(version: &str, name: &str, spec: Value) -> Object {
    object(json!({"apiVersion": format!("example.com/{version}"), "kind": "Widget", "metadata": {"name": name}, "spec": spec}))
}

async fn create(world: &World, name: &str) {
    let new = widget("v1", name, json!({"hostPort": "h:1"}));
    world.create(&call("v1", ""), new).await.expect("created");
}

async fn list(world: &World, version: &str, options: &ListOptions) -> Result<List, Status> {
    world.registry.list(&call(version, "").attributes, &scope("default", "", ""), options).await
}

async fn watch(world: &World, version: &str) -> WatchStream {
    let options = WatchOptions { changes_only: true, ..WatchOptions::default() };
    world.registry.watch(&call(version, "").attributes, scope("default", "", ""), options).await.expect("watched")
}

async fn get(world: &World, version: &str, name: &str) -> Result<Object, Status> {
    world.registry.get(&call(version, name).attributes, "").await.map(|found| value(&found))
}

fn asked(names: &[&str], to: &str) -> (Vec<String>, String) {
    (names.iter().map(|name| (*name).to_owned()).collect(), format!("example.com/{to}"))
}

#[tokio::test]
async fn a_revision_is_converted_once_for_all_readers() {
    let (world, webhook) = widgets().await;
    create(&world, "a").await;
    assert_eq!(webhook.asked(), [], "nobody asks for another version");
    let first = get(&world, "v2", "a").await.expect("converted");
    assert_eq!(first.at("spec"), Some(&json!({"host": "h", "port": "1"})), "what the schema does not know is dropped");
    let same = get(&world, "v1", "a").await.expect("as it is stored");
    assert_eq!((first.uid(), first.resource_version()), (same.uid(), same.resource_version()));
    for _ in 0..3 {
        get(&world, "v2", "a").await.expect("known");
        list(&world, "v2", &ListOptions::default()).await.expect("known");
    }
    assert_eq!(webhook.asked(), [asked(&["a"], "v2")]);
    // Two who watch hear of a change that is converted once, as does whoever made it.
    let mut watches = [watch(&world, "v2").await, watch(&world, "v2").await];
    let mut changed = get(&world, "v2", "a").await.expect("known");
    changed.set("spec.port", "2");
    let written = world.registry.update(&call("v2", "a"), changed).await.expect("updated");
    assert_eq!(value(&written.object).str_at("spec.port"), "2");
    for watch in &mut watches {
        let Some(WatchEvent::Modified(seen)) = watch.next().await else { panic!("no change") };
        assert_eq!(value(&seen).str_at("spec.port"), "2");
    }
    let words = "for those who manage fields of the other version, to be stored, and to be shown";
    assert_eq!(webhook.asked(), [asked(&["a", "a"], "v1"), asked(&["a"], "v1"), asked(&["a"], "v2")], "{words}");
    assert_eq!(get(&world, "v1", "a").await.expect("stored").str_at("spec.hostPort"), "h:2");
    world.registry.delete(&call("v1", "a"), DeleteOptions::default()).await.expect("deleted");
    for watch in &mut watches {
        let Some(WatchEvent::Deleted(seen)) = watch.next().await else { panic!("not deleted") };
        assert_eq!(value(&seen).str_at("spec.port"), "2");
    }
    assert_eq!(webhook.asked(), [asked(&["a"], "v2")], "its last state has another revision");
}

#[tokio::test]
async fn those_who_come_together_wait_for_one_answer() {
    let (world, webhook) = widgets().await;
    create(&world, "a").await;
    webhook.turns.forget_permits(1 << 20);
    let readers = futures::future::join_all((0..20).map(|_| get(&world, "v2", "a")));
    let answer = async {
        while webhook.now.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // Meanwhile whoever wants what is stored has it.
        get(&world, "v1", "a").await.expect("nobody is asked");
        webhook.turns.add_permits(1);
    };
    let (read, ()) = tokio::join!(readers, answer);
    assert!(read.iter().all(|read| read.as_ref().is_ok_and(|read| read.str_at("spec.host") == "h")));
    assert_eq!(webhook.asked().len(), 1);
}

#[tokio::test]
async fn lists_go_in_portions_and_few_at_once() {
    let (world, webhook) = widgets().await;
    for number in 0..1050 {
        create(&world, &format!("w{number:04}")).await;
    }
    let page = ListOptions { limit: 30, ..ListOptions::default() };
    let page = list(&world, "v2", &page).await.expect("a page");
    assert_eq!((page.items.len(), page.remaining), (30, Some(1020)));
    assert_eq!(webhook.asked().iter().map(|(names, _)| names.len()).collect::<Vec<_>>(), [30], "no more than it takes");
    webhook.turns.forget_permits(1 << 20);
    let everything = ListOptions::default();
    let all = list(&world, "v2", &everything);
    let answer = async {
        // As many as may be at once wait, and no more come.
        while webhook.now.load(Ordering::SeqCst) < 8 {
            tokio::task::yield_now().await;
        }
        webhook.turns.add_permits(1 << 20);
    };
    let (all, ()) = tokio::join!(all, answer);
    let all = all.expect("a list");
    assert_eq!(all.items.len(), 1050);
    assert!(all.items.iter().all(|item| value(item).str_at("spec.host") == "h"));
    assert!(all.items.is_sorted_by(|a, b| a.key < b.key));
    let portions = webhook.asked();
    assert_eq!(portions.iter().map(|(names, _)| names.len()).sum::<usize>(), 1020);
    assert!(portions.iter().all(|(names, _)| names.len() <= 100));
    assert_eq!(webhook.most.load(Ordering::SeqCst), 8);
    let host = scope("default", "", "spec.host=h");
    let options = ListOptions { limit: 10, ..ListOptions::default() };
    let selected = world.registry.list(&call("v2", "").attributes, &host, &options).await.expect("a page");
    assert_eq!((selected.items.len(), selected.continue_token.is_empty()), (10, false));
    assert_eq!(webhook.asked(), [], "all are known");
}

#[tokio::test]
async fn a_failure_is_told_to_those_who_ask_for_that_version() {
    let (world, webhook) = widgets().await;
    create(&world, "bad").await;
    create(&world, "good").await;
    let (mut plain, mut converted) = (watch(&world, "v1").await, watch(&world, "v2").await);
    *webhook.refuses.lock().expect("no panic") = Some("bad");
    let words = "conversion webhook for example.com/v1, Kind=Widget failed: no!";
    let refused = get(&world, "v2", "bad").await.expect_err("refused");
    assert_eq!((refused.code, &*refused.message), (500, words));
    assert_eq!(list(&world, "v2", &ListOptions::default()).await.expect_err("refused").message, words);
    assert_eq!(get(&world, "v2", "good").await.expect("is converted").str_at("spec.host"), "h");
    assert_eq!(list(&world, "v1", &ListOptions::default()).await.expect("nobody is asked").items.len(), 2);
    let changed = widget("v2", "bad", json!({"host": "x", "port": "9"}));
    let refused = world.create(&call("v2", ""), changed).await.expect_err("cannot be stored");
    assert_eq!(refused.message, "conversion webhook for example.com/v2, Kind=Widget failed: no!");
    let mut changed = get(&world, "v1", "bad").await.expect("as it is stored");
    changed.set("spec.hostPort", "h:3");
    world.registry.update(&call("v1", "bad"), changed).await.expect("nobody is asked");
    assert!(matches!(plain.next().await, Some(WatchEvent::Modified(_))));
    let Some(WatchEvent::Error(status)) = converted.next().await else { panic!("no error") };
    assert_eq!(status.message, words);
    assert!(converted.next().await.is_none(), "it ends with that");
}

#[tokio::test]
async fn what_is_stored_in_several_versions_is_read_in_any() {
    let (world, webhook) = widgets().await;
    create(&world, "a").await;
    serve(&world, "v2").await;
    let new = widget("v2", "b", json!({"host": "g", "port": "2"}));
    world.create(&call("v2", ""), new).await.expect("created");
    assert_eq!(webhook.asked(), [], "it is stored as it is");
    let hosts = list(&world, "v2", &ListOptions::default()).await.expect("a list");
    assert_eq!(hosts.items.iter().map(|item| value(item).str_at("spec.host").to_owned()).collect::<Vec<_>>(), ["h", "g"]);
    assert_eq!(webhook.asked(), [asked(&["a"], "v2")]);
    let pairs = list(&world, "v1", &ListOptions::default()).await.expect("a list");
    assert_eq!(pairs.items.iter().map(|item| value(item).str_at("spec.hostPort").to_owned()).collect::<Vec<_>>(), ["h:1", "g:2"]);
    assert_eq!(webhook.asked(), [asked(&["b"], "v1")]);
    // Whatever is written is stored in the version of today, also if nothing else changes.
    let same = get(&world, "v2", "a").await.expect("known");
    let before = same.resource_version().to_owned();
    let written = world.registry.update(&call("v2", "a"), same).await.expect("updated");
    assert_ne!(value(&written.object).resource_version(), before);
    assert_eq!(webhook.asked(), [asked(&["a", "a"], "v1")], "for those who manage fields of the other version");
    *webhook.refuses.lock().expect("no panic") = Some("a");
    get(&world, "v2", "a").await.expect("nobody is asked any more");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_does_not_answer_is_given_up() {
    let (world, webhook) = widgets().await;
    create(&world, "a").await;
    webhook.turns.forget_permits(1 << 20);
    let late = get(&world, "v2", "a").await.expect_err("no answer");
    let words = r#"conversion webhook for example.com/v1, Kind=Widget failed: Post "https://webhook?timeout=30s": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"#;
    assert_eq!((late.code, &*late.message), (500, words));
    webhook.turns.add_permits(1);
    get(&world, "v2", "a").await.expect("asked anew");
}

#[tokio::test]
async fn a_batch_goes_on_when_its_reader_is_gone() {
    let (world, webhook) = widgets().await;
    create(&world, "a").await;
    webhook.turns.forget_permits(1 << 20);
    {
        let mut reader = Box::pin(get(&world, "v2", "a"));
        while webhook.now.load(Ordering::SeqCst) == 0 {
            assert!(futures::poll!(&mut reader).is_pending());
            tokio::task::yield_now().await;
        }
    }
    webhook.turns.add_permits(1);
    get(&world, "v2", "a").await.expect("is on its way");
    assert_eq!(webhook.asked().len(), 1);
}

#[tokio::test]
async fn managers_speak_their_own_versions() {
    let (world, webhook) = widgets().await;
    let apply = async |version: &str, manager: &str, force: bool, spec: Value| {
        let call = Call { field_manager: manager.to_owned(), ..call(version, "a") };
        let patch = Patch::Apply { configuration: widget(version, "a", spec), force };
        world.registry.patch(&call, patch).await.map(|written| value(&written.object))
    };
    let managed = |object: &Object| {
        let all = object.list_at("metadata.managedFields").iter();
        all.map(|m| (m["manager"].as_str().unwrap_or_default().to_owned(), m["fieldsV1"]["f:spec"].clone())).collect::<Vec<_>>()
    };
    apply("v1", "ann", false, json!({"hostPort": "h:1"})).await.expect("applied");
    let conflict = apply("v2", "bob", false, json!({"host": "g", "port": "2"})).await.expect_err("it is hers");
    assert_eq!((conflict.code, &*conflict.message), (409, r#"Apply failed with 1 conflict: conflict with "ann": .spec.hostPort"#));
    let same = apply("v2", "bob", false, json!({"host": "h", "port": "1"})).await.expect("nothing changes");
    assert_eq!(managed(&same).len(), 2, "both say so");
    let taken = apply("v2", "bob", true, json!({"host": "g", "port": "2"})).await.expect("taken");
    assert_eq!(managed(&taken), [("bob".to_owned(), json!({"f:host": {}, "f:port": {}}))]);
    // In another version he applies less: what he had goes.
    let left = apply("v1", "bob", false, json!({})).await.expect("applied");
    assert_eq!(left.str_at("spec.hostPort"), ":");
    // Without the webhook nobody knows any more who managed what in the other version.
    apply("v2", "cid", true, json!({"host": "i", "port": "3"})).await.expect("applied");
    *webhook.refuses.lock().expect("no panic") = Some("a");
    let mut plain = get(&world, "v1", "a").await.expect("as it is stored");
    plain.set("spec.hostPort", "k:4");
    let written = world.registry.update(&call("v1", "a"), plain).await.expect("written all the same");
    assert_eq!(value(&written.object).at("metadata.managedFields"), None);
}
