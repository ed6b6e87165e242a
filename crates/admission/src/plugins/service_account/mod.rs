//! Every pod has a service account that exists, its token, and its pull secrets
//! (upstream: `plugin/pkg/admission/serviceaccount`).

mod mountable;
mod token_volume;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth::authz::node::{Kind, references};
use meta::{Key, Object, Status, text};
use serde_json::Value;

use super::{Context, MIRROR_POD, is_pod};
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Plugin, Request};

/// The account of pods that name none.
const DEFAULT: &str = "default";
/// How often and how long the default account is waited for: a controller makes it right after the namespace.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

struct ServiceAccount;

/// Makes the plug-in.
pub(super) fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(ServiceAccount)
}

#[async_trait]
impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let Some((mirror, named)) = created_pod(request).map(|pod| (is_mirror(pod), account_name(pod).to_owned()))
        else {
            return Ok(());
        };
        if mirror {
            return Ok(());
        }
        let name = if named.is_empty() { DEFAULT } else { &named };
        let account = account(request, name, lookup).await?;
        let Some(pod) = request.object.as_deref_mut() else { return Ok(()) };
        pod.set("spec.serviceAccountName", name);
        // The deprecated name of the same field always shows the same value.
        pod.set("spec.serviceAccount", name);
        if automount(pod, &account) {
            token_volume::mount(pod);
        }
        if pod.list_at("spec.imagePullSecrets").is_empty() {
            let secrets = account.list_at("imagePullSecrets");
            if !secrets.is_empty() {
                pod.set("spec.imagePullSecrets", secrets.to_vec());
            }
        }
        Ok(())
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let ephemeral = is_pod(request, "ephemeralcontainers") && request.operation == Operation::Update;
        let Some(pod) = created_pod(request).or_else(|| request.object.as_deref().filter(|_| ephemeral)) else {
            return Ok(());
        };
        if is_mirror(pod) && !ephemeral {
            return mirror(request, pod);
        }
        let name = account_name(pod);
        if name.is_empty() {
            let why = format!("no service account specified for pod {}/{}", request.attributes.namespace, pod.name());
            return Err(forbidden(request, why));
        }
        let account = account(request, name, lookup).await?;
        mountable::check(&account, pod, ephemeral).map_err(|why| forbidden(request, why))
    }
}

fn created_pod<'a>(request: &'a Request<'_>) -> Option<&'a Object> {
    let created = is_pod(request, "") && request.operation == Operation::Create;
    request.object.as_deref().filter(|_| created)
}

fn is_mirror(pod: &Object) -> bool {
    pod.annotation(MIRROR_POD).is_some()
}

fn account_name(pod: &Object) -> &str {
    let name = pod.str_at("spec.serviceAccountName");
    if name.is_empty() { pod.str_at("spec.serviceAccount") } else { name }
}

/// The pod's wish counts before the account's; without either it is yes.
fn automount(pod: &Object, account: &Object) -> bool {
    let of_pod = pod.bool_at("spec.automountServiceAccountToken");
    of_pod.or(account.bool_at("automountServiceAccountToken")).unwrap_or(true)
}

async fn account(request: &Request<'_>, name: &str, lookup: &dyn Lookup) -> Result<Arc<Object>, Status> {
    let namespace = &request.attributes.namespace;
    let key = Key::new(namespace, name);
    let failed = |e: Status| forbidden(request, format!("error looking up service account {namespace}/{name}: {e}"));
    if let Some(why) = text::path_segment(name, false).first() {
        let why = format!("invalid resource name {}: [{why}]", text::quoted(name));
        return Err(forbidden(request, format!("error looking up service account {namespace}/{name}: {why}")));
    }
    let tries = if name == DEFAULT { TRIES } else { 1 };
    for attempt in 0..tries {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(account) = lookup.get("", "serviceaccounts", &key).await.map_err(failed)? {
            return Ok(account);
        }
    }
    Err(failed(Status::not_found("", "serviceaccount", name)))
}

/// A mirror pod is made by a kubelet, from a file: it must not reach for secrets.
fn mirror(request: &Request<'_>, pod: &Object) -> Result<(), Status> {
    if !account_name(pod).is_empty() {
        return Err(forbidden(request, "a mirror pod may not reference service accounts"));
    }
    if references::of_pod(pod).iter().any(|(kind, _)| *kind == Kind::Secret) {
        return Err(forbidden(request, "a mirror pod may not reference secrets"));
    }
    let token = |volume: &Value| {
        let sources = volume.pointer("/projected/sources").and_then(Value::as_array);
        sources
            .is_some_and(|sources| sources.iter().any(|s| s.get("serviceAccountToken").is_some_and(Value::is_object)))
    };
    if pod.list_at("spec.volumes").iter().any(token) {
        return Err(forbidden(request, "a mirror pod may not use ServiceAccountToken volume projections"));
    }
    Ok(())
}
