//! CPU and memory used in like proportion is better
//! (upstream: `NodeResourcesBalancedAllocation`, which since 1.36 compares the balance with and without the pod).

use super::{MAX, Normal, Score};
use crate::resources::Amounts;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const SCORE: Score =
    Score { name: "NodeResourcesBalancedAllocation", weight: 1, score, reads, normal: Normal::Done };

fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    // A pod that asks for nothing cannot change the balance.
    if pod.requests.get("cpu") == 0 && pod.requests.get("memory") == 0 {
        return 0;
    }
    let with = balance(&node.requested, &pod.requests, node);
    let without = balance(&node.requested, &Amounts::default(), node);
    // Better balanced than before moves the score from 75 towards 100, worse towards 50.
    MAX / 2 + (MAX / 2 + with - without) / 2
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.requests);
}

/// 50 … 100: less when CPU and memory are used in different proportion.
fn balance(used: &Amounts, more: &Amounts, node: &NodeInfo) -> i64 {
    let fraction = |name: &str| {
        let all = node.allocatable.get(name) as f64;
        (all > 0.0).then(|| ((used.get(name) + more.get(name)) as f64 / all).min(1.0))
    };
    let spread = match (fraction("cpu"), fraction("memory")) {
        (Some(cpu), Some(memory)) => (cpu - memory).abs() / 2.0,
        _ => 0.0,
    };
    ((1.0 - spread) * MAX as f64) as i64
}
