//! Where load balancers ask whether this node has endpoints of a service (`healthCheckNodePort`).
//! Upstream: `pkg/proxy/healthcheck/service_health.go`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::Recorder;
use client::events::Note;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use k8s_openapi::api::core::v1::ObjectReference;
use meta::Key;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::compile::Health;

/// Connections to one port at a time; more wait to be taken.
const CONNECTIONS: usize = 32;
/// How long one connection may take: a question and an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// The checks of all services.
pub(super) struct Checks {
    node: Arc<str>,
    recorder: Recorder,
    ports: Mutex<Ports>,
    healthy: Arc<AtomicBool>,
}

#[derive(Default)]
struct Ports {
    open: HashMap<Key, Open>,
    /// Those that somebody else has, and whether that was told.
    missing: HashMap<Key, (Health, bool)>,
}

/// One port that is listened at, until it is dropped.
struct Open {
    port: u16,
    endpoints: Arc<AtomicUsize>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Checks {
    pub(super) fn new(node: &str, recorder: Recorder) -> Self {
        Checks { node: node.into(), recorder, ports: Mutex::default(), healthy: Arc::default() }
    }

    /// Takes in what has changed, and whether the rules are in place. Ports that others had are tried again.
    pub(super) async fn change(&self, changes: Vec<(Key, Option<Health>)>, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
        let (mut wanted, ended) = {
            let mut ports = self.lock();
            let mut ended = Vec::new();
            for (key, health) in changes {
                ports.missing.remove(&key);
                match (health, ports.open.get(&key)) {
                    (Some(health), Some(open)) if open.port == health.port => {
                        open.endpoints.store(health.endpoints, Ordering::Relaxed);
                    }
                    (health, _) => {
                        ended.extend(ports.open.remove(&key));
                        ports.missing.extend(health.map(|health| (key, (health, false))));
                    }
                }
            }
            (std::mem::take(&mut ports.missing), ended)
        };
        // Ports are given up before others take them.
        for Open { stop, task, .. } in ended {
            drop(stop);
            let _ = task.await;
        }
        for (key, (health, told)) in &mut wanted {
            match TcpListener::bind((Ipv4Addr::UNSPECIFIED, health.port)).await {
                Ok(listener) => drop(self.lock().open.insert(key.clone(), self.serve(key, listener, *health))),
                Err(error) if !*told => {
                    self.tell(key, health.port, &error);
                    *told = true;
                }
                Err(_) => {}
            }
        }
        let mut ports = self.lock();
        wanted.retain(|key, _| !ports.open.contains_key(key));
        ports.missing.extend(wanted);
    }

    /// Closes all.
    pub(super) fn close(&self) {
        *self.lock() = Ports::default();
    }

    fn lock(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, key: &Key, listener: TcpListener, health: Health) -> Open {
        let (stop, endpoints) = (CancellationToken::new(), Arc::new(AtomicUsize::new(health.endpoints)));
        let answer = Answer { key: key.clone(), endpoints: endpoints.clone(), healthy: self.healthy.clone() };
        let token = stop.clone();
        let task = async move {
            let _ = token.run_until_cancelled(accept(listener, answer, token.clone())).await;
        };
        Open { port: health.port, endpoints, stop: stop.drop_guard(), task: tokio::spawn(task) }
    }

    fn tell(&self, key: &Key, port: u16, error: &std::io::Error) {
        let message = format!("node {} failed to start healthcheck \"{key}\" on port {port}: {error}", self.node);
        tracing::warn!(namespace = %key.namespace, name = %key.name, "{message}");
        let regarding = ObjectReference {
            kind: Some("Service".to_owned()),
            namespace: Some(key.namespace.to_string()),
            name: Some(key.name.to_string()),
            uid: Some(key.to_string()),
            ..ObjectReference::default()
        };
        self.recorder.record(Note {
            regarding,
            related: None,
            type_: "Warning",
            reason: "FailedToStartServiceHealthcheck".to_owned(),
            action: "Listen".to_owned(),
            message,
            at: jiff::Timestamp::now(),
            annotations: Default::default(),
        });
    }
}

async fn accept(listener: TcpListener, answer: Answer, stop: CancellationToken) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = free.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a health check was not taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (answer, stop) = (answer.clone(), stop.clone());
        tokio::spawn(async move {
            let served = tokio::time::timeout(PATIENCE, serve(stream, answer));
            stop.run_until_cancelled(served).await;
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, answer: Answer) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let response = answer.make(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// What is answered for one service.
#[derive(Clone)]
struct Answer {
    key: Key,
    endpoints: Arc<AtomicUsize>,
    healthy: Arc<AtomicBool>,
}

impl Answer {
    fn make(&self, _: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (count, healthy) = (self.endpoints.load(Ordering::Relaxed), self.healthy.load(Ordering::Relaxed));
        let mut response = Response::new(Full::new(Bytes::from(text(&self.key, count, healthy))));
        if count == 0 || !healthy {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
        headers.insert("x-content-type-options", hyper::header::HeaderValue::from_static("nosniff"));
        headers.insert("x-load-balancing-endpoint-weight", count.into());
        response
    }
}

/// Upstream's text, to the byte. Names are those of objects: nothing in them needs to be escaped.
fn text(Key { namespace, name }: &Key, count: usize, healthy: bool) -> String {
    format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\
         \"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_upstreams() {
        let value: serde_json::Value = serde_json::from_str(&text(&Key::new("d", "web"), 2, true)).expect("JSON");
        let expected = serde_json::json!({"service": {"namespace": "d", "name": "web"}, "localEndpoints": 2,
            "serviceProxyHealthy": true});
        assert_eq!(value, expected);
    }
}
