//! What an object costs beside its own bytes: everything that cache and store keep of it is counted where memory is
//! handed out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use meta::{Attributes, Object};
use registry::api::{Call, FieldValidation, ListOptions, Scope};
use registry::{Config, Registry};
use serde_json::{Value, json};
use store::Memory;

/// Counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn add(size: usize) {
    IN_USE.fetch_add(size.cast_signed(), Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises are the ones that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: see above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How many objects are made.
const OBJECTS: usize = 2_000;

/// An event as the kubelet writes it.
fn event(name: &str, count: usize) -> Object {
    let pod = format!("web-{name}");
    let about = json!({"kind": "Pod", "namespace": "default", "name": pod, "uid": "5b1c9a1e-0d3f-4f63-9b1a-3f1d6c1f1a2b",
        "apiVersion": "v1", "resourceVersion": "1234", "fieldPath": "spec.containers{web}"});
    object(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"}, "involvedObject": about,
        "reason": "Pulled", "message": "Container image \"registry.example.com/team/web:1.2.3\" already present on machine",
        "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z", "count": count, "type": "Normal", "reportingComponent": "kubelet", "reportingInstance": "n1"}))
}

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn call(name: &str) -> Call {
    let attributes = Attributes {
        version: "v1".to_owned(),
        resource: "events".to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    Call { attributes, dry_run: false, field_validation: FieldValidation::Warn, field_manager: "kubelet".to_owned() }
}

/// What is kept of an object beside its bytes: its names, and its places in the maps of store and cache …
const BESIDE: isize = 640;
/// … and of an older state beside its bytes: its place in the history and among the changes.
const BESIDE_OLDER: isize = 300;

#[tokio::test]
async fn an_event_costs_little_more_than_its_bytes_also_when_it_changes() {
    let store = Arc::new(Memory::new());
    let registry = Registry::open(store, kinds::all(), Vec::new(), Config::default()).await.expect("opens");
    let name = |n: usize| format!("web-{n:06}.18a1b2c3d4e5f607");
    let make = async |from: usize| {
        for n in from..from + OBJECTS {
            registry.create(&call(""), event(&name(n), 1)).await.expect("created");
        }
    };
    let change = async |count: usize| {
        for n in 0..OBJECTS {
            registry.update(&call(&name(n)), event(&name(n), count)).await.expect("changed");
        }
    };
    // The cache has taken in everything.
    let settled = async || {
        let newest = ListOptions { resource_version: registry.revision().to_string(), limit: 1, ..ListOptions::default() };
        registry.list(&call("").attributes, &Scope::default(), &newest).await.expect("listed");
        let last = registry.get(&call(&name(OBJECTS - 1)).attributes, "").await.expect("there");
        last.stored().len().cast_signed()
    };
    let each = |before: isize| (IN_USE.load(Ordering::Relaxed) - before) / OBJECTS.cast_signed();
    make(0).await;
    let bytes = settled().await;
    let before = IN_USE.load(Ordering::Relaxed);
    make(OBJECTS).await;
    settled().await;
    let created = each(before);
    change(2).await;
    settled().await;
    let before = IN_USE.load(Ordering::Relaxed);
    change(3).await;
    settled().await;
    let changed = each(before);
    println!("an event of {bytes} bytes costs {created}, a change of it {changed}");
    assert!(created < bytes + BESIDE, "an event of {bytes} bytes costs {created}");
    assert!(changed < bytes + BESIDE_OLDER, "a change of an event of {bytes} bytes costs {changed}");
}
