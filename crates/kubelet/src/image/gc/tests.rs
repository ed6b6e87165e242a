//! The collector against a runtime in memory.

use super::*;
use crate::tests::life::{CONFIG_MAP, POD, World, config_map, pod};

const MINUTE: Duration = Duration::from_secs(60);

fn image(id: &str, size: u64) -> Image {
    Image { id: format!("sha256:{id}"), size, ..Image::default() }
}

/// A world with these images on a full disk of 1000 bytes, and somebody who has seen them for long.
async fn full(images: &[Image]) -> (World, Collector, Instant) {
    let world = World::start();
    *world.runtime.images.lock().expect("lock") = images.to_vec();
    *world.runtime.disk.lock().expect("lock") = (1000, 50);
    let began = Instant::now();
    let mut collector = Collector { began, ..Collector::default() };
    let calm = Policy { high: 100, low: 100, max_age: MINUTE, ..Policy::default() };
    collector.pass(&world.agent, &calm, began).await;
    (world, collector, began + 10 * MINUTE)
}

fn left(world: &World) -> Vec<String> {
    let images = world.runtime.images.lock().expect("lock");
    images.iter().map(|image| image.id.trim_start_matches("sha256:").to_owned()).collect()
}

/// The first event with this reason.
async fn event(changes: &mut tokio::sync::broadcast::Receiver<(String, serde_json::Value)>, reason: &str) -> String {
    let found = async {
        loop {
            let (_, change) = changes.recv().await.expect("a change");
            if change["object"]["reason"] == reason {
                return change["object"]["message"].as_str().unwrap_or_default().to_owned();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("an event")
}

#[tokio::test]
async fn a_full_disk_is_freed_and_nothing_taken_that_is_used() {
    // `i` is what the pod runs.
    let (world, mut collector, now) = full(&[image("i", 500), image("a", 100), image("b", 100), image("c", 100)]).await;
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "x"));
    world.phase("Running").await;
    collector.pass(&world.agent, &Policy::default(), now).await;
    assert_eq!(left(&world), ["i", "c"], "150 bytes were missing");
    assert!(!collector.failed);
    *world.runtime.disk.lock().expect("lock") = (1000, 250);
    collector.pass(&world.agent, &Policy::default(), now).await;
    assert_eq!(left(&world), ["i", "c"]);
    world.stop.cancel();
}

#[tokio::test]
async fn what_cannot_be_freed_is_told() {
    let pinned = Image { pinned: true, ..image("p", 500) };
    let (world, mut collector, now) = full(&[pinned, image("a", 100)]).await;
    world.runtime.images.lock().expect("lock").push(image("new", 500));
    let mut changes = world.api.changes();
    collector.pass(&world.agent, &Policy::default(), now).await;
    assert_eq!(left(&world), ["p", "new"], "what was fetched just now stays");
    let message = event(&mut changes, "FreeDiskSpaceFailed").await;
    assert!(message.starts_with("Insufficient free disk space on the node's image filesystem (95% of 1000 B used). \
         Failed to free sufficient space by deleting unused images (freed 100 bytes). Investigate"), "{message}");
    collector.pass(&world.agent, &Policy::default(), now).await;
    assert!(event(&mut changes, "ImageGCFailed").await.starts_with("Insufficient free disk space"));
    world.stop.cancel();
}

#[test]
fn sizes_are_for_people() {
    assert_eq!([1, 1536, 5 << 30].map(size), ["1 B", "1.5 KiB", "5.0 GiB"]);
}
