//! Which pods go to make room for a critical one (upstream: `kubelet/preemption`). Pure.

use std::sync::Arc;

use ::pod::qos;
use k8s_openapi::api::core::v1::Pod;

use super::admit::Refusal;
use super::shortage::{Shortage, beside, request};
use crate::spec;

/// What is still lacking, by resource.
type Lack = Vec<(String, i64)>;

/// The fewest and least important pods whose end gives back what is short.
pub fn victims(pod: &Pod, others: &[Arc<Pod>], short: &[Shortage]) -> Result<Vec<Arc<Pod>>, Refusal> {
    let lack = short.iter().map(|s| (s.resource.clone(), s.requested - (s.capacity - s.used))).collect::<Lack>();
    let of = |class: &str| -> Vec<Arc<Pod>> {
        let all = beside(pod, others).filter(|other| goes_before(pod, other));
        all.filter(|other| qos::class(spec::of(other)) == class).cloned().collect()
    };
    let (least, some, full) = (of("BestEffort"), of("Burstable"), of("Guaranteed"));
    let every = without(&lack, least.iter().chain(&some).chain(&full));
    if !every.is_empty() {
        return Err(none_found(&every));
    }
    // The better a class, the more of the others goes before it.
    let of_full = nearest(full, without(&lack, least.iter().chain(&some)))?;
    let of_some = nearest(some, without(&lack, least.iter().chain(&of_full)))?;
    let of_least = nearest(least, without(&lack, of_some.iter().chain(&of_full)))?;
    Ok(of_least.into_iter().chain(of_some).chain(of_full).collect())
}

/// Whether the other gives way (upstream: `Preemptable`).
fn goes_before(pod: &Pod, other: &Pod) -> bool {
    let priority = |p: &Pod| spec::of(p).priority;
    let lower = || priority(pod).zip(priority(other)).is_some_and(|(own, others)| own > others);
    spec::is_critical(pod) && !spec::is_critical(other) || lower()
}

fn without<'a>(lack: &Lack, pods: impl Iterator<Item = &'a Arc<Pod>> + Clone) -> Lack {
    let left = |(name, amount): &(String, i64)| {
        let amount = amount - pods.clone().map(|pod| request(pod, name)).sum::<i64>();
        (amount > 0).then(|| (name.clone(), amount))
    };
    lack.iter().filter_map(left).collect()
}

/// Of these, again and again the one that comes nearest to what is lacking; of two, the smaller.
fn nearest(mut pods: Vec<Arc<Pod>>, mut lack: Lack) -> Result<Vec<Arc<Pod>>, Refusal> {
    let mut chosen = Vec::new();
    while !lack.is_empty() {
        let size = |pod: &Pod| (request(pod, "memory"), request(pod, "cpu"));
        let closer = |a: &(usize, &Arc<Pod>), b: &(usize, &Arc<Pod>)| {
            let (left, right) = (distance(a.1, &lack), distance(b.1, &lack));
            left.total_cmp(&right).then_with(|| size(a.1).cmp(&size(b.1)))
        };
        let Some(best) = pods.iter().enumerate().min_by(closer).map(|(index, _)| index) else {
            return Err(none_found(&lack));
        };
        let pod = pods.swap_remove(best);
        lack = without(&lack, std::iter::once(&pod));
        chosen.push(pod);
    }
    Ok(chosen)
}

/// The parts of what is lacking that the pod's end would leave, squared.
fn distance(pod: &Pod, lack: &Lack) -> f64 {
    let part = |(name, amount): &(String, i64)| {
        let left = (amount - request(pod, name)).max(0);
        (left as f64 / *amount as f64).powi(2)
    };
    lack.iter().map(part).sum()
}

fn none_found(lack: &Lack) -> Refusal {
    let list: String = lack.iter().map(|(name, amount)| format!("(res: {name}, q: {amount}), ")).collect();
    let why = format!("preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [{list}]");
    Refusal::new("UnexpectedAdmissionError", format!("Unexpected error while attempting to recover from admission failure: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(uid: &str, resources: Value, priority: i32) -> Arc<Pod> {
        let spec = json!({"priority": priority, "containers": [{"name": "c", "resources": resources}]});
        let mut pod = spec::tests::pod(spec);
        pod.metadata.uid = Some(uid.to_owned());
        Arc::new(pod)
    }

    fn lacking(list: &[(&str, i64)]) -> Vec<Shortage> {
        let one = |(name, amount): &(&str, i64)| Shortage { resource: (*name).to_owned(), requested: *amount, used: 0, capacity: 0 };
        list.iter().map(one).collect()
    }

    #[test]
    fn the_least_important_and_the_fewest_go() {
        let critical = pod("critical", json!({}), 2_000_000_000);
        let full = |cpu: &str| json!({"limits": {"cpu": cpu, "memory": "1Mi"}, "requests": {"cpu": cpu, "memory": "1Mi"}});
        let others = [
            pod("least", json!({}), 0),
            pod("small", json!({"requests": {"cpu": "100m"}}), 0),
            pod("large", json!({"requests": {"cpu": "1"}}), 0),
            pod("full", full("2"), 0),
            pod("other-critical", json!({"requests": {"cpu": "9"}}), 2_000_000_000),
        ];
        let go = |list: &[(&str, i64)]| {
            let victims = victims(&critical, &others, &lacking(list)).map_err(|refusal| refusal.message);
            victims.map(|pods| pods.iter().map(|p| spec::uid(p).to_owned()).collect::<Vec<_>>())
        };
        let names = |list: &[&str]| Ok(list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(go(&[("pods", 1)]), names(&["least"]));
        assert_eq!(go(&[("cpu", 50)]), names(&["small"]));
        assert_eq!(go(&[("cpu", 500)]), names(&["large"]));
        assert_eq!(go(&[("cpu", 1050)]), names(&["large", "small"]));
        assert_eq!(go(&[("cpu", 1101)]), names(&["full"]), "one that suffices, and nobody beside it");
        let text = "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of \
                    pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 1900), ]";
        assert_eq!(go(&[("cpu", 5000)]), Err(text.to_owned()));
    }
}
