//! An API server, and all who decide by its objects.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use auth::identity;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use transport::{Body, Error, Transport};

use super::deciders;
use super::kit::Kit;
use super::kubelet::Kubelet;
use super::samples::PORT;
use super::walk::Leaf;

/// What became of an object.
#[derive(PartialEq)]
pub struct Answer {
    /// The part that was walked, as it would be stored; `None`: it was refused at once.
    pub object: Option<Value>,
    /// Why it was refused, there or later.
    pub refused: Vec<String>,
    /// What is done about it, by whom it is done.
    pub plans: BTreeMap<&'static str, String>,
}

/// Everything that decides.
pub struct Cluster {
    kit: Kit,
    kubelet: Kubelet,
}

impl Cluster {
    pub async fn new(dir: &Path) -> Self {
        let kit = Kit::guarded(&dir.join("keys")).await;
        let node = deciders::node("n1", &json!({}), &json!({"kubernetes.io/os": "linux", "k": "v"}), "8");
        let objects = [
            ("/api/v1/nodes", serde_json::to_value(&node).expect("is a tree")),
            ("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})),
            ("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "other"}})),
            ("/apis/scheduling.k8s.io/v1/priorityclasses", json!({"metadata": {"name": "x"}, "value": 100})),
            ("/apis/node.k8s.io/v1/runtimeclasses", json!({"metadata": {"name": "x"}, "handler": "ironclad", "overhead": {"podFixed": {"cpu": "1"}}})),
            ("/api/v1/namespaces/default/services", json!({"metadata": {"name": "linked"}, "spec": {"ports": [{"port": 80}]}})),
            ("/api/v1/namespaces/default/pods", named("there", json!({"spec": {
                "containers": [{"name": "c", "image": "example.com/app:1", "resources": {"limits": {"cpu": "2"}}}], "automountServiceAccountToken": false,
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]}}))),
        ];
        for (path, object) in objects {
            let answer = kit.post(path, object).await;
            assert!(answer.code.is_success(), "{path}: {}", answer.text());
        }
        let transport = Arc::new(Tokens(kit.server.transport_as(identity::api_server())));
        let hub = client::Hub::new(client::connect::in_process(transport), CancellationToken::new());
        let kubelet = Kubelet::new(&hub, node, dir).await;
        Cluster { kit, kubelet }
    }

    /// Sends the object, and asks everybody what to do about it.
    pub async fn ask(&self, kind: &str, leaf: &Leaf, object: Value) -> Answer {
        let object = with_port(settled(kind, leaf, object), self.kubelet.port);
        let answer = match kind {
            "Pod" if leaf.path.starts_with("ephemeralContainers") => self.ephemeral(object).await,
            "Pod" => self.kit.post("/api/v1/namespaces/default/pods?dryRun=All", pod(object)).await,
            "Service" => self.kit.post("/api/v1/namespaces/default/services?dryRun=All", named("web", json!({"spec": object}))).await,
            _ => self.kit.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?dryRun=All", named("web-1", object)).await,
        };
        let mut answered = Answer { object: None, refused: Vec::new(), plans: BTreeMap::new() };
        let tree = plain(answer.text());
        if !answer.code.is_success() {
            answered.refused.push(tree["message"].as_str().unwrap_or_default().to_owned());
            return answered;
        }
        match kind {
            "Pod" => self.decide_pod(&tree, &mut answered).await,
            "Service" => decide_service(&tree, &mut answered),
            _ => decide_slice(&tree, &mut answered),
        }
        let part = if kind == "EndpointSlice" { tree } else { tree["spec"].clone() };
        answered.object = Some(without_metadata(part));
        answered
    }

    /// Containers of this sort are added to a pod that is there.
    async fn ephemeral(&self, spec: Value) -> super::kit::Answer {
        let path = "/api/v1/namespaces/default/pods/there";
        let mut there = self.kit.get(path).await.json();
        there["spec"]["ephemeralContainers"] = spec["ephemeralContainers"].clone();
        let uri = format!("{path}/ephemeralcontainers?dryRun=All");
        self.kit.ask(Method::PUT, &uri, &[], there.to_string()).await
    }

    async fn decide_pod(&self, tree: &Value, answered: &mut Answer) {
        let mut pod: Pod = serde_json::from_value(tree.clone()).expect("a pod");
        pod.metadata.uid = Some("u1".to_owned());
        pod.metadata.creation_timestamp = None;
        let (scheduled, unfit) = deciders::scheduled(&pod);
        let (made, refused) = self.kubelet.plan(&pod).await;
        answered.refused.extend(unfit.into_iter().chain(refused));
        answered.plans.insert("the scheduler", scheduled);
        answered.plans.insert("the kubelet", made);
        answered.plans.insert("controllers", deciders::pod_controlled(&pod));
    }
}

fn decide_service(tree: &Value, answered: &mut Answer) {
    let mut service: Service = serde_json::from_value(tree.clone()).expect("a service");
    service.metadata.uid = Some("web".to_owned());
    service.metadata.creation_timestamp = None;
    let slice = json!({"metadata": {"namespace": "default", "name": "web-1"}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": [
            {"addresses": ["10.244.0.5"], "nodeName": "n1", "conditions": {"ready": true}},
            {"addresses": ["10.244.1.5"], "nodeName": "n2", "conditions": {"ready": true}},
            {"addresses": ["10.244.0.6"], "nodeName": "n1", "conditions": {"ready": false}}]});
    let slice: EndpointSlice = serde_json::from_value(slice).expect("a slice");
    answered.plans.extend(deciders::served(&service, &[slice]));
}

fn decide_slice(tree: &Value, answered: &mut Answer) {
    let mut slice: EndpointSlice = serde_json::from_value(tree.clone()).expect("a slice");
    slice.metadata.creation_timestamp = None;
    let service = json!({"metadata": {"namespace": "default", "name": "web", "uid": "web"}, "spec": {"clusterIP": "10.96.0.7",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}});
    let service: Service = serde_json::from_value(service).expect("a service");
    answered.plans.extend(deciders::served(&service, &[slice]));
}

/// Nothing is left to chance: what the server would choose is said, unless it is what is tried.
fn settled(kind: &str, leaf: &Leaf, mut object: Value) -> Value {
    let mut say = |name: &str, value: Value| {
        if !leaf.path.starts_with(name) && object.get(name).is_none() {
            object[name] = value;
        }
    };
    match kind {
        "Pod" => say("automountServiceAccountToken", json!(false)),
        "Service" if !leaf.path.starts_with("externalName") && !leaf.path.starts_with("clusterIP") => say("clusterIP", json!("10.96.0.70")),
        _ => {}
    }
    let exposed = matches!(object["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if exposed && leaf.path != "ports[].nodePort" && leaf.path != "allocateLoadBalancerNodePorts" {
        object["ports"][0]["nodePort"] = json!(30100);
    }
    object
}

/// The tree without what the server made up: the end of a volume's name.
fn plain(text: &str) -> Value {
    const START: &str = "kube-api-access-";
    let mut parts = text.split(START);
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |text, part| text + START + "x" + part.get(5..).unwrap_or_default());
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn named(name: &str, mut object: Value) -> Value {
    object["metadata"] = json!({"name": name});
    object
}

fn pod(spec: Value) -> Value {
    named("p", json!({"spec": spec}))
}

fn without_metadata(mut tree: Value) -> Value {
    if let Some(fields) = tree.as_object_mut() {
        ["kind", "apiVersion", "metadata"].iter().for_each(|name| drop(fields.remove(*name)));
    }
    tree
}

/// Puts the port of the server that answers probes in the place of its stand-in.
fn with_port(tree: Value, port: u16) -> Value {
    match tree {
        Value::Object(fields) => {
            let put = |(name, value): (String, Value)| match name == "port" && value == json!(PORT) {
                true => (name, json!(port)),
                false => (name, with_port(value, port)),
            };
            Value::Object(fields.into_iter().map(put).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| with_port(item, port)).collect()),
        plain => plain,
    }
}

/// Gives tokens that say what was asked for, without a pod that they could be bound to.
struct Tokens(transport::Shared);

impl Transport for Tokens {
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Error>> {
        let inner = self.0.clone();
        async move {
            if !request.uri().path().ends_with("/token") {
                return inner.send(request).await;
            }
            let account = request.uri().path().to_owned();
            let asked = request.into_body().collect().await?.to_bytes();
            let token = format!("{account} {}", String::from_utf8_lossy(&asked));
            let status = json!({"token": token, "expirationTimestamp": "2126-01-01T00:00:00Z"});
            let answer = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}, "status": status});
            Ok(Response::builder().status(201).body(transport::full(answer.to_string()))?)
        }
        .boxed()
    }
}
