//! What the API has of the addresses of Services: the ServiceCIDR of the cluster's own range, and an IPAddress for each
//! address that a Service has (upstream: `pkg/controlplane/controller/defaultservicecidr`,
//! `pkg/registry/core/service/ipallocator`, and `pkg/registry/core/service/ipallocator/controller`, which repairs them).
//! Addresses are given out with the Services themselves; these objects follow.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Informer;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{IPAddress, IPAddressSpec, ParentReference, ServiceCIDR};
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use meta::Key;
use serde_json::json;
use tokio::sync::Notify;

use super::rest::is_code;
use super::{API_SERVER, Context, Worker};
use crate::frame::Permission;

const CIDR: &str = "kubernetes";
/// The label that says who looks after an IPAddress …
pub const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
/// … and who that is for those of Services.
pub const ALLOCATOR: &str = "ipallocator.k8s.io";
const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
/// Index over services by their addresses.
const BY_ADDRESS: &str = "address";
/// First pause before what was refused is tried again, doubled each time, and the longest one.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(10)];

/// The list entry. It is the API server's own business, so it acts as the API server.
pub static WORKER: Worker = Worker {
    name: "service-addresses",
    user: Some(API_SERVER),
    permissions: &[
        Permission { group: "networking.k8s.io", resource: "servicecidrs", verbs: &["create", "get"] },
        Permission { group: "networking.k8s.io", resource: "servicecidrs/status", verbs: &["update"] },
        Permission { group: "networking.k8s.io", resource: "ipaddresses", verbs: &["create", "delete"] },
    ],
    run: |context| -> BoxFuture<'static, ()> { Box::pin(run(context)) },
};

/// What is to be looked at.
#[derive(Default)]
struct Work {
    addresses: Mutex<BTreeSet<IpAddr>>,
    cidr: Mutex<bool>,
    notify: Notify,
}

impl Work {
    fn look_at(&self, addresses: impl Iterator<Item = IpAddr>) {
        let mut waiting = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(addresses);
        // Whoever has looked at all of them must not be woken by that.
        if !waiting.is_empty() {
            self.notify.notify_one();
        }
    }

    fn look_at_cidr(&self) {
        *self.cidr.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.notify.notify_one();
    }

    fn next(&self) -> Option<IpAddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }
}

async fn run(context: Context) {
    let Some(server) = context.server else { return std::future::pending().await };
    let (work, client) = (Arc::new(Work::default()), context.client.clone());
    let services = context.hub.informer::<Service>();
    let addresses = context.hub.informer::<IPAddress>();
    let cidrs = context.hub.informer::<ServiceCIDR>();
    services.index(BY_ADDRESS, |service| held(service).iter().map(ToString::to_string).collect());
    let own = work.clone();
    services.on_change(move |change| own.look_at(change.old.iter().chain(&change.new).flat_map(|service| held(service))));
    let own = work.clone();
    addresses.on_change(move |change| own.look_at(name(change.latest()).into_iter()));
    let own = work.clone();
    cidrs.on_change(move |change| {
        if change.latest().metadata.name.as_deref() == Some(CIDR) {
            own.look_at_cidr();
        }
    });
    work.look_at_cidr();
    // Who has an address is not known before.
    services.synced().await;
    addresses.synced().await;
    let mut pause = PAUSES[0];
    loop {
        let wanted = std::mem::take(&mut *work.cidr.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = wanted && ensure(&client, &server.service_network).await.inspect_err(tell).is_err();
        if failed {
            work.look_at_cidr();
        }
        let mut again = Vec::new();
        while let Some(ip) = work.next() {
            if settle(&client, &services, &addresses, ip).await.inspect_err(tell).is_err() {
                again.push(ip);
            }
        }
        failed |= !again.is_empty();
        work.look_at(again.into_iter());
        if failed {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        } else {
            pause = PAUSES[0];
            work.notify.notified().await;
        }
    }
}

fn tell(error: &kube::Error) {
    tracing::debug!(%error, "objects of the addresses of services not yet as they should be");
}

/// The addresses that a service has.
fn held(service: &Service) -> Vec<IpAddr> {
    let Some(spec) = service.spec.as_ref().filter(|spec| spec.type_.as_deref() != Some("ExternalName")) else { return Vec::new() };
    let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let mut ips: Vec<IpAddr> = all.filter_map(|ip| ip.parse().ok()).collect();
    ips.sort_unstable();
    ips.dedup();
    ips
}

fn name(address: &IPAddress) -> Option<IpAddr> {
    address.metadata.name.as_ref()?.parse().ok()
}

/// The ServiceCIDR of the cluster's own range.
async fn ensure(client: &kube::Client, network: &str) -> kube::Result<()> {
    let api: Api<ServiceCIDR> = Api::all(client.clone());
    let current = match api.get_opt(CIDR).await? {
        Some(current) => current,
        None => {
            let wanted = json!({"metadata": {"name": CIDR}, "spec": {"cidrs": [network]}});
            let wanted = serde_json::from_value(wanted).map_err(kube::Error::SerdeError)?;
            match api.create(&PostParams::default(), &wanted).await {
                // Somebody else was quicker: the news of it come.
                Err(error) if is_code(&error, 409) => return Ok(()),
                other => other?,
            }
        }
    };
    let known = current.status.iter().flat_map(|status| status.conditions.iter().flatten()).any(|condition| condition.type_ == "Ready");
    let same = current.spec.as_ref().and_then(|spec| spec.cidrs.as_ref()).is_some_and(|cidrs| *cidrs == [network]);
    if current.metadata.deletion_timestamp.is_some() || known || !same {
        return Ok(());
    }
    let mut status = serde_json::to_value(&current).map_err(kube::Error::SerdeError)?;
    let now = meta::time::seconds(jiff::Timestamp::now());
    status["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "reason": "",
        "message": "Kubernetes default Service CIDR is ready", "lastTransitionTime": now}]);
    let status = serde_json::from_value(status).map_err(kube::Error::SerdeError)?;
    match api.replace_status(CIDR, &PostParams::default(), &status).await {
        Err(error) if !is_code(&error, 409) => Err(error),
        _ => Ok(()),
    }
}

/// What is to be done about the object of one address.
#[derive(Debug, PartialEq)]
enum Deed {
    Nothing,
    Create(Box<IPAddress>),
    Delete(Box<IPAddress>),
}

fn decide(ip: IpAddr, owner: Option<&Service>, current: Option<&IPAddress>) -> Deed {
    let parent = owner.map(|service| ParentReference {
        group: None,
        resource: "services".to_owned(),
        namespace: service.metadata.namespace.clone(),
        name: service.metadata.name.clone().unwrap_or_default(),
    });
    let Some(current) = current else {
        return parent.map_or(Deed::Nothing, |parent| {
            let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
            let mut object = IPAddress { spec: IPAddressSpec { parent_ref: parent }, ..IPAddress::default() };
            object.metadata.name = Some(ip.to_string());
            let labels = [(FAMILY, family), (MANAGED_BY, ALLOCATOR)].map(|(key, value)| (key.to_owned(), value.to_owned()));
            object.metadata.labels = Some(labels.into());
            Deed::Create(Box::new(object))
        });
    };
    // Those of others are theirs.
    let ours = current.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == ALLOCATOR);
    let same = |parent: &ParentReference| {
        let of = |parent: &ParentReference| (parent.resource.clone(), parent.namespace.clone(), parent.name.clone());
        of(&current.spec.parent_ref) == of(parent)
    };
    let right = parent.as_ref().is_some_and(same);
    if right || !ours || current.metadata.deletion_timestamp.is_some() {
        return Deed::Nothing;
    }
    // Whose it is cannot be changed: it is made again when it is gone.
    Deed::Delete(Box::new(current.clone()))
}

async fn settle(client: &kube::Client, services: &Informer<Service>, addresses: &Informer<IPAddress>, ip: IpAddr) -> kube::Result<()> {
    let (view, text) = (services.view(), ip.to_string());
    let owner = view.by(BY_ADDRESS, &text).next();
    let current = addresses.get(&Key::new("", &text));
    let api: Api<IPAddress> = Api::all(client.clone());
    match decide(ip, owner.map(|service| &**service), current.as_deref()) {
        Deed::Nothing => Ok(()),
        Deed::Create(object) => match api.create(&PostParams::default(), &object).await {
            Err(error) if !is_code(&error, 409) => Err(error),
            _ => Ok(()),
        },
        Deed::Delete(object) => {
            let preconditions = Some(Preconditions { uid: object.metadata.uid.clone(), resource_version: None });
            match api.delete(&text, &DeleteParams { preconditions, ..DeleteParams::default() }).await {
                Err(error) if !is_code(&error, 404) && !is_code(&error, 409) => Err(error),
                _ => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn service(name: &str, spec: serde_json::Value) -> Service {
        serde_json::from_value(json!({"metadata": {"namespace": "d", "name": name}, "spec": spec})).expect("a service")
    }

    #[test]
    fn the_addresses_of_a_service_are_each_counted_once() {
        let of = |spec| held(&service("a", spec)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of(json!({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"]})), ["10.96.0.7", "fd00::7"]);
        assert!(of(json!({"clusterIP": "None", "clusterIPs": ["None"]})).is_empty());
        assert!(of(json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.7"})).is_empty());
    }

    #[test]
    fn nothing_to_look_at_wakes_nobody() {
        let work = Work::default();
        work.look_at(std::iter::empty());
        assert!(work.notify.notified().now_or_never().is_none());
        work.look_at(["10.96.0.7".parse().expect("an address")].into_iter());
        assert!(work.notify.notified().now_or_never().is_some());
        assert!(work.next().is_some() && work.next().is_none());
    }

    #[test]
    fn each_address_has_an_object_that_says_whose_it_is() {
        let ip: IpAddr = "10.96.0.7".parse().expect("an address");
        let (web, other) = (service("web", json!({})), service("other", json!({})));
        let Deed::Create(made) = decide(ip, Some(&web), None) else { panic!("it is not made") };
        let shown = serde_json::to_value(&made).expect("JSON");
        assert_eq!(shown["metadata"]["labels"], json!({FAMILY: "IPv4", MANAGED_BY: ALLOCATOR}));
        assert_eq!(shown["spec"]["parentRef"], json!({"resource": "services", "namespace": "d", "name": "web"}));
        assert_eq!(decide(ip, Some(&web), Some(&made)), Deed::Nothing);
        assert_eq!(decide(ip, Some(&other), Some(&made)), Deed::Delete(made.clone()));
        assert_eq!(decide(ip, None, Some(&made)), Deed::Delete(made.clone()));
        let mut of_others = (*made).clone();
        of_others.metadata.labels = None;
        assert_eq!((decide(ip, None, Some(&of_others)), decide(ip, Some(&other), Some(&of_others))), (Deed::Nothing, Deed::Nothing));
        assert_eq!(decide(ip, None, None), Deed::Nothing);
    }
}
