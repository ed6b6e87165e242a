//! Registries that are slow, broken, away or evil.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;

use super::moods::{Asked, Made, Mood, Registry, layer, none, ok};
use super::*;
use crate::image::blobs::Order;
use crate::image::{Reference, Store};
use crate::{Error, Image};

/// Long for what comes, short for what never comes.
const SHORT: Duration = Duration::from_millis(50);

pub(super) struct Node {
    pub(super) store: Store,
    pub(super) dir: tempfile::TempDir,
}

impl Node {
    pub(super) fn new() -> Self {
        Self::waiting(|_| {})
    }

    pub(super) fn waiting(change: impl Fn(&mut Waits)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut waits = Waits { pause: Duration::ZERO, ..Waits::default() };
        change(&mut waits);
        Self { store: Store::open_with(dir.path().join("images"), Some(dir.path().join("certs.d")), waits).unwrap(), dir }
    }

    pub(super) async fn pull(&self, registry: &Registry, name: &str) -> crate::Result<Image> {
        Ok(self.store.pull(&format!("{}/{name}", registry.address), None).await?.image)
    }

    pub(super) async fn fails(&self, registry: &Registry) -> String {
        match self.pull(registry, "a:1").await.unwrap_err() {
            Error::Image { reason: "ErrImagePull", message } => message,
            other => panic!("{other:?}"),
        }
    }

    /// Lengths of the files that wait to be gone on with, or to be unpacked.
    fn kept(&self) -> Vec<u64> {
        let files = std::fs::read_dir(self.dir.path().join("images/blobs")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).collect()
    }
}

fn image() -> Made {
    Made::of(&[layer("big", 300_000)])
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_left_in_time() {
    let node = Node::waiting(|waits| waits.head = SHORT);
    let silent = Registry::start(|_| Mood::Silent(Vec::new())).await;
    let error = node.pull(&silent, "a:1").await.unwrap_err();
    let Error::Image { reason: "RegistryUnavailable", message } = error else { panic!("{error:?}") };
    assert!(message.contains("failed to do request: Get \"http://127.0.0.1:") && message.ends_with("no answer within 50ms"));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = node.store.pull(&format!("{closed}/a:1"), None).await.unwrap_err();
    let Error::Image { reason: "RegistryUnavailable", message } = error else { panic!("{error:?}") };
    assert!(message.contains("Connection refused"), "{message}");
}

impl Node {
    /// What blobs of one repository are asked for with.
    async fn order(&self, registry: &Registry, repository: &str) -> Arc<Order> {
        let reference = Reference::parse(&format!("{}/{repository}", registry.address)).unwrap();
        let session = Session::new(self.store.clients(), self.store.waits(), None, &reference, None).unwrap();
        let (host, repository) = (reference.domain.clone(), reference.path.clone());
        let turn = self.store.turns().take(&host).await;
        Arc::new(Order { host, session, credentials: None, repository, ear: turn.ear() })
    }
}

/// What a blob alone ends with, where its registry is waited for like this.
async fn blob_fails(registry: &Registry, made: &Made, change: impl Fn(&mut Waits)) -> String {
    let node = Node::waiting(change);
    let order = node.order(registry, "a").await;
    node.store.blobs().fetch(&order, &made.first()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn silence_within_an_answer_is_left_in_time() {
    let (registry, made) = with_layer(|_, _, _| Mood::Silent([&head(300_000)[..], b"x"].concat())).await;
    let error = blob_fails(&registry, &made, |waits| waits.idle = SHORT).await;
    assert!(error.ends_with("nothing came for 50ms"), "{error}");
    assert_eq!(registry.asked("/blobs/").len(), limits::TRIES as usize);
    let error = blob_fails(&registry, &made, |waits| waits.stall = SHORT).await;
    assert!(error.ends_with("no progress within 50ms"), "{error}");
    let silent = Registry::start(|_| Mood::Silent(head(9))).await;
    let error = Node::waiting(|waits| waits.idle = SHORT).fails(&silent).await;
    assert!(error.ends_with("nothing came for 50ms"), "{error}");
}

/// Answers requests for the layer with what `how` says, given the layer and how often it was asked for.
async fn with_layer(how: impl Fn(&[u8], &Asked, usize) -> Mood + Send + Sync + 'static) -> (Registry, Made) {
    let (made, count) = (image(), AtomicUsize::new(0));
    let copy = made.clone();
    let registry = Registry::start(move |asked| match made.is_layer(asked) {
        true => how(&made.layers[0], asked, count.fetch_add(1, Ordering::Relaxed)),
        false => made.answer(asked),
    });
    (registry.await, copy)
}

fn head(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

fn half(layer: &[u8]) -> Mood {
    Mood::Bytes([&head(layer.len())[..], &layer[..layer.len() / 2]].concat())
}

fn part(layer: &[u8], from: usize) -> Mood {
    let range = format!("content-range: bytes {from}-{}/{}\r\n", layer.len() - 1, layer.len());
    Mood::Answer("206 Partial Content", range, layer[from..].to_vec())
}

#[tokio::test]
async fn a_broken_blob_goes_on_where_it_was() {
    let (registry, made) = with_layer(|layer, asked, _| asked.from().map_or_else(|| half(layer), |from| part(layer, from))).await;
    let node = Node::new();
    node.pull(&registry, "a:1").await.unwrap();
    let asked = registry.asked(&stage_digest(&made));
    let from: Vec<_> = asked.iter().map(Asked::from).collect();
    assert_eq!(from, [None, Some(made.layers[0].len() / 2)]);
    assert!(node.kept().is_empty(), "what is unpacked is not kept");
}

fn stage_digest(made: &Made) -> String {
    crate::image::stage::digest(&made.layers[0])
}

#[tokio::test]
async fn a_registry_without_ranges_starts_again() {
    let whole = with_layer(|layer, _, count| if count == 0 { half(layer) } else { ok(layer) }).await.0;
    Node::new().pull(&whole, "a:1").await.unwrap();
    let not_there = with_layer(|layer, asked, count| match asked.from() {
        Some(_) => Mood::Answer("416 Range Not Satisfiable", String::new(), Vec::new()),
        None if count == 0 => half(layer),
        None => ok(layer),
    });
    Node::new().pull(&not_there.await.0, "a:1").await.unwrap();
}

#[tokio::test]
async fn tries_have_an_end_and_the_next_process_goes_on() {
    let better = Arc::new(AtomicBool::new(false));
    let mood = better.clone();
    let answers = with_layer(move |layer, asked, _| match asked.from() {
        None => half(layer),
        Some(from) if mood.load(Ordering::Relaxed) => part(layer, from),
        Some(_) => Mood::Answer("503 Service Unavailable", String::new(), b"{}".to_vec()),
    });
    let (registry, made) = answers.await;
    let node = Node::new();
    let error = node.fails(&registry).await;
    assert!(error.contains("unexpected status from GET request to http://") && error.ends_with("503 Service Unavailable"), "{error}");
    let middle = made.layers[0].len() / 2;
    assert_eq!(node.kept(), [middle as u64]);
    better.store(true, Ordering::Relaxed);
    let Node { store, dir } = node;
    drop(store);
    let again = Node { store: Store::open(dir.path().join("images")).unwrap(), dir };
    let before = registry.asked("/blobs/").len();
    again.pull(&registry, "a:1").await.unwrap();
    let asked = registry.asked("/blobs/").split_off(before);
    assert_eq!(asked.iter().filter_map(Asked::from).collect::<Vec<_>>(), [middle], "{asked:?}");
}

#[tokio::test]
async fn what_was_sent_is_what_was_promised() {
    let better = Arc::new(AtomicBool::new(false));
    let mood = better.clone();
    let answers = with_layer(move |layer, _, _| match mood.load(Ordering::Relaxed) {
        true => ok(layer),
        false => ok(&vec![b'y'; layer.len()]),
    });
    let (registry, _) = answers.await;
    let node = Node::new();
    let error = node.fails(&registry).await;
    assert!(error.contains("layer 1 of the image"), "{error}");
    assert!(node.kept().is_empty(), "nobody goes on with what is wrong");
    better.store(true, Ordering::Relaxed);
    node.pull(&registry, "a:1").await.unwrap();
    let (endless, _) = with_layer(|_, _, _| Mood::Endless("HTTP/1.1 200 OK\r\n\r\n", vec![0; 4096])).await;
    let error = Node::new().fails(&endless).await;
    assert!(error.contains("has more than its 30"), "{error}");
}

#[tokio::test]
async fn documents_have_an_end() {
    for (head, why) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "manifest exceeds the limit of 4194304 bytes"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "manifest exceeds the limit of 4194304 bytes"),
        ("HTTP/1.1 500 Oh\r\n\r\n", "500 Internal Server Error"),
        ("HTTP/1.1 200 OK\r\n", ""),
    ] {
        let registry = Registry::start(move |_| Mood::Endless(head, b"x: y\r\n".repeat(700))).await;
        let error = Node::new().pull(&registry, "a:1").await.unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    }
}

#[tokio::test]
async fn redirects_have_an_end_and_take_no_secrets_along() {
    let registry = Registry::start(|_| Mood::Answer("302 Found", "location: /v2/again\r\n".into(), Vec::new())).await;
    let error = Node::new().fails(&registry).await;
    assert!(error.ends_with("stopped after 10 redirects"), "{error}");
    assert_eq!(registry.asked("").len(), 1 + limits::REDIRECTS);

    let made = image();
    let other = Registry::start(move |_| Mood::Answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into(), Vec::new())).await;
    let to = format!("location: http://{}/x\r\n", other.address);
    let registry = Registry::start(move |asked| match asked.headers.contains_key("authorization") {
        false => Mood::Answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into(), Vec::new()),
        true if asked.path.contains("/manifests/") => made.answer(asked),
        true => Mood::Answer("307 Temporary Redirect", to.clone(), Vec::new()),
    });
    let registry = registry.await;
    let who = Credentials { username: "me".into(), password: "secret".into() };
    let error = Node::new().store.pull(&format!("{}/a:1", registry.address), Some(&who)).await.unwrap_err().to_string();
    assert!(error.contains("pull access denied"), "{error}");
    let asked = other.asked("");
    assert!(asked.len() == 1 && !asked[0].headers.contains_key("authorization"), "{asked:?}");
    assert!(!asked[0].headers.contains_key("referer"), "{asked:?}");
}

#[tokio::test]
async fn tokens_are_asked_for_once_and_bounded() {
    for (answer, why) in [
        (&b"{\"token\": \"t\"}"[..], "pull access denied, repository does not exist or may require authorization: 401 Unauthorized"),
        (b"{\"token\": \"a\\nb\"}", "the token is not printable"),
        (b"{}", "authorization server did not include a token in the response"),
        (b"[", "unable to decode token response: EOF while parsing a list at line 1 column 1"),
        (&[b' '; 70_000], "answer of the token server exceeds the limit of 65536 bytes"),
    ] {
        let answer = answer.to_vec();
        let registry = Registry::start(move |asked| match asked.path.starts_with("/token") {
            true => ok(&answer),
            false => {
                let realm = format!("http://{}/token?x=y", asked.headers["host"]);
                let header = format!("www-authenticate: Bearer realm=\"{realm}\",service=\"s t\"\r\n");
                Mood::Answer("401 Unauthorized", header, Vec::new())
            }
        });
        let registry = registry.await;
        let error = Node::new().fails(&registry).await;
        assert!(error.ends_with(why), "{error}");
        let tokens = registry.asked("/token");
        assert_eq!(tokens.len(), 1);
        assert_eq!(tokens[0].path, "/token?x=y&service=s+t&scope=repository%3Aa%3Apull");
        assert!(registry.asked("/manifests/").len() <= 2);
    }
}

#[tokio::test]
async fn a_password_does_not_go_over_an_open_line() {
    let reference = Reference::parse("example.com/a").unwrap();
    let session = Session::new(&Clients::default(), Waits::default(), None, &reference, None).unwrap();
    let challenge = HeaderValue::from_static("Bearer realm=\"http://example.com/token\"");
    let refusal = [(reqwest::header::WWW_AUTHENTICATE, challenge)].into_iter().collect();
    let error = token::authorize(&session.hosts[0], &refusal).await.unwrap_err().to_string();
    assert_eq!(error, "realm \"http://example.com/token\": not https");
}

#[tokio::test]
async fn an_image_and_a_blob_are_fetched_once_for_all() {
    let shared = layer("shared", 100_000);
    let images = [Made::of(&[shared.clone(), layer("a", 1)]), Made::of(&[shared.clone(), layer("b", 1)])];
    let copies = images.clone();
    let registry = Registry::start(move |asked| {
        if asked.path.contains("/manifests/") {
            return copies[usize::from(asked.path.contains("/b/"))].answer(asked);
        }
        copies.iter().map(|made| made.answer(asked)).find(|mood| matches!(mood, Mood::Answer("200 OK", ..))).unwrap_or_else(none)
    });
    let registry = registry.await;
    let node = Node::new();
    let mut gone = Box::pin(node.pull(&registry, "a:1"));
    assert!(gone.as_mut().now_or_never().is_none());
    let many = futures::future::join_all((0..20).map(|at| node.pull(&registry, if at % 2 == 0 { "a:1" } else { "b:1" })));
    let (many, ()) = tokio::join!(many, async { drop(gone) });
    let ids: std::collections::BTreeSet<_> = many.into_iter().map(|image| image.unwrap().id).collect();
    assert_eq!((ids.len(), registry.asked("/manifests/").len()), (2, 2));
    assert_eq!(registry.asked(&crate::image::stage::digest(&shared)).len(), 1, "one layer, for both");
}

#[tokio::test]
async fn the_last_who_waits_ends_it() {
    let registry = Registry::start(|_| Mood::Silent(Vec::new())).await;
    let node = Node::new();
    let mut pulls: Vec<_> = (0..3).map(|_| Box::pin(node.pull(&registry, "a:1"))).collect();
    while registry.asked("").is_empty() {
        for pull in &mut pulls {
            assert!(pull.as_mut().now_or_never().is_none());
        }
        tokio::task::yield_now().await;
    }
    drop(pulls);
    registry.left.notified().await;
    assert_eq!(registry.asked("").len(), 1);
}

#[tokio::test]
async fn another_repositorys_failure_is_its_own() {
    let made = image();
    let layer = made.first();
    let registry = Registry::start(move |asked| match asked.path.contains("/bad/") && made.is_layer(asked) {
        true => none(),
        false => made.answer(asked),
    });
    let (registry, node) = (registry.await, Node::new());
    let (bad, good) = (node.order(&registry, "bad").await, node.order(&registry, "good").await);
    let mut first = Box::pin(node.store.blobs().fetch(&bad, &layer));
    assert!(first.as_mut().now_or_never().is_none(), "it is the one that asks");
    let (bad, good) = tokio::join!(first, node.store.blobs().fetch(&good, &layer));
    assert!(matches!(bad, Err(Trouble::NotFound)), "{bad:?}");
    good.unwrap();
}

#[tokio::test]
async fn dead_registries_stop_no_other() {
    let dead = Registry::start(|_| Mood::Silent(Vec::new())).await;
    let made = image();
    let alive = Registry::start(move |asked| made.answer(asked)).await;
    let node = Node::new();
    let names: Vec<String> = (0..40).map(|at| format!("a{at}:1")).collect();
    let mut pulls: Vec<_> = names.iter().map(|name| Box::pin(node.pull(&dead, name))).collect();
    while dead.asked("").len() < limits::PULLS_EACH {
        for pull in &mut pulls {
            assert!(pull.as_mut().now_or_never().is_none());
        }
        tokio::task::yield_now().await;
    }
    node.pull(&alive, "a:1").await.unwrap();
    assert_eq!(dead.asked("").len(), limits::PULLS_EACH, "the others wait for their turn");
}

/// Copies of our files that end with `.part`, as a forked process has them until its exec.
fn inherited(below: &std::path::Path) -> Vec<std::os::fd::OwnedFd> {
    use std::os::fd::BorrowedFd;
    let part = |fd: &i32| {
        let file = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        file.is_ok_and(|file| file.starts_with(below) && file.extension().is_some_and(|end| end == "part"))
    };
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter_map(|fd| fd.ok()?.file_name().to_str()?.parse().ok()).filter(part);
    // SAFETY: it is the download's, which waits for the answer that the caller has not given yet.
    open.map(|fd| unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().unwrap()).collect()
}

#[tokio::test]
async fn a_process_that_is_forked_meanwhile_locks_no_blob() {
    let node = Node::new();
    let (below, copies) = (node.dir.path().to_owned(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let kept = copies.clone();
    let (registry, _) = with_layer(move |layer, _, _| {
        kept.lock().unwrap().extend(inherited(&below));
        ok(layer)
    })
    .await;
    node.pull(&registry, "a:1").await.unwrap();
    assert_eq!(copies.lock().unwrap().len(), 1);
}
