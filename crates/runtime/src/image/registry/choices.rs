//! What is taken of what a registry offers: tests.

use serde_json::json;

use super::moods::{Asked, Made, Mood, Registry, layer, none, ok};
use super::tests::Node;
use crate::image::stage;

/// A registry with an index of these entries under the tag, and images by their digests.
async fn offers(index: serde_json::Value, images: Vec<Made>) -> Registry {
    let index = index.to_string().into_bytes();
    Registry::start(move |asked: &Asked| -> Mood {
        if asked.path.ends_with("/manifests/1") || asked.path.ends_with(&stage::digest(&index)) {
            return ok(&index);
        }
        if let Some(made) = images.iter().find(|made| asked.path.ends_with(&stage::digest(&made.manifest))) {
            return ok(&made.manifest);
        }
        let found = images.iter().map(|made| made.answer(asked)).filter(|_| asked.path.contains("/blobs/"));
        found.into_iter().find(|mood| matches!(mood, Mood::Answer("200 OK", ..))).unwrap_or_else(none)
    })
    .await
}

fn entry(made: &Made, architecture: &str, variant: &str) -> serde_json::Value {
    let platform = json!({"os": "linux", "architecture": architecture, "variant": variant});
    json!({"digest": stage::digest(&made.manifest), "size": made.manifest.len(), "platform": platform})
}

#[tokio::test]
async fn the_image_for_this_machine_is_taken_under_the_indexs_digest() {
    let own = Made::of(&[layer("own", 10)]);
    let foreign = Made::of(&[layer("foreign", 10)]);
    let here = crate::image::platform::here();
    let list = [entry(&foreign, "s390x", ""), entry(&own, &here.architecture, &here.variant)];
    let index = json!({"schemaVersion": 2, "manifests": list});
    let digest = stage::digest(index.to_string().as_bytes());
    let registry = offers(index, vec![own.clone(), foreign.clone()]).await;
    let image = Node::new().pull(&registry, "a:1").await.unwrap();
    assert_eq!(image.id, stage::digest(&own.config));
    assert_eq!(image.digests, [format!("{}/a@{digest}", registry.address)]);
    assert!(registry.asked(&stage::digest(&foreign.manifest)).is_empty());
    let registry = offers(json!({"manifests": [entry(&foreign, "s390x", "")]}), vec![foreign]).await;
    let error = Node::new().fails(&registry).await;
    assert!(error.contains(": no match for platform in manifest: linux/"), "{error}");
}

#[tokio::test]
async fn an_index_that_leads_to_itself_ends() {
    let registry = Registry::start(|asked: &Asked| {
        let own = json!({"manifests": [{"digest": format!("sha256:{}", "a".repeat(64)), "size": 1}]});
        assert!(asked.path.contains("/manifests/"));
        ok(own.to_string().as_bytes())
    });
    let registry = registry.await;
    let error = Node::new().fails(&registry).await;
    assert!(error.contains("a document has digest sha256:"), "{error}");
    assert_eq!(registry.asked("").len(), 2);
}
