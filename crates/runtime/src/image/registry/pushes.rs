//! Images that are sent to registries: tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::moods::{Asked, Made, Mood, Registry, layer, none, ok};
use super::tests::Node;
use crate::Credentials;
use crate::image::stage;

type Kept = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

fn answer(status: &'static str, headers: String) -> Mood {
    Mood::Answer(status, headers, Vec::new())
}

/// What a registry does that keeps what it is sent; uploads go to another path with a query of its own.
fn keep(kept: &Kept, asked: &Asked) -> Mood {
    let path = asked.path.split('?').next().unwrap_or_default();
    match asked.method.as_str() {
        "POST" => answer("202 Accepted", "location: /upload/7?state=x%3Dy\r\n".to_owned()),
        "PUT" if path.contains("/manifests/") => {
            assert_eq!(asked.headers["content-type"], "application/vnd.oci.image.manifest.v1+json");
            let tag = path.rsplit('/').next().unwrap_or_default().to_owned();
            kept.lock().unwrap().insert(tag, asked.body.clone());
            answer("201 Created", String::new())
        }
        "PUT" => {
            let digest = stage::digest(&asked.body);
            let wanted = format!("/upload/7?state=x%3Dy&digest={}", digest.replace(':', "%3A"));
            if asked.path != wanted {
                return answer("400 Bad Request", String::new());
            }
            kept.lock().unwrap().insert(digest, asked.body.clone());
            answer("201 Created", String::new())
        }
        _ => kept.lock().unwrap().get(path.rsplit('/').next().unwrap_or_default()).map_or_else(none, |bytes| ok(bytes)),
    }
}

/// A node that has an image of two layers under a name of this registry.
async fn node(registry: &Registry) -> (Node, Made, String) {
    let made = Made::of(&[layer("one", 300_000), layer("two", 10)]);
    let copy = made.clone();
    let source = Registry::start(move |asked: &Asked| copy.answer(asked)).await;
    let node = Node::new();
    node.pull(&source, "a:1").await.unwrap();
    let name = format!("{}/team/b:2", registry.address);
    node.store.tag(&format!("{}/a:1", source.address), &name).unwrap();
    (node, made, name)
}

fn me() -> Option<Credentials> {
    Some(Credentials { username: "me".into(), password: "secret".into() })
}

fn count(registry: &Registry, method: &str) -> usize {
    registry.asked("").iter().filter(|asked| asked.method == method).count()
}

#[tokio::test]
async fn what_is_pushed_can_be_pulled_and_is_sent_once() {
    let kept = Kept::default();
    let mine = kept.clone();
    let registry = Registry::start(move |asked: &Asked| match asked.headers.get("authorization").map(String::as_str) {
        // A token is for what was asked for: one for pulling is none for pushing.
        _ if asked.path.ends_with("scope=repository%3Ateam%2Fb%3Apull%2Cpush") => ok(b"{\"token\": \"push\"}"),
        _ if asked.path.ends_with("scope=repository%3Ateam%2Fb%3Apull") => ok(b"{\"token\": \"pull\"}"),
        Some("Bearer push") => keep(&mine, asked),
        Some("Bearer pull") if asked.method == "GET" => keep(&mine, asked),
        _ => answer("401 Unauthorized", format!("www-authenticate: Bearer realm=\"http://{}/token\"\r\n", asked.headers["host"])),
    });
    let registry = registry.await;
    let (node, made, name) = node(&registry).await;
    let digest = node.store.push(&name, me().as_ref()).await.unwrap();
    assert_eq!(stage::digest(&kept.lock().unwrap()["2"]), digest);
    let puts = count(&registry, "PUT");
    assert_eq!((puts, registry.asked("/token").len()), (4, 1), "two layers, configuration, manifest");
    let other = Node::new();
    let image = other.store.pull(&name, me().as_ref()).await.unwrap().image;
    assert_eq!(image.id, stage::digest(&made.config));
    assert_eq!(node.store.push(&name, me().as_ref()).await.unwrap(), digest);
    assert_eq!(count(&registry, "PUT"), puts + 1, "the manifest alone");
}

#[tokio::test]
async fn what_a_registry_refuses_is_told_and_secrets_stay() {
    let other = Registry::start(|_: &Asked| answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into())).await;
    let to = other.address.clone();
    for (status, headers, why) in [
        ("403 Forbidden", String::new(), "pull access denied, repository does not exist or may require authorization: 403 Forbidden"),
        ("202 Accepted", String::new(), "an upload without a place"),
        ("202 Accepted", format!("location: http://{to}/x\r\n"), "401 Unauthorized"),
        ("202 Accepted", "location: ftp://x/\r\n".to_owned(), "an upload leads from https to http"),
    ] {
        let registry = Registry::start(move |asked: &Asked| match asked.method.as_str() {
            _ if !asked.headers.contains_key("authorization") => answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into()),
            "POST" => answer(status, headers.clone()),
            _ => none(),
        });
        let registry = registry.await;
        let (node, _, name) = node(&registry).await;
        let error = node.store.push(&name, me().as_ref()).await.unwrap_err().to_string();
        assert!(error.contains("failed to push image") && error.ends_with(why), "{error}");
        let work = std::fs::read_dir(node.dir.path().join("images/tmp")).unwrap().count();
        assert_eq!(work, 0, "what was made for it is gone");
    }
    assert!(!other.asked("").is_empty() && other.asked("").iter().all(|asked| !asked.headers.contains_key("authorization")));
}

#[tokio::test]
async fn what_fails_for_a_while_is_sent_again() {
    let kept = Kept::default();
    let failed = Mutex::new(false);
    let registry = Registry::start(move |asked: &Asked| {
        let first = asked.method == "PUT" && !std::mem::replace(&mut *failed.lock().unwrap(), true);
        if first { answer("503 Service Unavailable", String::new()) } else { keep(&kept, asked) }
    });
    let registry = registry.await;
    let (node, _, name) = node(&registry).await;
    node.store.push(&name, None).await.unwrap();
    let error = node.store.push(&format!("{}/none:1", registry.address), None).await.unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
}
