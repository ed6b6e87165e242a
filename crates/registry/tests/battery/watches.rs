//! Watches.

use std::time::Duration;

use futures::StreamExt;
use registry::api::{DeleteOptions, ListOptions, Patch, WatchOptions};
use serde_json::json;

use crate::kit::*;

fn from(revision: impl ToString) -> WatchOptions {
    WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() }
}

async fn label(w: &World, name: &str, value: &str) -> String {
    let patched = w.patch(&cm(name), Patch::Merge(json!({"metadata": {"labels": {"l": value}}}))).await;
    patched.expect("patched").resource_version().to_owned()
}

#[tokio::test]
async fn a_watch_shows_what_is_and_what_happens() {
    let w = world().await;
    let a = w.make("a").await;
    let mut watch = w.watch("configmaps", scope("default", "", ""), from("")).await.expect("a watch");
    assert_eq!(frame(&mut watch).await, format!("ADDED a {}", a.resource_version()));
    let b = w.make("b").await;
    assert_eq!(frame(&mut watch).await, format!("ADDED b {}", b.resource_version()));
    let revision = label(&w, "b", "x").await;
    assert_eq!(frame(&mut watch).await, format!("MODIFIED b {revision}"));
    let (last, _) = w.delete(&cm("a"), DeleteOptions::default()).await.expect("deleted");
    assert_eq!(frame(&mut watch).await, format!("DELETED a {}", last.resource_version()));
    // Resumed in the middle, it goes on in the middle.
    let mut resumed = w.watch("configmaps", scope("", "", ""), from(b.resource_version())).await.expect("a watch");
    assert_eq!(frame(&mut resumed).await, format!("MODIFIED b {revision}"));
    assert_eq!(frame(&mut resumed).await, format!("DELETED a {}", last.resource_version()));
}

#[tokio::test]
async fn a_selector_makes_objects_appear_and_vanish() {
    let w = world().await;
    w.make("a").await;
    let start = w.list(&scope("", "", ""), &ListOptions::default()).await.expect("listed").revision;
    let mut watch = w.watch("configmaps", scope("", "l=x", ""), from(start)).await.expect("a watch");
    let mut named = w.watch("configmaps", scope("default", "", "metadata.name=a"), from(start)).await.expect("a watch");
    let mut expected = Vec::new();
    for (value, word) in [("y", ""), ("x", "ADDED"), ("x2", "DELETED"), ("x", "ADDED")] {
        let revision = label(&w, "a", value).await;
        if !word.is_empty() {
            expected.push(format!("{word} a {revision}"));
        }
        assert_eq!(frame(&mut named).await, format!("MODIFIED a {revision}"));
    }
    w.make("b").await;
    let (last, _) = w.delete(&cm("a"), DeleteOptions::default()).await.expect("deleted");
    expected.push(format!("DELETED a {}", last.resource_version()));
    for want in expected {
        assert_eq!(frame(&mut watch).await, want);
    }
    assert_eq!(frame(&mut named).await, format!("DELETED a {}", last.resource_version()));
}

#[tokio::test]
async fn bookmarks_come_in_time_and_at_the_end() {
    let w = world().await;
    let a = w.make("a").await;
    let options = WatchOptions {
        bookmarks: true,
        send_initial_events: true,
        timeout: Some(Duration::from_millis(100)),
        ..WatchOptions::default()
    };
    let mut watch = w.watch("configmaps", scope("", "", ""), options).await.expect("a watch");
    assert_eq!(frame(&mut watch).await, format!("ADDED a {}", a.resource_version()));
    assert_eq!(frame(&mut watch).await, format!("BOOKMARK! {}", a.resource_version()));
    // A change of another kind moves the bookmark.
    let namespace = object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}));
    let namespace = w.create(&call("namespaces", "", ""), namespace).await.expect("created");
    let bookmark = format!("BOOKMARK {}", namespace.resource_version());
    for want in [&*bookmark, &*bookmark, "END"] {
        assert_eq!(frame(&mut watch).await, want);
    }
}

#[tokio::test]
async fn the_too_old_and_the_too_slow_are_sent_away() {
    let w = world().await;
    w.make("a").await;
    let watch = w.watch("configmaps", scope("", "", ""), from(1)).await;
    assert!(watch.is_ok(), "the ring begins where the registry began");
    let mut slow = w.watch("configmaps", scope("", "", ""), from("")).await.expect("a watch");
    // More than a watcher's room, and more bytes than the ring keeps.
    for i in 0..130 {
        let patch = Patch::Merge(json!({"data": {"k": format!("{i:060000}")}}));
        w.patch(&cm("a"), patch).await.expect("patched");
    }
    let last = w.list(&scope("", "", ""), &ListOptions::default()).await.expect("listed");
    let mut frames = 0;
    while slow.next().await.is_some() {
        frames += 1;
    }
    assert!(frames < 130, "{frames} frames, then the end");
    let status = w.watch("configmaps", scope("", "", ""), from(2)).await.err().expect("too old");
    assert_eq!(status.code, 410);
    assert!(status.message.starts_with("too old resource version: 2 ("), "{status}");
    assert_eq!(names(&last), ["default/a"]);
}

#[tokio::test]
async fn pods_of_a_node_are_an_audience_of_their_own() {
    let w = world().await;
    let pods = call("pods", "default", "");
    let mut watch = w.watch("pods", scope("", "", "spec.nodeName=n1"), from("")).await.expect("a watch");
    for name in ["p", "q"] {
        let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}));
        w.create(&pods, pod).await.expect("created");
    }
    let bind = |pod: &'static str, node: &'static str| {
        let binding = object(json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod},
            "target": {"kind": "Node", "name": node}}));
        let w = &w;
        async move { w.registry.create(&call("pods/binding", "default", pod), binding).await }
    };
    bind("q", "n2").await.expect("bound");
    bind("p", "n1").await.expect("bound");
    let bound = w.get(&call("pods", "default", "p")).await.expect("there");
    assert_eq!(frame(&mut watch).await, format!("ADDED p {}", bound.resource_version()));
    assert_eq!(bound.str_at("spec.nodeName"), "n1");
    assert_eq!(bound.list_at("status.conditions")[0]["type"], "PodScheduled");
    let status = bind("p", "n2").await.expect_err("taken");
    let text = r#"Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1""#;
    assert_eq!((status.code, &*status.message), (409, text));
}
