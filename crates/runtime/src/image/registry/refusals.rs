//! Registries that want to know who asks, at odd places: tests.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::moods::{Asked, Made, Mood, Registry, layer, ok};
use super::tests::Node;
use crate::Credentials;

const BASIC: &str = "www-authenticate: Basic realm=\"x\"\r\n";

fn refuse(challenge: &str) -> Mood {
    Mood::Answer("401 Unauthorized", challenge.to_owned(), Vec::new())
}

fn image() -> Made {
    Made::of(&[layer("one", 1000), layer("two", 1000)])
}

async fn pull(registry: &Registry) -> crate::Result<crate::Image> {
    let who = Credentials { username: "me".into(), password: "secret".into() };
    Ok(Node::new().store.pull(&format!("{}/a:1", registry.address), Some(&who)).await?.image)
}

/// What was asked with a secret.
fn with_secret(registry: &Registry) -> Vec<Asked> {
    registry.asked("").into_iter().filter(|asked| asked.headers.contains_key("authorization")).collect()
}

#[tokio::test]
async fn credentials_are_shown_wherever_they_are_wanted() {
    // At the first question, at manifests alone, at configurations and layers alone, at the second layer alone.
    for closed in ["/v2/", "/manifests/", "/blobs/", &crate::image::stage::digest(&image().layers[1])] {
        let (made, part) = (image(), closed.to_owned());
        let registry = Registry::start(move |asked: &Asked| {
            let known = asked.headers.get("authorization").is_some_and(|value| value == "Basic bWU6c2VjcmV0");
            if asked.path.contains(&part) && !known { refuse(BASIC) } else { made.answer(asked) }
        });
        let registry = registry.await;
        pull(&registry).await.unwrap_or_else(|e| panic!("{closed}: {e}"));
        assert!(registry.asked(closed).iter().any(|asked| !asked.headers.contains_key("authorization")), "not before");
    }
}

#[tokio::test]
async fn a_token_that_ends_is_replaced() {
    let (made, given) = (image(), AtomicUsize::new(0));
    let registry = Registry::start(move |asked: &Asked| {
        if asked.path.starts_with("/token") {
            assert_eq!(asked.headers["authorization"], "Basic bWU6c2VjcmV0");
            let number = given.fetch_add(1, Ordering::Relaxed);
            return ok(format!("{{\"token\": \"t{number}\"}}").as_bytes());
        }
        let wanted = if asked.path.contains("/blobs/") { "Bearer t1" } else { "Bearer t0" };
        match asked.headers.get("authorization") {
            Some(value) if value == wanted || value > &"Bearer t1".to_owned() => made.answer(asked),
            _ => refuse(&format!("www-authenticate: Bearer realm=\"http://{}/token\"\r\n", asked.headers["host"])),
        }
    });
    let registry = registry.await;
    pull(&registry).await.unwrap();
    assert_eq!(registry.asked("/token").len(), 2);
}

#[tokio::test]
async fn a_redirect_within_the_registry_asks_as_well() {
    let made = image();
    let registry = Registry::start(move |asked: &Asked| {
        let known = asked.headers.contains_key("authorization");
        match asked.path.strip_prefix("/storage") {
            Some(_) if !known => refuse(BASIC),
            Some(_) => made.answer(asked),
            None if asked.path.contains("/blobs/") => {
                let digest = asked.path.rsplit('/').next().unwrap_or_default();
                Mood::Answer("307 Temporary Redirect", format!("location: /storage/{digest}\r\n"), Vec::new())
            }
            None => made.answer(asked),
        }
    });
    let registry = registry.await;
    pull(&registry).await.unwrap();
    assert!(with_secret(&registry).iter().all(|asked| asked.path.contains("/blobs/") || asked.path.starts_with("/storage")));
}

#[tokio::test]
async fn what_another_host_wants_it_does_not_get() {
    let other = Registry::start(|_| refuse(BASIC)).await;
    for status in ["302 Found", "307 Temporary Redirect"] {
        for part in ["/manifests/", "/blobs/"] {
            let (made, to) = (image(), format!("location: http://{}/x\r\n", other.address));
            let registry = Registry::start(move |asked: &Asked| match asked.headers.contains_key("authorization") {
                false => refuse(BASIC),
                true if asked.path.contains(part) => Mood::Answer(status, to.clone(), Vec::new()),
                true => made.answer(asked),
            });
            let error = pull(&registry.await).await.unwrap_err().to_string();
            assert!(error.contains("pull access denied"), "{error}");
        }
    }
    assert!(other.asked("").len() == 4 && with_secret(&other).is_empty());
}

#[tokio::test]
async fn credentials_that_are_wrong_are_shown_once() {
    let registry = Registry::start(|_| refuse(BASIC)).await;
    let error = pull(&registry).await.unwrap_err().to_string();
    assert!(error.contains("pull access denied"), "{error}");
    assert_eq!((registry.asked("").len(), with_secret(&registry).len()), (2, 1));
}
