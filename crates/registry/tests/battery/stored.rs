//! What lies in the store: upstream's bytes, whoever writes them, and older data that gets their form.

use std::sync::Arc;

use bytes::Bytes;
use kinds::{Descriptor, Marked, Now, Verbs};
use meta::{Encoded, Object};
use registry::api::{DeleteOptions, ListOptions};
use registry::{Config, Registry};
use schema::{Schema, proto};
use serde_json::json;
use store::{Disk, Durability, Expect, Memory, Op, Store, Write};

use crate::kit::*;

const EXAMPLES: &str = include_str!("../../../kinds/tests/examples.yaml");

/// Every kind that is stored, with an object of it.
fn examples() -> Vec<(Descriptor, Object)> {
    let stored = |descriptor: &Descriptor| descriptor.verbs != Verbs::CreateOnly;
    let all: Vec<Object> = schema::yaml_documents(EXAMPLES)
        .map(|text| object(schema::yaml_to_json(text).expect("YAML").0))
        .collect();
    let of = |descriptor: &Descriptor| all.iter().find(|o| o.gvk() == descriptor.gvk).cloned();
    kinds::all().into_iter().filter(stored).filter_map(|d| of(&d).map(|object| (d, object))).collect()
}

fn path(descriptor: &Descriptor) -> String {
    match &*descriptor.gvk.group {
        "" => descriptor.resource.to_string(),
        group => format!("{}.{group}", descriptor.resource),
    }
}

fn namespace(descriptor: &Descriptor) -> &'static str {
    if descriptor.namespaced { "default" } else { "" }
}

async fn open(store: &Arc<Memory>) -> Arc<Registry> {
    Registry::open(store.clone(), kinds::all(), Vec::new(), Config::default()).await.expect("opens")
}

async fn entries(store: &impl Store) -> Vec<store::Entry> {
    store.range("/registry/", None, 0, None).await.expect("range").entries
}

/// All objects of all kinds, in all forms that do not name a revision's time.
async fn shown(registry: &Registry) -> Vec<(String, Bytes, Option<Bytes>)> {
    let mut all = Vec::new();
    for (descriptor, _) in examples() {
        let attributes = call(&path(&descriptor), "", "").attributes;
        let list = registry.list(&attributes, &scope("", "", ""), &ListOptions::default()).await.expect("listed");
        let form = |o: &Arc<Encoded>| (format!("{} {}", descriptor.gvk.kind, o.key), o.json().expect("readable"), o.protobuf());
        all.extend(list.items.iter().map(form));
    }
    all
}

/// Whether upstream stores such an object as JSON.
fn is_json(entry: &store::Entry) -> bool {
    entry.key.starts_with("/registry/apiextensions.k8s.io/customresourcedefinitions/")
}

async fn filled() -> (Arc<Memory>, Arc<Registry>) {
    let store = Arc::new(Memory::new());
    let registry = open(&store).await;
    for (descriptor, mut object) in examples() {
        if object.name().is_empty() {
            object.set("metadata.name", "a");
        }
        let call = call(&path(&descriptor), namespace(&descriptor), "");
        registry.create(&call, object).await.unwrap_or_else(|e| panic!("{}: {}", descriptor.gvk.kind, e.message));
    }
    (store, registry)
}

#[tokio::test]
async fn every_kind_is_stored_as_upstream_stores_it_and_read_as_it_was_written() {
    let (store, registry) = filled().await;
    let entries = entries(&*store).await;
    assert_eq!(entries.len(), examples().len());
    for entry in &entries {
        if is_json(entry) {
            let tree: serde_json::Value = serde_json::from_slice(&entry.value).expect("JSON");
            assert_eq!(tree["apiVersion"], "apiextensions.k8s.io/v1beta1", "upstream's storage version");
            assert!(tree["metadata"].get("resourceVersion").is_none());
            continue;
        }
        let opened = proto::open(&entry.value).unwrap_or_else(|why| panic!("{}: {why}", entry.key));
        let gvk = meta::Gvk::from_api_version(&opened.api_version, &opened.kind);
        let stored = Schema::builtin(&gvk).expect("a kind").decode_proto(&entry.value).expect("decodes").object;
        assert_eq!(stored.resource_version(), "", "{}: the store knows its revision", entry.key);
        assert!(entry.key.ends_with(&format!("/{}", stored.name())), "{}", entry.key);
    }
    // Who has made them answers out of what was made for the write; who comes later reads them.
    let written = shown(&registry).await;
    let later = open(&store).await;
    let read = shown(&later).await;
    assert_eq!(written.len(), read.len());
    for (written, read) in written.iter().zip(&read) {
        assert_eq!(written, read);
    }
}

#[tokio::test]
async fn the_first_version_of_a_kind_stays_the_stored_one_when_kinds_come_and_go() {
    let (store, registry) = filled().await;
    registry.serve(Vec::new()).await.expect("served");
    let events = call("events", "default", "").attributes;
    let list = registry.list(&events, &scope("", "", ""), &ListOptions::default()).await.expect("listed");
    assert!(list.items.iter().all(|one| one.object().is_ok_and(|event| event.api_version() == "v1")));
    let other = call("events.events.k8s.io", "default", "").attributes;
    let watching = registry.watch(&other, scope("", "", ""), registry::api::WatchOptions::default()).await;
    assert!(watching.is_ok());
    drop(store);
}

#[tokio::test]
async fn both_versions_of_an_event_are_one_object() {
    let (_, registry) = filled().await;
    let of = |path: &str, name: &str| call(path, "default", name).attributes;
    let list = async |path: &str| {
        let all = registry.list(&of(path, ""), &scope("", "", ""), &ListOptions::default()).await.expect("listed");
        all.items.into_iter().map(|o| (o.key.clone(), o)).collect::<Vec<_>>()
    };
    let (old, new, again) = (list("events").await, list("events.events.k8s.io").await, list("events.events.k8s.io").await);
    assert!(!old.is_empty() && old.len() == new.len());
    for ((old, new), again) in old.iter().zip(&new).zip(&again) {
        assert_eq!((&old.0, old.1.revision), (&new.0, new.1.revision));
        assert_eq!(new.1.object().expect("readable").api_version(), "events.k8s.io/v1");
        assert!(Arc::ptr_eq(&new.1, &again.1), "it is converted once");
    }
}

/// As earlier programs stored an object: its JSON with the revision in it.
fn older(json: &Bytes, from: u64, to: u64) -> Bytes {
    let text = String::from_utf8(json.to_vec()).expect("text");
    let version = |revision: u64| format!(r#""resourceVersion":"{revision}""#);
    text.replace(&version(from), &version(to)).into()
}

#[tokio::test]
async fn older_data_gets_todays_form_under_its_own_revisions() {
    let (store, registry) = filled().await;
    let dir = tempfile::tempdir().expect("a directory");
    let old = Disk::open(dir.path()).expect("opens");
    for entry in entries(&*store).await {
        let kind = examples().into_iter().find(|(d, _)| entry.key.starts_with(&*d.storage)).expect("a kind").0;
        let name = entry.key.rsplit('/').next().expect("a name");
        let one = registry.get(&call(&path(&kind), namespace(&kind), name).attributes, "").await.expect("there");
        let value = older(&one.json().expect("readable"), one.revision, old.revision() + 1);
        let durability = Durability::Sync;
        let write = Write { key: entry.key, expect: Expect::Absent, op: Op::Put(value), durability, note: None };
        old.commit(write).await.expect("written");
    }
    let unknown = Bytes::from_static(br#"{"kind":"Gadget"}"#);
    let write = Write { key: "/registry/gadgets/a".into(), expect: Expect::Absent, op: Op::Put(unknown), durability: Durability::Sync, note: None };
    old.commit(write).await.expect("written");
    let place = |entry: &store::Entry| (entry.key.clone(), entry.created, entry.modified);
    let before: Vec<_> = entries(&old).await.iter().map(place).collect();
    drop(old);

    let renewed = Disk::open_renewed(dir.path(), &registry::renew(&kinds::all())).expect("opens");
    let after = entries(&renewed).await;
    assert_eq!(after.iter().map(place).collect::<Vec<_>>(), before);
    for entry in &after {
        let is_ours = &*entry.key != "/registry/gadgets/a" && !is_json(entry);
        assert_eq!(entry.value.starts_with(proto::MAGIC), is_ours, "{}", entry.key);
    }
    drop(renewed);
    let later = Disk::open(dir.path()).expect("opens");
    assert_eq!(entries(&later).await, after, "it is on the disk");
    let reopened = Registry::open(Arc::new(later), kinds::all(), Vec::new(), Config::default()).await.expect("opens");
    let without_revision = |(name, json, _): (String, Bytes, Option<Bytes>)| {
        let mut tree: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        tree["metadata"]["resourceVersion"] = json!("");
        (name, tree)
    };
    let plain = |all: Vec<(String, Bytes, Option<Bytes>)>| all.into_iter().map(without_revision).collect::<Vec<_>>();
    assert_eq!(plain(shown(&reopened).await), plain(shown(&registry).await));
}

/// In protobuf a character of control is a byte, in JSON it is six: upstream stores what is too large for us to take.
#[tokio::test]
async fn what_is_too_large_as_json_may_still_go() {
    let store = Arc::new(Memory::new());
    let huge = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "\u{1}".repeat(700_000)},
        "metadata": {"name": "huge", "namespace": "default", "uid": "u", "finalizers": ["example.com/held"]}}));
    let bytes = Schema::builtin(&huge.gvk()).expect("a kind").encode_proto(&huge).expect("protobuf");
    let key = "/registry/configmaps/default/huge".into();
    let write = Write { key, expect: Expect::Absent, op: Op::Put(bytes), durability: Durability::Sync, note: None };
    store.commit(write).await.expect("written");
    let registry = open(&store).await;
    let one = call("configmaps", "default", "huge");
    let read = async || registry.get(&one.attributes, "").await.expect("there").object().expect("readable");
    let mut larger = read().await;
    larger.set("data.b", "x".repeat(2_000));
    assert_eq!(registry.update(&one, larger).await.err().map(|status| status.code), Some(413));
    let marked = registry.delete(&one, DeleteOptions::default()).await.expect("marked");
    assert!(!marked.gone);
    let mut free = read().await;
    free.set("metadata.annotations", json!({"example.com/why": "it goes"}));
    registry.update(&one, free).await.expect("no larger than before by much");
    let mut free = read().await;
    free.remove("metadata.finalizers");
    registry.update(&one, free).await.expect("the last finalizer goes");
    assert!(entries(&*store).await.is_empty());
}

/// What plug-ins look at has everything that was acknowledged: no wait, no cache that is behind.
#[tokio::test]
async fn plugins_see_what_was_acknowledged() {
    let (_, registry) = filled().await;
    let lookup: &dyn admission::Lookup = &*registry;
    for n in 0..200 {
        let one = call("configmaps", "default", "settings");
        let mut changed = registry.get(&one.attributes, "").await.expect("there").object().expect("readable");
        changed.set("data.n", n.to_string());
        registry.update(&one, changed).await.expect("changed");
        let found = lookup.get("", "configmaps", &meta::Key::new("default", "settings")).await.expect("read").expect("there");
        assert_eq!(found.str_at("data.n"), n.to_string());
        let all = lookup.list("", "configmaps", Some("default")).await.expect("read");
        assert!(all.iter().any(|map| map.name() == "settings" && map.str_at("data.n") == n.to_string()));
    }
}

#[tokio::test]
async fn the_cells_of_a_table_are_printed_once_and_right_at_any_moment() {
    let (_, registry) = filled().await;
    for (descriptor, _) in examples() {
        let attributes = call(&path(&descriptor), "", "").attributes;
        let list = registry.list(&attributes, &scope("", "", ""), &ListOptions::default()).await.expect("listed");
        for one in &list.items {
            let cells = one.row().expect("has cells").downcast::<Marked>().expect("a row");
            for seconds in [1_700_000_000, 1_900_000_000, 2_000_000_077] {
                let moment = jiff::Timestamp::from_second(seconds).expect("a time");
                let mut shown = String::new();
                cells.print(moment, &mut shown);
                let wanted = descriptor.rules.row(&one.object().expect("readable"), &Now::at(moment));
                assert_eq!(shown, serde_json::Value::Array(wanted).to_string(), "{}", descriptor.gvk.kind);
            }
            let again = one.row().expect("has cells").downcast::<Marked>().expect("a row");
            assert!(Arc::ptr_eq(&cells, &again));
        }
    }
}
