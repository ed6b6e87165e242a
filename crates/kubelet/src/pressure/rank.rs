//! Whom a shortage hits first, and what is told of it (upstream: `rankMemoryPressure`, `rankDiskPressureFunc`,
//! `rankPIDPressure`, `evictionMessage`). Pure.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use ::pod::resources::total;
use ::pod::{Side, Spec};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use meta::Quantity;
use meta::quantity::Format;

use super::thresholds::{Signal, Threshold};
use super::watch::Seen;
use crate::spec;

/// What one container takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Its name.
    pub name: String,
    /// Working set, bytes.
    pub memory: u64,
    /// Its layer and its logs, bytes; unknown if they were not measured.
    pub disk: Option<u64>,
}

/// What a pod takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Working set of all containers, bytes.
    pub memory: u64,
    /// Processes.
    pub processes: u64,
    /// Bytes on the disk that runs short.
    pub disk: u64,
    /// Files there.
    pub inodes: u64,
    /// By container.
    pub containers: Vec<Share>,
}

/// A pod, and what it takes; `None` where nothing could be measured.
pub type Candidate = (Arc<Pod>, Option<Taken>);

impl Taken {
    fn of(&self, signal: Signal) -> u64 {
        match signal.resource() {
            "memory" => self.memory,
            "pids" => self.processes,
            "inodes" => self.inodes,
            _ => self.disk,
        }
    }
}

/// Sorts the pods: those that go first stand first.
pub fn rank(signal: Signal, pods: &mut [Candidate]) {
    let priority = |pod: &Pod| spec::of(pod).priority.unwrap_or(0);
    pods.sort_by(|(a, of_a), (b, of_b)| {
        // Upstream: who has no figures is taken for the worst.
        let (Some(of_a), Some(of_b)) = (of_a, of_b) else { return of_a.is_some().cmp(&of_b.is_some()) };
        let (used_a, used_b) = (of_a.of(signal), of_b.of(signal));
        let by_priority = priority(a).cmp(&priority(b));
        if signal == Signal::Processes {
            return by_priority.then(Reverse(used_a).cmp(&Reverse(used_b)));
        }
        let over = |pod: &Pod, used: u64| Reverse(wide(used) > requested(pod, signal.resource()));
        let excess = |pod: &Pod, used: u64| Reverse(wide(used) - requested(pod, base(signal)));
        let excess = || -> Ordering { excess(a, used_a).cmp(&excess(b, used_b)) };
        over(a, used_a).cmp(&over(b, used_b)).then(by_priority).then_with(excess)
    });
}

/// Files are not requested; upstream then counts against the bytes that are.
fn base(signal: Signal) -> &'static str {
    if signal.resource() == "inodes" { "ephemeral-storage" } else { signal.resource() }
}

fn wide(amount: u64) -> i128 {
    amount.into()
}

fn requested(pod: &Pod, resource: &str) -> i128 {
    total(spec::of(pod), Side::Requests).get(resource).map_or(0, |amount| amount.value().into())
}

/// What is told of a pod that goes, and what the event has beside it.
pub fn message(pod: &Pod, taken: Option<&Taken>, due: &Threshold, all: &[Threshold], seen: &Seen) -> (String, Vec<(String, String)>) {
    let resource = due.signal.resource();
    let mut text = format!("The node was low on resource: {resource}. ");
    let shown = |amount: i64| {
        let format = if matches!(resource, "memory" | "ephemeral-storage") { Format::BinarySi } else { Format::DecimalSi };
        Quantity::from_units(amount, format).to_string()
    };
    let met = all.iter().filter(|t| t.signal.resource() == resource).find_map(|t| Some((t, seen.get(&t.signal)?)));
    if let Some((threshold, left)) = met {
        let below = match threshold.below {
            super::thresholds::Amount::Fixed(quantity) => quantity.to_string(),
            share @ super::thresholds::Amount::Share(_) => Quantity::from_units(share.of(left.capacity), Format::BinarySi).to_string(),
        };
        text += &format!("Threshold quantity: {below}, available: {}. ", shown(left.available));
    }
    let Some(taken) = taken else { return (text, Vec::new()) };
    let mut notes = Vec::new();
    let has = |amount: u64| shown(i64::try_from(amount).unwrap_or(i64::MAX));
    let whole = spec::of(pod).resources.as_ref().and_then(|r| r.requests.as_ref()?.get("memory"));
    if let Some(request) = whole.filter(|_| resource == "memory") {
        let (name, usage) = (spec::name(pod), has(taken.memory));
        text += &format!("Pod {name} was using {usage}, request is {}, has larger consumption of {resource}. ", request.0);
        notes.extend([("offending_pod".to_owned(), name.to_owned()), ("offending_pod_usage".to_owned(), usage)]);
    }
    let (mut names, mut usages) = (Vec::new(), Vec::new());
    for share in &taken.containers {
        let used = match resource {
            "memory" => Some(share.memory),
            "ephemeral-storage" => share.disk,
            _ => None,
        };
        let all = spec::of(pod).containers.iter().chain(spec::init_containers(pod));
        let Some((used, container)) = used.zip(all.into_iter().find(|c| c.name == share.name)) else { continue };
        let request = request(container, resource);
        if wide(used) > request.map_or(0, |r| r.value().into()) {
            let (name, used, request) = (&share.name, has(used), request.map_or_else(|| "0".to_owned(), |r| r.to_string()));
            text += &format!("Container {name} was using {used}, request is {request}, has larger consumption of {resource}. ");
            names.push(name.clone());
            usages.push(used);
        }
    }
    notes.extend([("offending_containers".to_owned(), names.join(",")), ("offending_containers_usage".to_owned(), usages.join(","))]);
    notes.push(("starved_resource".to_owned(), resource.to_owned()));
    (text, notes)
}

fn request(container: &Container, resource: &str) -> Option<Quantity> {
    PodSpec::of(container, Side::Requests).get(resource).copied()
}

#[cfg(test)]
mod tests {
    use super::super::thresholds::{Wording, parse};
    use super::super::watch::Left;
    use super::*;
    use serde_json::json;

    const MI: u64 = 1 << 20;

    fn pod(name: &str, priority: i32, memory: Option<&str>) -> Arc<Pod> {
        let requests = memory.map(|memory| json!({"memory": memory}));
        let spec = json!({"priority": priority, "containers": [{"name": "c", "resources": {"requests": requests}}]});
        let mut pod = spec::tests::pod(spec);
        pod.metadata.name = Some(name.to_owned());
        Arc::new(pod)
    }

    fn takes(memory: u64, processes: u64) -> Option<Taken> {
        let containers = vec![Share { name: "c".to_owned(), memory: memory * MI, disk: Some(5 * MI) }];
        Some(Taken { memory: memory * MI, processes, containers, ..Taken::default() })
    }

    #[test]
    fn who_takes_more_than_it_asked_for_goes_first() {
        let mut pods = vec![
            (pod("within", 0, Some("100Mi")), takes(90, 1)),
            (pod("important", 9, None), takes(500, 9)),
            (pod("little-over", 0, Some("100Mi")), takes(110, 5)),
            (pod("much-over", 0, None), takes(50, 2)),
            (pod("unknown", 9, None), None),
        ];
        let names = |pods: &[Candidate]| pods.iter().map(|(pod, _)| spec::name(pod).to_owned()).collect::<Vec<_>>();
        rank(Signal::Memory, &mut pods);
        assert_eq!(names(&pods), ["unknown", "much-over", "little-over", "important", "within"]);
        rank(Signal::Processes, &mut pods);
        assert_eq!(names(&pods), ["unknown", "little-over", "much-over", "within", "important"]);
    }

    #[test]
    fn the_message_tells_what_was_short_and_who_took_it() {
        let all = parse(&Wording { hard: "memory.available<100Mi,nodefs.available<10%", soft: "", soft_grace: "", reclaim: "" }).expect("good");
        let seen: Seen = [
            (Signal::Memory, Left { available: 50 << 20, capacity: 1 << 30 }),
            (Signal::NodeDisk, Left { available: 1 << 20, capacity: 1000 << 20 }),
        ]
        .into();
        let (text, notes) = message(&pod("p", 0, Some("10Mi")), takes(20, 1).as_ref(), &all[0], &all, &seen);
        assert_eq!(text, "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. \
                          Container c was using 20Mi, request is 10Mi, has larger consumption of memory. ");
        let of = |key: &str| notes.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        assert_eq!((of("offending_containers"), of("offending_containers_usage")), (Some("c"), Some("20Mi")));
        // A share is a short floating point number at upstream, and a tenth is none.
        let (text, _) = message(&pod("p", 0, None), takes(20, 1).as_ref(), &all[1], &all, &seen);
        assert_eq!(text, "The node was low on resource: ephemeral-storage. Threshold quantity: 104857601, available: 1Mi. \
                          Container c was using 5Mi, request is 0, has larger consumption of ephemeral-storage. ");
    }
}
