//! Revision numbers and the other annotations of a Deployment's ReplicaSets.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::fence;

/// The number of the rollout that a ReplicaSet, or the Deployment, is at.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations that are not copied from a Deployment to its ReplicaSets.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
];
/// Length of the history at which its oldest entries go, in characters.
const HISTORY_LENGTH: usize = 2000;

fn annotation<'a>(set: &'a ReplicaSet, name: &str) -> Option<&'a str> {
    set.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// The revision of a set; 0 if it has none.
pub fn of(set: &ReplicaSet) -> i64 {
    annotation(set, REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

/// The wanted number that a set was last scaled for.
pub fn desired(set: &ReplicaSet) -> Option<i32> {
    annotation(set, DESIRED)?.parse().ok().filter(|n| *n >= 0)
}

/// The most replicas that the Deployment could have when a set was last scaled.
pub fn maximum(set: &ReplicaSet) -> Option<i32> {
    annotation(set, MAXIMUM)?.parse().ok().filter(|n| *n >= 0)
}

/// Notes the Deployment's size in a set. Says whether that changed anything.
pub fn note_size(set: &mut ReplicaSet, deployment: &Deployment) -> bool {
    let wanted = fence::replicas(deployment);
    let annotations = set.metadata.annotations.get_or_insert_default();
    let desired = put(annotations, DESIRED, wanted.to_string());
    let maximum = put(annotations, MAXIMUM, (wanted + fence::surge(deployment)).to_string());
    desired || maximum
}

/// Gives the newest set the Deployment's annotations and its revision, keeping the revisions that it had
/// before a rollback. Says whether that changed anything.
pub fn annotate_newest(set: &mut ReplicaSet, deployment: &Deployment, revision: i64) -> bool {
    let had = annotation(set, REVISION).map(str::to_owned);
    let annotations = set.metadata.annotations.get_or_insert_default();
    let mut changed = false;
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            changed |= put(annotations, key, value.clone());
        }
    }
    let number = match had.as_deref() {
        None | Some("") => 0,
        Some(text) => match text.parse::<i64>() {
            Ok(number) => number,
            Err(_) => return false,
        },
    };
    if number < revision {
        annotations.insert(REVISION.to_owned(), revision.to_string());
        changed = true;
        if let Some(had) = had {
            remember(annotations, &had);
        }
    }
    changed
}

fn remember(annotations: &mut BTreeMap<String, String>, revision: &str) {
    let history = annotations.get(HISTORY).cloned().unwrap_or_default();
    let mut entries: Vec<&str> = history.split(',').filter(|e| !e.is_empty()).collect();
    entries.push(revision);
    while entries.len() > 1 && entries.iter().map(|e| e.len() + 1).sum::<usize>() > HISTORY_LENGTH + 1 {
        entries.remove(0);
    }
    annotations.insert(HISTORY.to_owned(), entries.join(","));
}

fn put(annotations: &mut BTreeMap<String, String>, key: &str, value: String) -> bool {
    if annotations.get(key) == Some(&value) {
        return false;
    }
    annotations.insert(key.to_owned(), value);
    true
}
