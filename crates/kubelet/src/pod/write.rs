//! Writes a pod's status: one patch per change, nothing when nothing changed.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};

use crate::agent::Agent;
use crate::pods::Link;
use crate::spec;
use crate::status::patch;

/// How a write ended.
pub enum Written {
    /// The API has this pod now, and with it the status.
    Now(Arc<Pod>),
    /// It had the status already.
    Same,
    /// The pod is gone, or another one has its name.
    Gone,
    /// Worth another try.
    Failed,
}

/// Brings a static pod's status to the given one, and that of its mirror pod, if the API has one.
pub async fn write_static(agent: &Agent, link: &Link, pod: &Pod, status: &PodStatus) -> Written {
    let is_news = pod.status.as_ref() != Some(status);
    let next = Arc::new(Pod { status: Some(status.clone()), ..pod.clone() });
    if is_news {
        link.set(next.clone());
        if spec::is_terminal(pod) != spec::is_terminal(&next) {
            agent.pods.changed.send_replace(());
        }
    }
    if let Some(mirror) = agent.statics.mirrors.of(pod) {
        match write(agent, &mirror, status).await {
            Written::Now(written) => agent.statics.mirrors.put(written),
            Written::Failed => return Written::Failed,
            // Another one comes, and wakes the worker.
            Written::Same | Written::Gone => {}
        }
    }
    if is_news { Written::Now(next) } else { Written::Same }
}

/// Brings the API's status to the given one.
pub async fn write(agent: &Agent, pod: &Pod, status: &PodStatus) -> Written {
    let Some(patch) = patch::patch(pod, status) else { return Written::Same };
    let api = Api::<Pod>::namespaced(agent.client.clone(), spec::namespace(pod));
    match api.patch_status(spec::name(pod), &PatchParams::default(), &Patch::Strategic(patch)).await {
        Ok(pod) => Written::Now(Arc::new(pod)),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Written::Gone,
        Err(error) => {
            let (name, namespace) = (spec::name(pod), spec::namespace(pod));
            tracing::warn!(namespace, name, %error, "pod status not written");
            Written::Failed
        }
    }
}
