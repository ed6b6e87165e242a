//! Registries that the node's owner has mirrors of: tests.

use super::moods::{Asked, Made, Mood, Registry, layer, none, ok};
use super::tests::Node;
use crate::{Credentials, Error, Image};

fn image() -> Made {
    Made::of(&[layer("big", 300_000)])
}

/// A node that has `hosts.toml` for `registry.test`.
fn node(text: &str) -> Node {
    let node = Node::new();
    let dir = node.dir.path().join("certs.d/registry.test");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("hosts.toml"), text).unwrap();
    node
}

async fn pull(node: &Node) -> crate::Result<Image> {
    let who = Credentials { username: "me".into(), password: "secret".into() };
    Ok(node.store.pull("registry.test/team/a:1", Some(&who)).await?.image)
}

async fn serving(made: Made) -> Registry {
    Registry::start(move |asked: &Asked| made.answer(asked)).await
}

fn secret(registry: &Registry) -> bool {
    registry.asked("").iter().any(|asked| asked.headers.contains_key("authorization"))
}

#[tokio::test]
async fn a_mirror_is_asked_first_with_its_headers_and_without_secrets() {
    let mirror = Registry::start(|asked: &Asked| match asked.headers.get("x-key") {
        Some(_) => image().answer(asked),
        None => Mood::Answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into(), Vec::new()),
    });
    let (mirror, own) = (mirror.await, serving(image()).await);
    let text = format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\n[host.\"http://{1}\".header]\nx-key = \"k\"\n\
         [host.\"http://{1}\".rewrite]\n\"^team/(.*)\" = \"proxy/team-$1\"\n",
        own.address, mirror.address
    );
    let image = pull(&node(&text)).await.unwrap();
    assert_eq!(image.tags, ["registry.test/team/a:1"]);
    assert_eq!(mirror.asked("")[0].path, "/v2/proxy/team-a/manifests/1?ns=registry.test");
    assert!(own.asked("").is_empty() && !secret(&mirror));
}

#[tokio::test]
async fn what_a_mirror_cannot_do_the_registry_does() {
    let made = image();
    let layer = made.first().digest;
    let half = move |asked: &Asked| match asked.path.contains(&layer) {
        true => Mood::Bytes([b"HTTP/1.1 200 OK\r\ncontent-length: 301568\r\n\r\n", &[b'x'; 100][..]].concat()),
        false => image().answer(asked),
    };
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (what, mirror) in [
        ("it has nothing", Registry::start(|_: &Asked| none()).await),
        ("it wants a password", Registry::start(|_: &Asked| Mood::Answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into(), Vec::new())).await),
        ("it is ill", Registry::start(|_: &Asked| Mood::Answer("500 Oh", String::new(), Vec::new())).await),
        ("it breaks off", Registry::start(half).await),
    ] {
        let made = image();
        let own = Registry::start(move |asked: &Asked| match asked.headers.contains_key("authorization") {
            true if asked.from().is_some() => Mood::Answer("206 Partial Content", format!("content-range: bytes 0-{0}/{0}\r\n", made.layers[0].len()), made.layers[0].clone()),
            true => made.answer(asked),
            false => Mood::Answer("401 Unauthorized", "www-authenticate: Basic realm=x\r\n".into(), Vec::new()),
        });
        let own = own.await;
        let text = format!("server = \"http://{}\"\n[host.\"http://{closed}\"]\n[host.\"http://{}\"]\n", own.address, mirror.address);
        pull(&node(&text)).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(!mirror.asked("").is_empty() && !secret(&mirror) && secret(&own), "{what}");
        assert!(own.asked("").iter().all(|asked| !asked.path.contains("ns=")));
    }
}

#[tokio::test]
async fn tags_are_asked_of_those_who_may_know_them() {
    let (mirror, own) = (serving(image()).await, serving(image()).await);
    let text = format!("server = \"http://{}\"\n[host.\"http://{}\"]\ncapabilities = [\"pull\"]\n", own.address, mirror.address);
    pull(&node(&text)).await.unwrap();
    assert!(mirror.asked("/manifests/").is_empty() && own.asked("/manifests/").len() == 1);
    assert!(mirror.asked("/blobs/").len() == 2 && own.asked("/blobs/").is_empty());
}

#[tokio::test]
async fn a_redirect_takes_no_header_along() {
    let storage = serving(image()).await;
    let to = storage.address.clone();
    let own = Registry::start(move |asked: &Asked| match asked.path.contains("/blobs/") {
        true => Mood::Answer("302 Found", format!("location: http://{to}{}\r\n", asked.path), Vec::new()),
        false => ok(&image().manifest),
    });
    let text = format!("server = \"http://{}\"\n[header]\nx-key = \"k\"\n", own.await.address);
    pull(&node(&text)).await.unwrap();
    assert!(!storage.asked("").is_empty() && storage.asked("").iter().all(|asked| !asked.headers.contains_key("x-key")));
}

#[tokio::test]
async fn a_mistake_is_told_and_nothing_asked() {
    let own = serving(image()).await;
    for (text, why) in [
        ("mirror = 1".to_owned(), "hosts.toml: unknown key \"mirror\""),
        (format!("server = \"http://{}\"\n[rewrite]\n\"^.*$\" = \"../x\"", own.address), "\"../x\", as team/a is rewritten, is no repository"),
        (format!("server = \"http://{}\"\nca = \"none.crt\"", own.address), "none.crt\": No such file or directory (os error 2)"),
    ] {
        let error = pull(&node(&text)).await.unwrap_err();
        let Error::Image { reason: "ErrImagePull", message } = error else { panic!("{error:?}") };
        assert!(message.ends_with(why), "{message}");
    }
    assert!(own.asked("").is_empty());
}

/// A server's certificate of its own making, and what serves with it; it wants to see `client` where there is one.
fn tls(client: Option<&rcgen::Certificate>) -> (String, tokio_rustls::TlsAcceptor) {
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{RootCertStore, ServerConfig};
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder();
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.der().clone()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        }
    };
    let config = builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (made.cert.pem(), tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)))
}

#[tokio::test]
async fn who_is_trusted_is_said_host_by_host() {
    let me = rcgen::generate_simple_self_signed(["me".to_owned()]).unwrap();
    for client in [None, Some(&me.cert)] {
        let (pem, acceptor) = tls(client);
        let own = Registry::over(Some(acceptor), |asked: &Asked| image().answer(asked)).await;
        let run = async |more: &str| {
            let node = node(&format!("server = \"https://{}\"\n{more}\n", own.address));
            let dir = node.dir.path().join("certs.d/registry.test");
            std::fs::write(dir.join("own.crt"), &pem).unwrap();
            std::fs::write(dir.join("me.cert"), me.cert.pem()).unwrap();
            std::fs::write(dir.join("me.key"), me.signing_key.serialize_pem()).unwrap();
            pull(&node).await
        };
        let Error::Image { reason: "RegistryUnavailable", message } = run("").await.unwrap_err() else { panic!("trusted") };
        assert!(message.contains("invalid peer certificate"), "{message}");
        let known = "client = [[\"me.cert\", \"me.key\"]]\n";
        for trust in ["ca = \"own.crt\"\n", "skip_verify = true\n"] {
            assert_eq!(run(trust).await.is_ok(), client.is_none(), "{trust}");
            run(&format!("{trust}{known}")).await.unwrap();
        }
    }
}
