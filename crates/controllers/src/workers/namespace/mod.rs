//! Namespace deletion: everything in a namespace goes, pods first, then the namespace
//! (upstream: `pkg/controller/namespace`).

mod conditions;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use client::Informer;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::Notify;

use super::rest::{Resource, Rest, is_code, message};
use super::{Context, Worker};
use crate::frame::Permission;
use conditions::Found;

/// The finalizer of `spec.finalizers` that this worker stands for.
const FINALIZER: &str = "kubernetes";
/// First pause before looking again at what remains, doubled each time …
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// … up to this. A change of the namespace's pods ends a pause early.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The list entry.
pub static WORKER: Worker = Worker {
    name: "namespace-controller",
    user: None,
    permissions: &[
        Permission { group: "", resource: "namespaces", verbs: &["delete", "get", "list", "watch"] },
        Permission { group: "", resource: "namespaces/finalize", verbs: &["update"] },
        Permission { group: "", resource: "namespaces/status", verbs: &["update"] },
        Permission { group: "*", resource: "*", verbs: &["delete", "deletecollection", "get", "list"] },
    ],
    run: |context| Box::pin(run(context)),
};

async fn run(context: Context) {
    let namespaces = context.hub.informer::<Namespace>();
    let pods = context.hub.informer::<Pod>();
    let changed = Arc::new(Notify::new());
    let notify = changed.clone();
    namespaces.on_change(move |change| {
        if change.new.as_ref().is_some_and(|n| n.metadata.deletion_timestamp.is_some()) {
            notify.notify_one();
        }
    });
    let mut working: FuturesUnordered<BoxFuture<'static, String>> = FuturesUnordered::new();
    let mut busy: HashSet<String> = HashSet::new();
    loop {
        for namespace in namespaces.snapshot().values() {
            let going = namespace.metadata.deletion_timestamp.is_some() && has_finalizer(namespace);
            if going && busy.insert(namespace.name_any()) {
                let remover = Remover { name: namespace.name_any(), rest: Rest(context.client.clone()), pods: pods.clone() };
                working.push(Box::pin(remover.run()));
            }
        }
        tokio::select! {
            () = changed.notified() => {}
            Some(name) = working.next() => { busy.remove(&name); }
        }
    }
}

fn has_finalizer(namespace: &Namespace) -> bool {
    namespace.spec.as_ref().and_then(|s| s.finalizers.as_ref()).is_some_and(|all| all.iter().any(|f| f == FINALIZER))
}

/// Removes one namespace.
struct Remover {
    name: String,
    rest: Rest,
    pods: Informer<Pod>,
}

impl Remover {
    async fn run(self) -> String {
        let mut pause = FIRST_PAUSE;
        let mut revision = self.pods.revision();
        loop {
            match self.attempt().await {
                Ok(true) => return self.name,
                Ok(false) => {}
                Err(error) => tracing::debug!(namespace = %self.name, %error, "namespace not yet removed"),
            }
            let wait = tokio::time::sleep(pause);
            tokio::pin!(wait);
            let before = self.pods_here();
            // Its pods gone: time to go on. Other content has no such sign.
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    changed = revision.changed() => {
                        if changed.is_err() || (before > 0 && self.pods_here() == 0) {
                            break;
                        }
                    }
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn pods_here(&self) -> usize {
        self.pods.view().namespace(&self.name).count()
    }

    fn api(&self) -> Api<Namespace> {
        Api::all(self.rest.0.clone())
    }

    /// Whether it is done.
    async fn attempt(&self) -> kube::Result<bool> {
        let mut namespace = match self.api().get(&self.name).await {
            Ok(namespace) => namespace,
            Err(error) if is_code(&error, 404) => return Ok(true),
            Err(error) => return Err(error),
        };
        if namespace.metadata.deletion_timestamp.is_none() || !has_finalizer(&namespace) {
            return Ok(true);
        }
        let found = self.remove_content().await;
        let empty = found.is_empty();
        if conditions::note(&mut namespace, &found, jiff::Timestamp::now()) {
            namespace = self.put(&namespace, "status").await?;
        }
        if empty {
            if let Some(finalizers) = namespace.spec.as_mut().and_then(|s| s.finalizers.as_mut()) {
                finalizers.retain(|f| f != FINALIZER);
            }
            self.put(&namespace, "finalize").await?;
        }
        Ok(empty)
    }

    async fn put(&self, namespace: &Namespace, subresource: &str) -> kube::Result<Namespace> {
        match self.api().replace_subresource(subresource, &self.name, &PostParams::default(), namespace).await {
            // Somebody else has finished it.
            Err(error) if is_code(&error, 404) => Ok(namespace.clone()),
            other => other,
        }
    }

    /// Deletes what is there, and tells what remains. While pods remain nothing else is touched: they may
    /// need it to end well.
    async fn remove_content(&self) -> Found {
        let mut found = Found::default();
        let resources = match self.rest.discover().await {
            Ok(resources) => resources,
            Err(error) => {
                found.discovery = Some(message(&error));
                return found;
            }
        };
        let mut deletable: Vec<Resource> =
            resources.into_iter().filter(|r| r.namespaced && r.can(&["delete", "list"])).collect();
        deletable.sort();
        let is_pods = |r: &Resource| r.group.is_empty() && r.name == "pods";
        for resource in deletable.iter().filter(|r| is_pods(r)) {
            self.remove_resource(resource, &mut found).await;
        }
        if found.remaining.is_empty() {
            for resource in deletable.iter().filter(|r| !is_pods(r)) {
                self.remove_resource(resource, &mut found).await;
            }
        }
        found
    }

    async fn remove_resource(&self, resource: &Resource, found: &mut Found) {
        if let Err(error) = self.try_remove(resource, found).await
            && !is_code(&error, 404)
            && !is_code(&error, 405)
        {
            found.failures.push(message(&error));
        }
    }

    async fn try_remove(&self, resource: &Resource, found: &mut Found) -> kube::Result<()> {
        let items = self.rest.list(resource, &self.name).await?;
        if items.is_empty() {
            return Ok(());
        }
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        if resource.can(&["deletecollection"]) {
            self.rest.delete_all(resource, &self.name, &options).await?;
        } else {
            for item in items {
                let name = item.metadata.name.unwrap_or_default();
                match self.rest.delete(resource, &self.name, &name, &options).await {
                    Err(error) if !is_code(&error, 404) => return Err(error),
                    _ => {}
                }
            }
        }
        let left = self.rest.list(resource, &self.name).await?;
        found.count(resource, left.iter().map(|item| &item.metadata));
        Ok(())
    }
}
