//! Lists: pages of one revision, selectors, resource versions.

use meta::Reason;
use registry::api::{DeleteOptions, ListOptions, VersionMatch};
use serde_json::json;
use store::Store;

use crate::kit::*;

fn page(limit: usize, token: &str) -> ListOptions {
    ListOptions { limit, continue_token: token.to_owned(), ..ListOptions::default() }
}

async fn ten(w: &World) {
    for i in 0..10 {
        w.make(&format!("c{i}")).await;
    }
}

#[tokio::test]
async fn pages_show_one_revision() {
    let w = world().await;
    ten(&w).await;
    let everything = scope("default", "", "");
    let first = w.list(&everything, &page(4, "")).await.expect("a page");
    assert_eq!((first.items.len(), first.remaining), (4, Some(6)));
    // The world moves on.
    w.delete(&cm("c5"), DeleteOptions::default()).await.expect("deleted");
    w.make("c55").await;
    let second = w.list(&everything, &page(4, &first.continue_token)).await.expect("a page");
    assert_eq!(names(&second), ["default/c4", "default/c5", "default/c6", "default/c7"]);
    assert_eq!((second.revision, second.remaining), (first.revision, Some(2)));
    let third = w.list(&everything, &page(4, &second.continue_token)).await.expect("a page");
    assert_eq!(names(&third), ["default/c8", "default/c9"]);
    assert_eq!((&*third.continue_token, third.remaining), ("", None));
    // A page that is exactly full is the last one.
    let exact = w.list(&everything, &page(10, "")).await.expect("a page");
    assert_eq!((exact.items.len(), &*exact.continue_token), (10, ""));
}

#[tokio::test]
async fn an_expired_token_comes_with_one_for_the_rest() {
    let w = world().await;
    ten(&w).await;
    let all = scope("", "", "");
    let first = w.list(&all, &page(4, "")).await.expect("a page");
    w.make("c99").await;
    // The cache has seen it, too, and can no longer show what was before.
    w.list(&all, &page(0, "")).await.expect("listed");
    w.store.compact(w.store.revision()).await.expect("compacted");
    let status = w.list(&all, &page(4, &first.continue_token)).await.expect_err("expired");
    assert_eq!((status.code, status.reason), (410, Reason::Expired));
    assert!(status.message.starts_with("The provided continue parameter is too old to display a consistent list result."));
    let rest = w.list(&all, &page(0, &status.continue_token)).await.expect("an inconsistent rest");
    assert_eq!(rest.items.len(), 7);
    let exact = |rv: u64| ListOptions {
        resource_version: rv.to_string(),
        version_match: Some(VersionMatch::Exact),
        ..ListOptions::default()
    };
    let status = w.list(&all, &exact(first.revision)).await.expect_err("compacted");
    assert_eq!(status.message, "The resourceVersion for the provided list is too old.");
    assert_eq!(w.list(&all, &page(0, "nonsense")).await.map_err(|s| s.code).err(), Some(400));
}

#[tokio::test]
async fn selectors_select() {
    let w = world().await;
    for (namespace, name, label) in [("default", "a", "x"), ("default", "b", "y"), ("default-2", "a", "x"), ("e", "z", "y")] {
        let mut new = config_map(name, json!({}));
        new.set("metadata.labels.l", label);
        w.create(&call("configmaps", namespace, ""), new).await.expect("created");
    }
    let listed = |s| {
        let w = &w;
        async move { w.list(&s, &ListOptions::default()).await.map(|l| names(&l)).map_err(|s| s.message) }
    };
    assert_eq!(listed(scope("", "l=x", "")).await.expect("list"), ["default-2/a", "default/a"]);
    assert_eq!(listed(scope("default", "", "metadata.name!=a")).await.expect("list"), ["default/b"]);
    assert_eq!(listed(scope("", "", "metadata.name=a")).await.expect("list"), ["default-2/a", "default/a"]);
    assert_eq!(listed(scope("e", "l=y", "metadata.name=z")).await.expect("list"), ["e/z"]);
    assert_eq!(listed(scope("e", "", "metadata.name=a")).await.expect("list").len(), 0);
    let unknown = listed(scope("", "", "spec.x=1")).await.expect_err("unknown");
    assert_eq!(unknown, r#""spec.x" is not a known field selector: only "metadata.name", "metadata.namespace""#);
    // A page is counted after selection.
    let first = w.list(&scope("", "l=y", ""), &page(1, "")).await.expect("a page");
    assert_eq!((names(&first), first.remaining), (vec!["default/b".to_owned()], None));
    let second = w.list(&scope("", "l=y", ""), &page(1, &first.continue_token)).await.expect("a page");
    assert_eq!((names(&second), &*second.continue_token), (vec!["e/z".to_owned()], ""));
}

#[tokio::test]
async fn the_future_is_refused() {
    let w = world().await;
    ten(&w).await;
    for version_match in [None, Some(VersionMatch::NotOlderThan), Some(VersionMatch::Exact)] {
        let options = ListOptions { resource_version: "999".to_owned(), version_match, ..ListOptions::default() };
        let status = w.list(&scope("", "", ""), &options).await.expect_err("too large");
        assert_eq!((status.code, status.retry_after, &*status.causes[0].reason), (504, 1, "ResourceVersionTooLarge"));
        assert!(status.message.starts_with("Timeout: Too large resource version: 999, current: "));
    }
    assert_eq!(w.registry.get(&cm("c0").attributes, "999").await.map_err(|s| s.code).err(), Some(504));
}
