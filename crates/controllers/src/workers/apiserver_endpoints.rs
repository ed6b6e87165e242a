//! The Service `kubernetes` in the namespace `default`, and its endpoints: how pods find the API server
//! (upstream: `pkg/controlplane/controller/kubernetesservice`).

use std::net::IpAddr;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::PostParams;
use kube::{Api, Resource};
use meta::Key;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

use super::rest::is_code;
use super::{API_SERVER, Context, Worker};
use crate::frame::Permission;

const NAME: &str = "kubernetes";
const NAMESPACE: &str = "default";

/// Where the API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The cluster address of the Service: the first of the service range.
    pub cluster_ip: IpAddr,
    /// The address that the server advertises; without one the Service has no endpoints.
    pub address: Option<IpAddr>,
    /// Its secure port.
    pub port: u16,
    /// The service range, as `10.96.0.0/12`.
    pub service_network: String,
}

/// The list entry. It is the API server's own business, so it acts as the API server.
pub static WORKER: Worker = Worker {
    name: "kubernetes-service",
    user: Some(API_SERVER),
    permissions: &[
        Permission { group: "", resource: "namespaces", verbs: &["create", "get"] },
        Permission { group: "", resource: "services", verbs: &["create", "get", "update"] },
        Permission { group: "", resource: "endpoints", verbs: &["create", "get", "update"] },
        Permission { group: "discovery.k8s.io", resource: "endpointslices", verbs: &["create", "get", "update"] },
    ],
    run: |context| -> BoxFuture<'static, ()> { Box::pin(run(context)) },
};

async fn run(context: Context) {
    let Some(server) = context.server else { return std::future::pending().await };
    // The informers tell when something was changed or removed; the work is to put it back.
    let services = context.hub.informer::<Service>();
    let endpoints = context.hub.informer::<Endpoints>();
    let slices = context.hub.informer::<EndpointSlice>();
    let changed = std::sync::Arc::new(tokio::sync::Notify::new());
    let key = Key::new(NAMESPACE, NAME);
    macro_rules! wake_on {
        ($informer:expr) => {{
            let (notify, key) = (changed.clone(), key.clone());
            $informer.on_change(move |change| {
                if client::informer::key_of(&**change.latest()) == key {
                    notify.notify_one();
                }
            });
        }};
    }
    wake_on!(services);
    wake_on!(endpoints);
    wake_on!(slices);
    loop {
        let mut pause = std::time::Duration::from_millis(20);
        while let Err(error) = ensure_all(&context.client, &server).await {
            tracing::debug!(%error, "service of the API server not yet there");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(std::time::Duration::from_secs(10));
        }
        changed.notified().await;
    }
}

async fn ensure_all(client: &kube::Client, server: &Server) -> kube::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    ensure(&namespaces, NAMESPACE, &json!({"metadata": {"name": NAMESPACE}}), &[]).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    ensure(&services, NAME, &service(server), &["/spec/ports"]).await?;
    let Some(address) = server.address else { return Ok(()) };
    let endpoints: Api<Endpoints> = Api::namespaced(client.clone(), NAMESPACE);
    ensure(&endpoints, NAME, &endpoints_object(address, server.port), &["/subsets", "/metadata/labels"]).await?;
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    ensure(&slices, NAME, &slice(address, server.port), &["/endpoints", "/ports", "/metadata/labels"]).await
}

/// Creates the object, or puts those parts of it right that differ.
async fn ensure<K>(api: &Api<K>, name: &str, wanted: &Value, parts: &[&str]) -> kube::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let typed = |value: &Value| serde_json::from_value::<K>(value.clone()).map_err(kube::Error::SerdeError);
    let current = match api.get(name).await {
        Ok(current) => current,
        Err(error) if is_code(&error, 404) => {
            return match api.create(&PostParams::default(), &typed(wanted)?).await {
                Err(error) if !is_code(&error, 409) => Err(error),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error),
    };
    let before = serde_json::to_value(&current).map_err(kube::Error::SerdeError)?;
    let mut after = before.clone();
    for part in parts {
        let Some(wanted) = wanted.pointer(part) else { continue };
        match after.pointer_mut(part) {
            Some(current) => *current = wanted.clone(),
            None => {
                let (parent, field) = part.rsplit_once('/').unwrap_or(("", part));
                if let Some(parent) = after.pointer_mut(parent) {
                    parent[field] = wanted.clone();
                }
            }
        }
    }
    if after != before {
        api.replace(name, &PostParams::default(), &typed(&after)?).await?;
    }
    Ok(())
}

fn service(server: &Server) -> Value {
    json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"provider": "kubernetes", "component": "apiserver"}},
        "spec": {
            "clusterIP": server.cluster_ip.to_string(),
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": server.port}],
        },
    })
}

fn endpoints_object(address: IpAddr, port: u16) -> Value {
    json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{
            "addresses": [{"ip": address.to_string()}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }],
    })
}

fn slice(address: IpAddr, port: u16) -> Value {
    let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
    json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": family,
        "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    })
}
