//! The heartbeat: one Lease, renewed by a task that nothing else can hold up.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::PostParams;
use meta::Key;

use crate::agent::Agent;

const NAMESPACE: &str = "kube-node-lease";
/// Seconds after which the node counts as lost.
const DURATION: i32 = 40;
/// Between two renewals.
const INTERVAL: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);

/// Renews for ever.
pub async fn run(agent: Arc<Agent>) {
    let api = Api::<Lease>::namespaced(agent.client.clone(), NAMESPACE);
    let mut held: Option<Lease> = None;
    loop {
        match renew(&api, &agent, held.take()).await {
            Ok(lease) => {
                held = Some(lease);
                tokio::time::sleep(INTERVAL).await;
            }
            Err(error) => {
                tracing::debug!(node = agent.config.node_name, %error, "lease not renewed, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn renew(api: &Api<Lease>, agent: &Agent, held: Option<Lease>) -> Result<Lease, kube::Error> {
    let name = &agent.config.node_name;
    let found = match held {
        Some(lease) => Some(lease),
        None => api.get_opt(name).await?,
    };
    let fresh = found.is_none();
    let mut lease = found.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    own(&mut lease, agent);
    let spec = lease.spec.get_or_insert_default();
    *spec = LeaseSpec {
        holder_identity: Some(name.clone()),
        lease_duration_seconds: Some(DURATION),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..spec.clone()
    };
    let params = PostParams::default();
    if fresh { api.create(&params, &lease).await } else { api.replace(name, &params, &lease).await }
}

/// The lease goes with its Node.
fn own(lease: &mut Lease, agent: &Agent) {
    let name = &agent.config.node_name;
    let uid = agent.node.get(&Key::new("", name)).and_then(|n| n.metadata.uid.clone());
    if let (Some(uid), None) = (uid, &lease.metadata.owner_references) {
        lease.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: name.clone(),
            uid,
            ..OwnerReference::default()
        }]);
    }
}
