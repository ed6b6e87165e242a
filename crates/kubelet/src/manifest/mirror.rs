//! Mirror pods: what the API shows of static pods (upstream: `pkg/kubelet/pod/mirror_client.go`,
//! `tryReconcileMirrorPods`, `deleteOrphanedMirrorPods`). They are made, deleted and made again as the files say; whatever
//! becomes of one, its static pod runs on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Change, Informer};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use meta::Key;

use super::own::{HASH, MIRROR, Static};
use crate::agent::Agent;
use crate::spec;

/// Before what failed is tried again: at first, and at the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The mirror pods of this node that the API has.
#[derive(Default)]
pub struct Mirrors(Mutex<BTreeMap<Key, Arc<Pod>>>);

impl Mirrors {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Pod>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of a static pod: of what it is now, and not on its way out.
    pub fn of(&self, pod: &Pod) -> Option<Arc<Pod>> {
        let mirror = self.lock().get(&key(pod)).cloned()?;
        (mirror.metadata.deletion_timestamp.is_none() && annotation(&mirror, MIRROR) == annotation(pod, HASH)).then_some(mirror)
    }

    /// Takes what a write has answered, unless the API has said more since.
    pub fn put(&self, mirror: Arc<Pod>) {
        let mut all = self.lock();
        if let Some(known) = all.get_mut(&key(&mirror)).filter(|known| known.metadata.uid == mirror.metadata.uid)
            && revision(known) < revision(&mirror)
        {
            *known = mirror;
        }
    }

    /// Takes out of the API's news what is about mirror pods, and keeps it. The name of such a one, and what is left for
    /// the workers.
    pub fn sort(&self, change: &Change<Pod>) -> (Option<Key>, Change<Pod>) {
        let split = |pod: &Option<Arc<Pod>>| match pod {
            Some(pod) if is_mirror(pod) => (Some(pod.clone()), None),
            other => (None, other.clone()),
        };
        let ((before, old), (after, new)) = (split(&change.old), split(&change.new));
        let name = after.as_ref().or(before.as_ref()).map(|pod| key(pod));
        match (before, after) {
            (_, Some(after)) => drop(self.lock().insert(key(&after), after)),
            (Some(before), None) => drop(self.lock().remove(&key(&before))),
            (None, None) => {}
        }
        (name, Change { old, new })
    }
}

/// Whether a pod of the API only shows one of a node.
fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, MIRROR).is_some()
}

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn key(pod: &Pod) -> Key {
    Key::new(spec::namespace(pod), spec::name(pod))
}

fn revision(pod: &Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// What is to be done at the API.
#[derive(Clone, Debug, PartialEq)]
enum Deed {
    Create(Box<Pod>),
    Delete(Arc<Pod>),
}

/// What is left to do. `ending` are the names of static pods that have no file any more and still run: they are shown
/// to the end.
fn decide(statics: &[Static], mirrors: &[Arc<Pod>], ending: &[Key], node: Option<&Node>) -> Vec<Deed> {
    let by_name: BTreeMap<Key, &Static> = statics.iter().map(|one| (key(&one.pod), one)).collect();
    let mut deeds = Vec::new();
    for mirror in mirrors {
        let shows = by_name.get(&key(mirror)).is_some_and(|one| annotation(mirror, MIRROR) == annotation(&one.shown, HASH));
        let over = match by_name.contains_key(&key(mirror)) {
            true => !shows || mirror.metadata.deletion_timestamp.is_some(),
            false => !ending.contains(&key(mirror)),
        };
        if over {
            deeds.push(Deed::Delete(mirror.clone()));
        }
    }
    // Without its node's uid nothing is owned by it, and on its way out it owns nothing any more.
    let Some(node) = node.filter(|node| node.metadata.deletion_timestamp.is_none()) else { return deeds };
    let is_shown = |name: &Key| mirrors.iter().any(|mirror| key(mirror) == *name);
    let missing = by_name.into_iter().filter(|(name, _)| !is_shown(name));
    deeds.extend(missing.map(|(_, one)| Deed::Create(Box::new(mirror_of(&one.shown, node)))));
    deeds
}

fn mirror_of(shown: &Pod, node: &Node) -> Pod {
    let mut mirror = shown.clone();
    let hash = annotation(shown, HASH).unwrap_or_default().to_owned();
    mirror.metadata.annotations.get_or_insert_default().insert(MIRROR.to_owned(), hash);
    mirror.metadata.uid = None;
    mirror.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.metadata.name.clone().unwrap_or_default(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    mirror
}

/// Keeps them, for as long as the agent runs.
pub async fn run(agent: Arc<Agent>, pods: Informer<Pod>) {
    let statics = &agent.statics;
    // What the API has is not known before, and whom it shows neither.
    pods.synced().await;
    statics.read.wait().await;
    let waker = agent.clone();
    agent.node.on_change(move |_| waker.statics.changed.notify_one());
    let (mut pause, mut told) = (FIRST, BTreeMap::new());
    loop {
        let mirrors: Vec<Arc<Pod>> = statics.mirrors.lock().values().cloned().collect();
        let all = statics.all();
        let node = agent.node.get(&Key::new("", &agent.config.node_name));
        let ending: Vec<Key> = agent.pods.statics().iter().map(|pod| key(pod)).collect();
        let mut failures = BTreeMap::new();
        for deed in decide(&all, &mirrors, &ending, node.as_deref()) {
            let (name, done) = match deed {
                Deed::Create(mirror) => (key(&mirror), create(&agent, &mirror).await),
                Deed::Delete(mirror) => (key(&mirror), delete(&agent, &mirror).await),
            };
            if let Err(error) = done {
                failures.insert(name, error.to_string());
            }
        }
        for (name, error) in failures.iter().filter(|(name, error)| told.get(*name) != Some(*error)) {
            tracing::warn!(namespace = %name.namespace, name = %name.name, error, "mirror pod not as its static pod");
        }
        let failed = !failures.is_empty();
        told = failures;
        tokio::select! {
            () = statics.changed.notified() => {}
            () = tokio::time::sleep(pause), if failed => {}
        }
        pause = if failed { (pause * 2).min(LONGEST) } else { FIRST };
    }
}

async fn create(agent: &Agent, mirror: &Pod) -> Result<(), kube::Error> {
    let api = Api::<Pod>::namespaced(agent.client.clone(), spec::namespace(mirror));
    let made = api.create(&PostParams::default(), mirror).await?;
    // Another look may come before the API's news of it.
    agent.statics.mirrors.lock().entry(key(&made)).or_insert_with(|| Arc::new(made));
    agent.pods.wake_static(spec::namespace(mirror), spec::name(mirror));
    Ok(())
}

async fn delete(agent: &Agent, mirror: &Pod) -> Result<(), kube::Error> {
    let api = Api::<Pod>::namespaced(agent.client.clone(), spec::namespace(mirror));
    let preconditions = Preconditions { uid: mirror.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(spec::name(mirror), &params).await {
        // Gone already, or another has its name: its news come, or have come.
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, hash: &str) -> Static {
        let mut pod = spec::tests::pod(json!({"containers": []}));
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.annotations = Some([(HASH.to_owned(), hash.to_owned())].into());
        Static { pod: Arc::new(pod.clone()), shown: Arc::new(pod) }
    }

    fn node(deleting: bool) -> Node {
        let time = deleting.then_some("2026-01-01T00:00:00Z");
        serde_json::from_value(json!({"metadata": {"name": "n1", "uid": "nu", "deletionTimestamp": time}})).expect("node")
    }

    fn shown(one: &Static) -> Arc<Pod> {
        let mut mirror = mirror_of(&one.shown, &node(false));
        mirror.metadata.uid = Some("m".to_owned());
        Arc::new(mirror)
    }

    fn deeds(statics: &[Static], mirrors: &[Arc<Pod>], ending: &[Key]) -> Vec<String> {
        let word = |deed: &Deed| match deed {
            Deed::Create(pod) => format!("create {}", spec::name(pod)),
            Deed::Delete(pod) => format!("delete {}", spec::name(pod)),
        };
        decide(statics, mirrors, ending, Some(&node(false))).iter().map(word).collect()
    }

    #[test]
    fn each_static_pod_is_shown_once_and_as_it_is() {
        let (a, b) = (one("a", "1"), one("b", "1"));
        let statics = [a.clone(), b.clone()];
        assert_eq!(deeds(&statics, &[], &[]), ["create a", "create b"]);
        assert_eq!(deeds(&statics, &[shown(&a), shown(&b)], &[]), Vec::<String>::new());
        assert_eq!(deeds(&statics, &[shown(&one("a", "0")), shown(&b)], &[]), ["delete a"], "it comes again when that is gone");
        let mut deleted = (*shown(&a)).clone();
        deleted.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(deeds(&statics, &[Arc::new(deleted), shown(&b)], &[]), ["delete a"]);
        assert_eq!(deeds(&[], &[shown(&a), shown(&b)], &[key(&b.pod)]), ["delete a"], "one that still runs is shown");
    }

    #[test]
    fn its_node_owns_it() {
        let a = one("a", "1");
        let mirror = mirror_of(&a.shown, &node(false));
        let owner = serde_json::to_value(&mirror.metadata.owner_references).expect("plain");
        assert_eq!(owner, json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "nu", "controller": true}]));
        assert_eq!(annotation(&mirror, MIRROR), Some("1"));
        assert_eq!(decide(&[a.clone()], &[], &[], None), []);
        assert_eq!(decide(&[a], &[], &[], Some(&node(true))), []);
    }

    #[test]
    fn a_mirror_is_taken_for_no_pod_to_run() {
        let mirrors = Mirrors::default();
        let a = one("a", "1");
        let plain = |name: &str| {
            let mut pod = (*one(name, "1").pod).clone();
            pod.metadata.annotations = None;
            Arc::new(pod)
        };
        let sorted = |old: Option<Arc<Pod>>, new: Option<Arc<Pod>>| {
            let (name, left) = mirrors.sort(&Change { old, new });
            (name.map(|name| name.name), left.old.is_some(), left.new.is_some())
        };
        assert_eq!(sorted(None, Some(shown(&a))), (Some("a".into()), false, false));
        assert!(mirrors.of(&a.pod).is_some() && mirrors.of(&one("a", "2").pod).is_none());
        assert_eq!(sorted(None, Some(plain("b"))), (None, false, true));
        assert_eq!(sorted(Some(shown(&a)), Some(plain("a"))), (Some("a".into()), false, true), "another has its name");
        assert!(mirrors.of(&a.pod).is_none());
        assert_eq!(sorted(Some(plain("a")), Some(shown(&a))), (Some("a".into()), true, false));
        assert_eq!(sorted(Some(shown(&a)), None), (Some("a".into()), false, false));
    }
}
