//! The workers of static pods, among all others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use k8s_openapi::api::core::v1::Pod;

use crate::pods::{Link, Pods};
use crate::spec;

impl Pods {
    /// The static pods, those that have no file any more and still run among them.
    pub fn statics(&self) -> Vec<Arc<Pod>> {
        self.lock().values().filter(|l| l.is_static).map(|l| l.pod()).collect()
    }

    /// Whether a pod is a static one.
    pub fn is_static(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|l| l.is_static)
    }

    /// Whether a static pod of this name that has no file any more still runs.
    pub fn has_earlier(&self, pod: &Pod) -> bool {
        let name = |p: &Pod| (spec::namespace(p).to_owned(), spec::name(p).to_owned());
        let is_other = |l: &Link| { let other = l.pod(); spec::uid(&other) != spec::uid(pod) && name(&other) == name(pod) };
        self.lock().values().any(|l| l.is_static && l.gone.load(Ordering::Acquire) && is_other(l))
    }

    /// Wakes the worker of a static pod.
    pub fn wake_static(&self, namespace: &str, name: &str) {
        let links = self.lock();
        let is = |l: &&Arc<Link>| { let pod = l.pod(); l.is_static && spec::namespace(&pod) == namespace && spec::name(&pod) == name };
        links.values().filter(is).for_each(|link| link.notify.notify_one());
    }
}
