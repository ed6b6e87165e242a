//! What a proxy says of services that it does not serve, and that it tries again. Needs root.

mod common;

use std::process::Command;
use std::time::Duration;

use client::events::Form;
use client::{Informer, Recorder};
use common::{Namespace, Node, ask, cluster_ip, created, in_namespace, names, proxy_config, serve, slice};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::Proxy;
use network::api::PodNetwork;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A recorder whose events come out here, with their paths.
fn recorder() -> (Recorder, mpsc::Receiver<(String, Value)>) {
    let (told, events) = mpsc::channel(64);
    let api = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let told = told.clone();
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            let event: Value = serde_json::from_slice(&body).expect("an event");
            told.send((path, event)).await.expect("told");
            Ok::<_, std::io::Error>(http::Response::builder().status(201).body(Full::new(body)).expect("an answer"))
        }
    });
    (Recorder::new(kube::Client::new(api, "default"), "kube-proxy", "n", Form::Modern), events)
}

#[test]
fn the_loser_is_told_by_an_event() {
    in_namespace(async || {
        let (recorder, mut events) = recorder();
        let proxy = Proxy::new(proxy_config(Vec::new()), recorder);
        let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
        proxy.follow(&services, &slices);
        let shared = json!({"externalIPs": ["192.0.2.7"]});
        services.apply(created(cluster_ip("younger", "10.96.0.1", shared.clone()), 2));
        services.apply(created(cluster_ip("older", "10.96.0.2", shared), 1));
        assert!(proxy.sync(&services, &slices).await);
        let (path, event) = events.recv().await.expect("an event");
        assert_eq!(path, "/api/v1/namespaces/d/events");
        let about = (&event["involvedObject"]["kind"], &event["involvedObject"]["name"]);
        assert_eq!(about, (&json!("Service"), &json!("younger")));
        let said = (&event["type"], &event["reason"], &event["reportingComponent"]);
        assert_eq!(said, (&json!("Warning"), &json!("IPAlreadyAllocated"), &json!("kube-proxy")));
        let text = "node n does not serve IP 192.0.2.7, port 80/TCP: service d/older has it";
        assert_eq!(event["message"], text);
    });
}

/// Waits until the service is served.
async fn served(address: &'static str) {
    let asking = async {
        while tokio::task::spawn_blocking(move || ask(address)).await.expect("ran").as_deref() != Ok("a") {}
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("served");
}

fn nft(words: &str) {
    let done = Command::new("nft").args(words.split(' ')).output().expect("nft");
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_the_kernel_refuses_of_one_service_hurts_no_other_and_is_tried_again() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let a = Namespace::new(dir.path().join("a"));
        let ip = node.net.attach("a", &a.0, &[]).await.expect("attach")[0];
        serve(&a, "a", ip);
        let (recorder, mut events) = recorder();
        let proxy = Proxy::new(proxy_config(Vec::new()), recorder);
        let (services, slices) = (node.services.clone(), node.slices.clone());
        let put = |name: &str, address: &str| {
            services.apply(cluster_ip(name, address, json!({})));
            slices.apply(slice(name, &[ip], 8080));
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(proxy.run(services.clone(), slices.clone(), Informer::detached(), stop.clone()));
        put("first", "10.96.0.7");
        served("10.96.0.7:80").await;
        // Somebody else takes the key of a service that is to come.
        let element = format!("element ip {} services {{ 10.96.0.9 . tcp . 80", names().table);
        nft(&format!("add {element} : drop }}"));
        put("before", "10.96.0.8");
        put("refused", "10.96.0.9");
        put("after", "10.96.0.10");
        served("10.96.0.8:80").await;
        served("10.96.0.10:80").await;
        let (_, event) = events.recv().await.expect("an event");
        let said = (&event["involvedObject"]["name"], &event["reason"]);
        assert_eq!(said, (&json!("refused"), &json!("FailedToSyncServiceRules")));
        // Nothing changes any more, but it is tried again, and so is served when it can be.
        nft(&format!("delete {element} }}"));
        served("10.96.0.9:80").await;
        stop.cancel();
        running.await.expect("ended");
    });
}
