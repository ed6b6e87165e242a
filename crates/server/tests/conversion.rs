//! Custom resources that a webhook converts: over TLS, from the definition to its end.

mod kit;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use auth::pki::{Leaf, Pki, tls};
use base64::Engine;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kit::Kit;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use transport::Body;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const OF: &str = "conversion webhook for example.com/v1, Kind=Widget";

/// What the webhook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Good,
    WrongUid,
    TooFew,
    Renames,
    Endless,
    Redirects,
    Breaks,
    Talks,
}

struct Webhook {
    address: SocketAddr,
    mood: Mutex<Mood>,
    /// How often each object went to each version.
    asked: Mutex<HashMap<(String, String), usize>>,
    /// Connections and requests.
    seen: Mutex<(usize, usize)>,
}

impl Webhook {
    /// Listens on loopback, with a certificate of these keys.
    async fn listen(pki: &Arc<Pki>) -> Arc<Webhook> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = tokio::net::TcpListener::bind((loopback, 0)).await.expect("binds");
        let leaf = Leaf::api_server("localhost", "cluster.local", &[loopback]);
        let mut config = (*tls::server_config(pki, leaf).expect("certificate")).clone();
        config.alpn_protocols.clear();
        let address = listener.local_addr().expect("address");
        let webhook = Arc::new(Webhook { address, mood: Mutex::new(Mood::Good), asked: Mutex::default(), seen: Mutex::default() });
        let (acceptor, shared) = (TlsAcceptor::from(Arc::new(config)), webhook.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, webhook) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    // Who does not trust us goes.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    webhook.seen.lock().expect("no panic").0 += 1;
                    let service = service_fn(|request| webhook.answer(request));
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        webhook
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().expect("no panic") = mood;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        self.seen.lock().expect("no panic").1 += 1;
        assert_eq!((head.method, head.uri.path()), (Method::POST, "/convert"));
        assert_eq!(head.headers["content-type"], "application/json");
        let review: Value = serde_json::from_slice(&body.collect().await.expect("a body").to_bytes()).expect("JSON");
        let mood = *self.mood.lock().expect("no panic");
        let answer = self.review(&review, mood);
        Ok(match mood {
            Mood::Endless => {
                let piece = || Ok(Frame::data(Bytes::from(vec![b' '; 1 << 16])));
                Response::new(BodyExt::boxed(StreamBody::new(futures::stream::repeat_with(piece))))
            }
            Mood::Redirects => {
                let to = format!("https://{}/convert", self.address);
                Response::builder().status(307).header("location", to).body(transport::empty()).expect("a response")
            }
            Mood::Breaks => Response::builder().status(500).body(transport::full("oh no\n")).expect("a response"),
            Mood::Talks => Response::new(transport::full("hello")),
            _ => Response::new(transport::full(answer.to_string())),
        })
    }

    fn review(&self, review: &Value, mood: Mood) -> Value {
        let to = review["request"]["desiredAPIVersion"].as_str().unwrap_or_default();
        let objects = review["request"]["objects"].as_array().cloned().unwrap_or_default();
        let mut converted: Vec<Value> = objects.into_iter().map(|object| self.convert(object, to)).collect();
        let mut uid = review["request"]["uid"].clone();
        match mood {
            Mood::WrongUid => uid = json!("another"),
            Mood::TooFew => drop(converted.pop()),
            Mood::Renames => converted[0]["metadata"]["name"] = json!("b"),
            _ => {}
        }
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
            "response": {"uid": uid, "result": {"status": "Success"}, "convertedObjects": converted}})
    }

    fn convert(&self, mut object: Value, to: &str) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        *self.asked.lock().expect("no panic").entry((name, to.to_owned())).or_default() += 1;
        object["apiVersion"] = to.into();
        object["spec"] = match to {
            "example.com/v2" => {
                let pair = object["spec"]["hostPort"].as_str().unwrap_or_default().to_owned();
                let (host, port) = pair.split_once(':').unwrap_or_default();
                json!({"host": host, "port": port})
            }
            _ => {
                let part = |name: &str| object["spec"][name].as_str().unwrap_or_default().to_owned();
                json!({"hostPort": format!("{}:{}", part("host"), part("port"))})
            }
        };
        object
    }
}

fn definition(client: Value) -> Value {
    let version = |name: &str, fields: &[&str]| {
        let fields: serde_json::Map<String, Value> = fields.iter().map(|f| ((*f).to_owned(), json!({"type": "string"}))).collect();
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}});
        let columns = json!([{"name": "Spec", "type": "string", "jsonPath": ".spec"}]);
        json!({"name": name, "served": true, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}, "additionalPrinterColumns": columns})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "versions": [version("v1", &["hostPort"]), version("v2", &["host", "port"])],
            "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]}},
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}}})
}

fn bundle(pki: &Pki) -> String {
    base64::engine::general_purpose::STANDARD.encode(pki.cluster().certificate_pem())
}

fn path(version: &str, name: &str) -> String {
    format!("/apis/example.com/{version}/namespaces/default/widgets{}{name}", if name.is_empty() { "" } else { "/" })
}

async fn define(kit: &Kit, client: Value) {
    let made = kit.post(DEFINITIONS, definition(client)).await;
    assert_eq!(made.code, 201, "{}", made.text());
    while kit.get(&path("v2", "")).await.code == 404 {
        tokio::task::yield_now().await;
    }
}

fn widget(version: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

struct World {
    kit: Kit,
    webhook: Arc<Webhook>,
    _directory: tempfile::TempDir,
}

/// A server, and a definition whose objects a webhook at a URL converts.
async fn world() -> World {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::guarded(directory.path()).await;
    let webhook = Webhook::listen(&kit.pki).await;
    let url = format!("https://localhost:{}/convert", webhook.address.port());
    define(&kit, json!({"url": url, "caBundle": bundle(&kit.pki)})).await;
    World { kit, webhook, _directory: directory }
}

#[tokio::test]
async fn every_verb_speaks_the_version_that_it_is_asked_in() {
    let World { kit, webhook, _directory } = world().await;
    let made = kit.post(&path("v2", ""), widget("v2", "a", json!({"host": "h", "port": "1"}))).await;
    assert_eq!(made.code, 201, "{}", made.text());
    assert_eq!(made.json()["spec"], json!({"host": "h", "port": "1"}));
    assert_eq!(kit.get(&path("v1", "a")).await.json()["spec"], json!({"hostPort": "h:1"}));
    assert_eq!(kit.get(&path("v2", "a")).await.json(), made.json());
    let merge = [("content-type", "application/merge-patch+json")];
    let patched = kit.ask(Method::PATCH, &path("v2", "a"), &merge, r#"{"spec":{"port":"2"}}"#).await;
    assert_eq!((patched.code.as_u16(), &patched.json()["spec"]), (200, &json!({"host": "h", "port": "2"})));
    let apply = [("content-type", "application/apply-patch+yaml")];
    let uri = format!("{}?fieldManager=m", path("v2", "b"));
    let applied = kit.ask(Method::PATCH, &uri, &apply, widget("v2", "b", json!({"host": "g", "port": "7"})).to_string()).await;
    assert_eq!(applied.code, 201, "{}", applied.text());
    let owned = &applied.json()["metadata"]["managedFields"][0];
    assert_eq!((&owned["apiVersion"], &owned["fieldsV1"]), (&json!("example.com/v2"), &json!({"f:spec": {"f:host": {}, "f:port": {}}})));
    let again = kit.ask(Method::PATCH, &uri, &apply, widget("v2", "b", json!({"host": "g", "port": "8"})).to_string()).await;
    assert_eq!((again.code.as_u16(), &again.json()["spec"]["port"]), (200, &json!("8")), "{}", again.text());
    let list = kit.get(&path("v2", "")).await.json();
    let ports: Vec<&Value> = list["items"].as_array().into_iter().flatten().map(|item| &item["spec"]["port"]).collect();
    assert_eq!(ports, [&json!("2"), &json!("8")]);
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = kit.ask(Method::GET, &path("v2", ""), &table, "").await.json();
    assert_eq!(table["rows"][0]["cells"], json!(["a", r#"{"host":"h","port":"2"}"#]));
    let deleted = kit.ask(Method::DELETE, &path("v2", "a"), &[], "").await;
    assert_eq!(deleted.code, 200, "{}", deleted.text());
    assert_eq!(kit.get(&path("v1", "a")).await.code, 404);
    let (connections, requests) = *webhook.seen.lock().expect("no panic");
    assert!(connections < requests, "{connections} connections for {requests} requests");
    // The end of the definition needs nobody.
    webhook.is(Mood::Breaks);
    let ended = kit.ask(Method::DELETE, &format!("{DEFINITIONS}/widgets.example.com"), &[], "").await;
    assert_eq!(ended.code, 200, "{}", ended.text());
    while kit.get(&format!("{DEFINITIONS}/widgets.example.com")).await.code != 404 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_webhook_that_misbehaves_harms_those_who_ask_it() {
    let World { kit, webhook, _directory } = world().await;
    let made = kit.post(&path("v1", ""), widget("v1", "a", json!({"hostPort": "h:1"}))).await;
    assert_eq!(made.code, 201, "{}", made.text());
    let post = format!(r#"failed: Post "https://localhost:{}/convert?timeout=30s": "#, webhook.address.port());
    for (mood, words) in [
        (Mood::WrongUid, r#"failed: expected response.uid=""#.to_owned()),
        (Mood::TooFew, "returned 0 objects, expected 1".to_owned()),
        (Mood::Renames, "returned invalid object: must have the same name: a != b".to_owned()),
        (Mood::Endless, format!("{post}the answer is longer than 12582912 bytes")),
        (Mood::Redirects, "failed: the server responded with the status code 307 but did not return more information".to_owned()),
        (Mood::Breaks, r#"failed: an error on the server ("oh no") has prevented the request from succeeding"#.to_owned()),
        (Mood::Talks, "failed: ".to_owned()),
    ] {
        webhook.is(mood);
        for uri in [path("v2", "a"), path("v2", ""), format!("{}?watch=1", path("v2", ""))] {
            let refused = kit.get(&uri).await;
            let status = refused.json();
            let message = status["message"].as_str().unwrap_or_default();
            assert_eq!((refused.code.as_u16(), &status["kind"]), (500, &json!("Status")), "{mood:?} {uri}");
            assert!(message.starts_with(&format!("{OF} {words}")), "{mood:?} {uri}: {message}");
        }
        assert_eq!(kit.get(&path("v1", "a")).await.code, 200, "{mood:?}");
        assert_eq!(kit.get(&path("v1", "")).await.code, 200, "{mood:?}");
        let refused = kit.post(&path("v2", ""), widget("v2", "c", json!({"host": "h", "port": "1"}))).await;
        assert_eq!(refused.code, 500, "{mood:?}: {}", refused.text());
    }
    webhook.is(Mood::Good);
    assert_eq!(kit.get(&path("v2", "a")).await.json()["spec"], json!({"host": "h", "port": "1"}));
}

#[tokio::test]
async fn it_must_be_the_one_that_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::guarded(directory.path()).await;
    let elsewhere = tempfile::tempdir().expect("directory");
    let stranger = Arc::new(Pki::open(elsewhere.path(), jiff::Timestamp::now()).expect("keys"));
    let webhook = Webhook::listen(&stranger).await;
    let url = format!("https://127.0.0.1:{}/convert", webhook.address.port());
    define(&kit, json!({"url": url, "caBundle": bundle(&kit.pki)})).await;
    kit.post(&path("v1", ""), widget("v1", "a", json!({"hostPort": "h:1"}))).await;
    let said = async || kit.get(&path("v2", "a")).await.json()["message"].as_str().unwrap_or_default().to_owned();
    let unknown = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    assert_eq!(said().await, format!(r#"{OF} failed: Post "{url}?timeout=30s": {unknown}"#));
    assert_eq!(*webhook.seen.lock().expect("no panic"), (0, 0), "nothing was sent");
    // A changed definition counts at once.
    let named = format!("{DEFINITIONS}/widgets.example.com");
    let change = async |client: Value| {
        let merge = [("content-type", "application/merge-patch+json")];
        let patch = json!({"spec": {"conversion": {"webhook": {"clientConfig": client}}}});
        let changed = kit.ask(Method::PATCH, &named, &merge, patch.to_string()).await;
        assert_eq!(changed.code, 200, "{}", changed.text());
    };
    change(json!({"url": url, "caBundle": bundle(&stranger)})).await;
    while !said().await.is_empty() {
        tokio::task::yield_now().await;
    }
    // A Service that is not there, and one that has no endpoints.
    change(json!({"url": null, "service": {"namespace": "default", "name": "hook", "path": "/convert"}})).await;
    let post = format!(r#"{OF} failed: Post "https://hook.default.svc:443/convert?timeout=30s": "#);
    while said().await != format!(r#"{post}service "hook" not found"#) {
        tokio::task::yield_now().await;
    }
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}]}});
    assert_eq!(kit.post("/api/v1/namespaces/default/services", service).await.code, 201);
    assert_eq!(said().await, format!(r#"{post}no endpoints available for service "hook""#));
}
