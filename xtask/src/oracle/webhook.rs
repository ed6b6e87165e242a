//! A webhook that both servers ask to convert custom resources: `hostPort` in `v1` is `host` and `port` in `v2`. Its path
//! says how well it does so (`/good`, or what is wrong).

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::lane::Lane;

/// Starts it with the keys that both servers use, and lets cases name it: `{{webhook}}`, `{{bundle}}`.
pub async fn start(lane: &mut Lane, pki: &Path) -> Result<()> {
    let read = |name: &str| std::fs::read(pki.join(name)).with_context(|| format!("read {name}"));
    let chain = vec![CertificateDer::from_pem_slice(&read("upstream.crt")?)?];
    let key = PrivateKeyDer::from_pem_slice(&read("upstream.key")?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?);
    let bundle = base64::engine::general_purpose::STANDARD.encode(read("ca.crt")?);
    for side in lane.sides() {
        side.set("webhook", &url);
        side.set("bundle", &bundle);
    }
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(answer);
                // Whoever asks may go when it likes.
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let review = serde_json::from_slice(&body).unwrap_or_default();
    let (status, text) = match head.uri.path() {
        "/500" => (500, "oh \"no\"\n".to_owned()),
        "/404" => (404, String::new()),
        "/403" => (403, "not you".to_owned()),
        "/503" => (503, String::new()),
        mood => (200, converted(&review, mood.trim_start_matches('/')).to_string()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

fn converted(review: &Value, mood: &str) -> Value {
    let to = review["request"]["desiredAPIVersion"].as_str().unwrap_or_default();
    let objects = review["request"]["objects"].as_array().cloned().unwrap_or_default();
    let mut objects: Vec<Value> = objects.into_iter().map(|object| convert(object, to)).collect();
    let mut result = json!({"status": "Success"});
    let mut uid = review["request"]["uid"].clone();
    match (mood, objects.first_mut()) {
        ("uid", _) => uid = json!("another"),
        ("few", _) => drop(objects.pop()),
        ("fail", _) => result = json!({"status": "Failure", "message": "it cannot be done"}),
        ("mute", _) => result = json!({"status": "Failure"}),
        ("version", Some(first)) => first["apiVersion"] = json!("example.com/v3"),
        ("kind", Some(first)) => first["kind"] = json!("Other"),
        ("name", Some(first)) => first["metadata"]["name"] = json!("other"),
        ("label", Some(first)) => first["metadata"]["labels"] = json!({"a": "b c"}),
        ("number", Some(first)) => first["metadata"]["labels"] = json!({"a": 1}),
        ("annotation", Some(first)) => first["metadata"]["annotations"] = json!({"A B": "c"}),
        ("bare", Some(first)) => first["metadata"] = Value::Null,
        ("marked", Some(first)) => {
            first["metadata"]["labels"] = json!({"converted": "yes"});
            first["metadata"]["finalizers"] = json!(["example.com/never"]);
        }
        _ => {}
    }
    let answer = json!({"uid": uid, "result": result, "convertedObjects": objects});
    json!({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": answer})
}

fn convert(mut object: Value, to: &str) -> Value {
    object["apiVersion"] = to.into();
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return object };
    if to.ends_with("/v2") {
        if let Some(pair) = spec.remove("hostPort") {
            let (host, port) = pair.as_str().and_then(|pair| pair.split_once(':')).unwrap_or_default();
            spec.insert("host".to_owned(), host.into());
            spec.insert("port".to_owned(), port.into());
        }
    } else {
        let part = |part: Option<Value>| part.and_then(|part| part.as_str().map(str::to_owned)).unwrap_or_default();
        let (host, port) = (part(spec.remove("host")), part(spec.remove("port")));
        spec.remove("extra");
        spec.insert("hostPort".to_owned(), format!("{host}:{port}").into());
    }
    object
}
