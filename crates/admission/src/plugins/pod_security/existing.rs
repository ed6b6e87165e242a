//! What a namespace's pods would have against a level that is to be enforced from now on.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meta::{Object, Status};

use super::checks::{Pod, violations};
use super::config::Config;
use super::level::Standard;

/// Pods that are looked at, and for how long (upstream: `defaultNamespaceMaxPodsToCheck`,
/// `defaultNamespacePodCheckTimeout`).
const MOST: usize = 3000;
const LONGEST: Duration = Duration::from_secs(1);

/// The warnings. `pods` is what could be learnt of those that are there.
pub fn warnings(
    namespace: &str,
    enforce: Standard,
    pods: Result<Vec<Arc<Object>>, Status>,
    config: &Config,
) -> Vec<String> {
    let Ok(pods) = pods else { return vec!["failed to list pods while checking new PodSecurity enforce level".to_owned()] };
    let pods = in_order(&pods, config);
    // By what is wrong: the first pod's name, and how many there are.
    let mut wrong: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    let (mut looked, began) = (0, Instant::now());
    for pod in pods.iter().take(MOST) {
        if looked > 0 && began.elapsed() > LONGEST {
            break;
        }
        looked += 1;
        let reasons: Vec<String> = violations(enforce, &Pod::of(pod)).into_iter().map(|v| v.reason).collect();
        if !reasons.is_empty() {
            let (first, count) = wrong.entry(reasons.join(", ")).or_insert((pod.name(), 0));
            (*first, *count) = ((*first).min(pod.name()), *count + 1);
        }
    }
    let mut warnings = Vec::new();
    if looked < pods.len() {
        let all = pods.len();
        warnings.push(format!("new PodSecurity enforce level only checked against the first {looked} of {all} existing pods"));
    }
    if !wrong.is_empty() {
        let level = format!("existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{enforce}\"");
        warnings.push(level);
    }
    let mut each: Vec<String> = wrong.into_iter().map(|(what, (first, count))| named(first, count, &what)).collect();
    each.sort();
    warnings.extend(each);
    warnings
}

fn named(first: &str, count: usize, what: &str) -> String {
    match count {
        1 => format!("{first}: {what}"),
        2 => format!("{first} (and 1 other pod): {what}"),
        _ => format!("{first} (and {} other pods): {what}", count - 1),
    }
}

/// One pod of each controller first: the others are like it.
fn in_order<'a>(pods: &'a [Arc<Object>], config: &Config) -> Vec<&'a Object> {
    let mut controllers = HashSet::new();
    let judged = pods.iter().map(|pod| &**pod).filter(|pod| !config.exempts_class(pod.str_at("spec.runtimeClassName")));
    let (first, others): (Vec<_>, Vec<_>) = judged.partition(|pod| controller(pod).is_none_or(|uid| controllers.insert(uid)));
    first.into_iter().chain(others).collect()
}

fn controller(pod: &Object) -> Option<&str> {
    let owners = pod.fields().get("metadata")?.get("ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}
