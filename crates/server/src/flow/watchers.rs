//! How many watchers would hear of a change (upstream: `flowcontrol/watch_tracker.go`).

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use meta::Attributes;

/// Counts watches by what they watch: a resource, a namespace of it, one object.
#[derive(Debug, Default)]
pub struct Watchers {
    /// By the hash of group, resource, namespace and name, so that asking allocates nothing.
    counts: Mutex<HashMap<u64, u32>>,
    hasher: RandomState,
}

/// A watch that is counted.
#[derive(Debug)]
pub struct Watching {
    watchers: Arc<Watchers>,
    key: u64,
}

impl Watchers {
    fn key(&self, a: &Attributes, namespace: &str, name: &str) -> u64 {
        self.hasher.hash_one((&*a.group, &*a.resource, namespace, name))
    }

    /// Counts a watch until the value is dropped. The pods of one node are left out: few changes are theirs.
    pub fn register(self: &Arc<Self>, a: &Attributes) -> Option<Watching> {
        if a.resource == "pods" && a.fields.exact("spec.nodeName").is_some_and(|node| !node.is_empty()) {
            return None;
        }
        let key = self.key(a, &a.namespace, &a.name);
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        Some(Watching { watchers: self.clone(), key })
    }

    /// Those who hear of such a change.
    pub fn of(&self, a: &Attributes) -> u32 {
        let mut keys = [Some(self.key(a, "", "")), None, None];
        if !a.namespace.is_empty() {
            keys[1] = Some(self.key(a, &a.namespace, ""));
        }
        if !a.name.is_empty() {
            keys[2] = Some(self.key(a, &a.namespace, &a.name));
        }
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().flatten().map(|key| counts.get(key).copied().unwrap_or(0)).sum()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut counts = self.watchers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn attributes(method: Method, uri: &str) -> Attributes {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
        crate::route::route(&method, path, query).expect("routes").attributes
    }

    #[test]
    fn a_change_is_heard_by_those_who_watch_it() {
        let watchers = Arc::new(Watchers::default());
        let watch = |uri: &str| watchers.register(&attributes(Method::GET, uri));
        let all = [
            watch("/api/v1/pods?watch=1"),
            watch("/api/v1/namespaces/a/pods?watch=1"),
            watch("/api/v1/namespaces/b/pods?watch=1"),
            watch("/api/v1/namespaces/a/pods?watch=1&fieldSelector=metadata.name%3Dp"),
            watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn"),
        ];
        let heard = |uri: &str| watchers.of(&attributes(Method::PUT, uri));
        assert_eq!(heard("/api/v1/namespaces/a/pods/p"), 3);
        assert_eq!(heard("/api/v1/namespaces/a/pods/q"), 2);
        assert_eq!(heard("/api/v1/namespaces/a/configmaps/p"), 0);
        drop(all);
        assert_eq!(heard("/api/v1/namespaces/a/pods/p"), 0);
    }
}
