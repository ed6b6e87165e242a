//! Whatever happens, a list plus the watch from its revision is the next list.

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use registry::api::{DeleteOptions, ListOptions, Patch, WatchEvent, WatchOptions, WatchStream};
use serde_json::json;

use crate::kit::*;

#[derive(Clone, Debug)]
enum Step {
    Create(u8, u8),
    Label(u8, u8),
    Delete(u8),
    /// A new watcher, from the revision of the last list.
    Watch(u8),
    List,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..6u8;
    prop_oneof![
        3 => (name.clone(), 0..3u8).prop_map(|(n, l)| Step::Create(n, l)),
        4 => (name.clone(), 0..3u8).prop_map(|(n, l)| Step::Label(n, l)),
        2 => name.prop_map(Step::Delete),
        1 => (0..4u8).prop_map(Step::Watch),
        1 => Just(Step::List),
    ]
}

/// What a watcher believes: name to revision.
struct Watcher {
    selector: String,
    stream: WatchStream,
    objects: BTreeMap<String, u64>,
    last: u64,
}

impl Watcher {
    fn drain(&mut self) {
        // Unconstrained: nothing may be held back for the sake of other tasks.
        while let Some(Some(event)) = tokio::task::unconstrained(self.stream.next()).now_or_never() {
            let (known, object) = match event {
                WatchEvent::Added(o) => (self.objects.insert(o.key.to_string(), o.revision).is_some(), o),
                WatchEvent::Modified(o) => (self.objects.insert(o.key.to_string(), o.revision).is_none(), o),
                WatchEvent::Deleted(o) => (self.objects.remove(&*o.key.to_string()).is_none(), o),
                other => panic!("unexpected frame {other:?}"),
            };
            assert!(!known, "the word fits what was there before: {}", object.key);
            assert!(object.revision > self.last, "in order, and never twice");
            self.last = object.revision;
        }
    }
}

async fn run(steps: Vec<Step>) {
    let w = world().await;
    let mut watchers: Vec<Watcher> = Vec::new();
    let labels = |l: u8| json!({"metadata": {"labels": {"l": format!("v{l}")}}});
    for step in steps {
        match step {
            Step::Create(n, l) => {
                let mut new = config_map(&format!("c{n}"), json!({}));
                new.set("metadata.labels.l", format!("v{l}"));
                let _ = w.create(&cm(""), new).await;
            }
            Step::Label(n, l) => {
                let _ = w.patch(&cm(&format!("c{n}")), Patch::Merge(labels(l))).await;
            }
            Step::Delete(n) => {
                let _ = w.delete(&cm(&format!("c{n}")), DeleteOptions::default()).await;
            }
            Step::Watch(l) => {
                let selector = if l == 3 { String::new() } else { format!("l=v{l}") };
                let list = w.list(&scope("", &selector, ""), &ListOptions::default()).await.expect("listed");
                let options = WatchOptions { resource_version: list.revision.to_string(), ..WatchOptions::default() };
                let stream = w.watch("configmaps", scope("", &selector, ""), options).await.expect("a watch");
                let objects = list.items.iter().map(|o| (o.key.to_string(), o.revision)).collect();
                watchers.push(Watcher { selector, stream, objects, last: list.revision });
            }
            Step::List => check(&w, &mut watchers).await,
        }
    }
    check(&w, &mut watchers).await;
}

async fn check(w: &World, watchers: &mut [Watcher]) {
    for watcher in watchers {
        let list = w.list(&scope("", &watcher.selector, ""), &ListOptions::default()).await.expect("listed");
        watcher.drain();
        let want: BTreeMap<String, u64> = list.items.iter().map(|o| (o.key.to_string(), o.revision)).collect();
        assert_eq!(watcher.objects, want, "selector {:?}", watcher.selector);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn watch_equals_list(steps in proptest::collection::vec(step(), 1..80)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(run(steps));
    }
}
