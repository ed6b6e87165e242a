//! The namespaces that always exist come back when one is deleted
//! (upstream: `pkg/controlplane/controller/systemnamespaces`, which looks once a minute).

use std::sync::Arc;
use std::time::Duration;

use client::Informer;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::PostParams;
use meta::Key;
use tokio::sync::Notify;

use super::rest::is_code;
use super::{API_SERVER, Context, Worker};
use crate::frame::Permission;

/// The namespaces. Only the last can be deleted at all, as long as the plug-in `NamespaceLifecycle` is asked.
pub const NAMES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// First pause before a refused creation is tried again, doubled each time …
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The list entry. It is the API server's own business, so it acts as the API server.
pub static WORKER: Worker = Worker {
    name: "system-namespaces",
    user: Some(API_SERVER),
    permissions: &[Permission { group: "", resource: "namespaces", verbs: &["create"] }],
    run: |context| -> BoxFuture<'static, ()> { Box::pin(run(context)) },
};

async fn run(context: Context) {
    let namespaces = context.hub.informer::<Namespace>();
    let changed = Arc::new(Notify::new());
    let notify = changed.clone();
    namespaces.on_change(move |change| {
        let gone = change.new.is_none();
        if gone && NAMES.contains(&client::informer::key_of(&**change.latest()).name.as_ref()) {
            notify.notify_one();
        }
    });
    namespaces.synced().await;
    let api: Api<Namespace> = Api::all(context.client);
    let mut pause = FIRST_PAUSE;
    loop {
        match restore(&api, &missing(&namespaces)).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                changed.notified().await;
            }
            Err(error) => {
                tracing::warn!(%error, "a system namespace is not there and cannot be created");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn missing(namespaces: &Informer<Namespace>) -> Vec<&'static str> {
    NAMES.iter().copied().filter(|name| namespaces.get(&Key::new("", name)).is_none()).collect()
}

async fn restore(api: &Api<Namespace>, missing: &[&str]) -> kube::Result<()> {
    for name in missing {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some((*name).to_owned());
        match api.create(&PostParams::default(), &namespace).await {
            Err(error) if !is_code(&error, 409) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_known() {
        let namespaces = Informer::<Namespace>::detached();
        let there = |name: &str| {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name.to_owned());
            namespace
        };
        assert_eq!(missing(&namespaces), NAMES);
        for name in ["default", "kube-system", "kube-public", "mine"] {
            namespaces.apply(there(name));
        }
        assert_eq!(missing(&namespaces), ["kube-node-lease"]);
        namespaces.delete(&there("default"));
        assert_eq!(missing(&namespaces), ["default", "kube-node-lease"]);
    }
}
