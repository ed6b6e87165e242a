//! `up --demo`: three replicas of a small HTTP server, served by this very program.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use auth::identity;
use client::Hub;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use meta::{Key, Object};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::actors::Actors;
use super::machine::Machine;
use super::progress::Progress;
use crate::apiserver::{Api, bootstrap};

/// The image, made of this program.
const IMAGE: &str = "ironclad.local/demo:v1";
const NAME: &str = "demo";
const REPLICAS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Deploys it, waits until all replicas are available, and prints the URL.
pub async fn deploy(api: &Api, actors: &Actors, machine: &Machine, progress: &mut Progress) -> Result<()> {
    let runtime = actors.runtime.clone();
    let made = tokio::task::spawn_blocking(move || {
        runtime.store().import_program(IMAGE, Path::new("/proc/self/exe"), "ironclad", &["demo-server"])
    });
    made.await?.context("make the demo image")?;
    let user = identity::api_server();
    bootstrap::ensure_all(&api.server.transport_as(user.clone()), objects()).await?;

    let stop = CancellationToken::new();
    let hub = Hub::new(api.client(user), stop.clone());
    let (deployments, services) = (hub.informer::<Deployment>(), hub.informer::<Service>());
    let changed = std::sync::Arc::new(tokio::sync::Notify::new());
    let notify = changed.clone();
    deployments.on_change(move |_| notify.notify_one());
    let key = Key::new("default", NAME);
    // One that is there already may have been scaled.
    let wanted = |d: &Deployment| d.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let available = |d: &Deployment| d.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0) >= wanted(d);
    let ready = async {
        while !deployments.get(&key).is_some_and(|d| available(&d)) {
            changed.notified().await;
        }
        services.synced().await;
    };
    if tokio::time::timeout(PATIENCE, ready).await.is_err() {
        bail!("the demo did not start within {} s: see `kubectl describe pods -l app=demo`", PATIENCE.as_secs());
    }
    progress.done(&format!("demo: {REPLICAS} replicas"));
    let service = services.get(&key).context("the demo's service is gone")?;
    let ports = service.spec.as_ref().and_then(|s| s.ports.as_deref()).unwrap_or_default();
    if let Some(port) = ports.first().and_then(|p| p.node_port) {
        let url = format!("http://{}:{port}/", machine.address);
        crate::out::line(format_args!("\nEach request is answered by one of the three pods:\n\n  curl {url}"));
    }
    stop.cancel();
    Ok(())
}

fn objects() -> Vec<Object> {
    let labels = json!({"app": NAME});
    let metadata = json!({"name": NAME, "namespace": "default", "labels": labels});
    let probe = json!({"httpGet": {"path": "/", "port": crate::commands::DEMO_PORT}, "periodSeconds": 1});
    let container = json!({
        "name": NAME, "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": crate::commands::DEMO_PORT}], "readinessProbe": probe,
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"type": "NodePort", "selector": labels,
            "ports": [{"port": 80, "targetPort": crate::commands::DEMO_PORT}]},
    });
    [deployment, service].into_iter().filter_map(|tree| Object::from_value(tree).ok()).collect()
}
