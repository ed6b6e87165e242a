//! Lists that select few of many find what a look at everything finds.

use meta::Object;
use meta::selector::Labels;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use registry::api::{DeleteOptions, ListOptions, WatchEvent, WatchOptions};
use futures::StreamExt;
use serde_json::json;

use crate::kit::*;

const SELECTORS: [(&str, &str); 9] = [
    ("app=a", ""),
    ("app in (a,b)", ""),
    ("app=a,tier=x", ""),
    ("app=a,tier!=x", ""),
    ("tier", ""),
    ("app=none", ""),
    ("", "spec.nodeName=n1"),
    ("app=b", "spec.nodeName=n2"),
    ("", "spec.nodeName!=n1"),
];

fn pod(random: &mut StdRng, name: &str) -> Object {
    let mut pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]}}));
    relabel(random, &mut pod);
    if random.random_bool(0.7) {
        pod.set("spec.nodeName", ["n1", "n2", "n3"][random.random_range(0..3)]);
    }
    pod
}

fn relabel(random: &mut StdRng, pod: &mut Object) {
    pod.remove("metadata.labels");
    for (label, values) in [("app", ["a", "b", "c"]), ("tier", ["x", "y", ""])] {
        if random.random_bool(0.6) {
            pod.set(&format!("metadata.labels.{label}"), values[random.random_range(0..3)]);
        }
    }
}

/// What a look at everything finds.
async fn expected(w: &World, labels: &str, fields: &str) -> Vec<String> {
    let pods = call("pods", "default", "").attributes;
    let all = w.registry.list(&pods, &scope("default", "", ""), &ListOptions::default()).await.expect("listed");
    let labels = Labels::parse(labels).expect("a selector");
    let node = |pod: &Object| match fields.split_once("nodeName") {
        None => true,
        Some((_, rest)) if rest.starts_with("!=") => pod.str_at("spec.nodeName") != &rest[2..],
        Some((_, rest)) => pod.str_at("spec.nodeName") == &rest[1..],
    };
    let is = |pod: &Object| labels.matches(|key| pod.label(key)) && node(pod);
    let found = all.items.iter().map(|one| one.object().expect("readable")).filter(is);
    found.map(|pod| pod.key().to_string()).collect()
}

#[tokio::test]
async fn an_index_says_what_a_scan_says_whatever_has_changed() {
    let mut random = StdRng::seed_from_u64(11);
    let w = world().await;
    let pods = call("pods", "default", "");
    for round in 0..60 {
        for _ in 0..6 {
            let name = format!("p{}", random.random_range(0..30));
            let one = call("pods", "default", &name);
            match w.get(&one).await {
                Err(_) => drop(w.create(&pods, pod(&mut random, &name)).await.expect("created")),
                Ok(_) if random.random_bool(0.4) => {
                    let at_once = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
                    w.delete(&one, at_once).await.expect("deleted");
                }
                Ok(mut old) => {
                    relabel(&mut random, &mut old);
                    w.update(&one, old).await.expect("updated");
                }
            }
        }
        let (labels, fields) = SELECTORS[round % SELECTORS.len()];
        let wanted = expected(&w, labels, fields).await;
        let selection = scope("default", labels, fields);
        let list = w.registry.list(&pods.attributes, &selection, &ListOptions::default()).await.expect("listed");
        assert_eq!(names(&list), wanted, "{labels} {fields}");
        let mut paged = Vec::new();
        let mut options = ListOptions { limit: 2, ..ListOptions::default() };
        loop {
            let page = w.registry.list(&pods.attributes, &selection, &options).await.expect("a page");
            paged.extend(names(&page));
            options.continue_token = page.continue_token;
            if options.continue_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, wanted, "{labels} {fields}, page by page");
        let options = WatchOptions { send_initial_events: true, bookmarks: true, ..WatchOptions::default() };
        let mut watch = w.watch("pods", selection, options).await.expect("watched");
        let mut seen = Vec::new();
        while let Some(WatchEvent::Added(one)) = watch.next().await {
            seen.push(one.key.to_string());
        }
        assert_eq!(seen, wanted, "{labels} {fields}, as a watch begins");
    }
}
