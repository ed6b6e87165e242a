//! More free CPU and memory is better (upstream: `NodeResourcesFit`, strategy LeastAllocated).

use super::{MAX, Normal, Score};
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const SCORE: Score = Score { name: "NodeResourcesFit", weight: 1, score, reads, normal: Normal::Done };

fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let free = |name: &str| {
        let all = node.allocatable.get(name);
        let used = node.nonzero.get(name) + pod.nonzero.get(name);
        (all > 0).then(|| if used > all { 0 } else { (all - used) * MAX / all })
    };
    let known: Vec<i64> = ["cpu", "memory"].into_iter().filter_map(free).collect();
    if known.is_empty() { 0 } else { known.iter().sum::<i64>() / known.len() as i64 }
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.nonzero);
}
