//! A small API server in memory: objects by path, watches, patches. Just enough for an agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;

type Reply = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>;

/// Shared state.
#[derive(Clone)]
pub(crate) struct Api(Arc<Mutex<State>>, broadcast::Sender<(String, Value)>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    revision: u64,
    is_down: bool,
}

impl Api {
    pub(crate) fn new() -> Self {
        Api(Arc::default(), broadcast::Sender::new(1024))
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, std::io::Error>(api.serve(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Whether it answers nothing but that it cannot.
    #[allow(dead_code, reason = "not every test that has this file turns it off")]
    pub(crate) fn turn_off(&self, is_down: bool) {
        self.0.lock().expect("lock").is_down = is_down;
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().expect("lock").objects.get(path).cloned()
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<(String, Value)> {
        self.1.subscribe()
    }

    /// Creates or replaces an object and tells the watchers.
    pub(crate) fn put(&self, path: &str, mut object: Value) -> Value {
        let mut state = self.0.lock().expect("lock");
        state.revision += 1;
        object["metadata"]["resourceVersion"] = state.revision.to_string().into();
        let old = state.objects.insert(path.to_owned(), object.clone());
        let type_ = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let _ = self.1.send((path.to_owned(), json!({"type": type_, "object": object})));
        object
    }

    pub(crate) fn remove(&self, path: &str) -> Option<Value> {
        let mut state = self.0.lock().expect("lock");
        state.revision += 1;
        let mut object = state.objects.remove(path)?;
        object["metadata"]["resourceVersion"] = state.revision.to_string().into();
        let _ = self.1.send((path.to_owned(), json!({"type": "DELETED", "object": object})));
        Some(object)
    }

    async fn serve(&self, request: Request<Body>) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or("").to_owned();
        let status = path.strip_suffix("/status");
        if self.0.lock().expect("lock").is_down {
            let mut refused = answer(None);
            *refused.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            return refused;
        }
        match parts.method {
            Method::GET if query.contains("watch=true") => self.watch(&path, &query),
            Method::GET => answer(self.get(&path)),
            Method::POST if path.ends_with("/token") => answer(Some(json!({"status":
                {"token": "t", "expirationTimestamp": "2099-01-01T00:00:00Z"}}))),
            Method::POST if path.ends_with("/subjectaccessreviews") => {
                let groups = body["spec"]["groups"].as_array().cloned().unwrap_or_default();
                let mut review = body;
                review["status"] = json!({"allowed": groups.contains(&json!("system:masters"))});
                answer(Some(review))
            }
            Method::POST => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                answer(Some(self.put(&format!("{path}/{name}"), body.clone())))
            }
            Method::PUT => answer(Some(self.put(&path, body))),
            Method::PATCH => {
                let path = status.unwrap_or(&path);
                let Some(mut object) = self.get(path) else { return answer(None) };
                merge(&mut object, &body);
                answer(Some(self.put(path, object)))
            }
            Method::DELETE => answer(self.remove(&path)),
            _ => answer(None),
        }
    }

    fn watch(&self, collection: &str, query: &str) -> Response<Reply> {
        let only = query.split('&').find_map(|q| q.strip_prefix("fieldSelector=metadata.name%3D")).map(str::to_owned);
        let plural = collection.rsplit('/').next().unwrap_or("").to_owned();
        let wanted = move |path: &str| {
            let mut parts = path.rsplit('/');
            let (name, kind) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            kind == plural && only.as_ref().is_none_or(|o| o == name)
        };
        let state = self.0.lock().expect("lock");
        let receiver = self.1.subscribe();
        let now = state.objects.iter().filter(|(p, _)| wanted(p));
        let mut first: Vec<Value> = now.map(|(_, o)| json!({"type": "ADDED", "object": o})).collect();
        first.push(json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Pod", "metadata":
            {"resourceVersion": state.revision.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}}}}));
        let later = futures::stream::unfold(receiver, move |mut receiver| {
            let wanted = wanted.clone();
            async move {
                loop {
                    let (path, event) = receiver.recv().await.ok()?;
                    if wanted(&path) {
                        return Some((event, receiver));
                    }
                }
            }
        });
        use futures::StreamExt;
        let events = futures::stream::iter(first).chain(later);
        let frames = events.map(|e| Ok(Frame::data(Bytes::from(format!("{e}\n")))));
        Response::new(StreamBody::new(frames.boxed()))
    }
}

fn answer(object: Option<Value>) -> Response<Reply> {
    use futures::StreamExt;
    let code = if object.is_some() { 200 } else { 404 };
    let object = object.unwrap_or_else(|| {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
            "message": "not found", "metadata": {}})
    });
    let frame = Ok(Frame::data(Bytes::from(object.to_string())));
    let mut response = Response::new(StreamBody::new(futures::stream::iter([frame]).boxed()));
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a code");
    response
}

/// Merges maps, conditions by type, and lists with a replace directive; the rest is replaced.
fn merge(into: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(patch)) = (into, patch) else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.remove(key)),
            Value::Object(_) => merge(into.entry(key.clone()).or_insert_with(|| json!({})), value),
            Value::Array(items) if key == "conditions" => {
                let list = into.entry(key.clone()).or_insert_with(|| json!([]));
                let Value::Array(list) = list else { continue };
                for item in items {
                    match list.iter_mut().find(|c| c["type"] == item["type"]) {
                        Some(old) => merge(old, item),
                        None => list.push(item.clone()),
                    }
                }
            }
            Value::Array(items) => {
                let plain: Vec<Value> = items.iter().filter(|i| i["$patch"].is_null()).cloned().collect();
                into.insert(key.clone(), plain.into());
            }
            other => drop(into.insert(key.clone(), other.clone())),
        }
    }
}
