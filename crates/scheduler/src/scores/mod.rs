//! What makes one fitting node better than another: one file each, and the list.

mod balanced_allocation;
mod least_allocated;
mod node_affinity;
mod taint_toleration;

use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

/// The highest normalised score.
pub const MAX: i64 = 100;

/// How raw scores are brought to 0 … [`MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normal {
    /// They are already.
    Done,
    /// In proportion to the largest.
    Proportional,
    /// In proportion to the largest, and the other way round: fewer is better.
    Reversed,
}

/// One preference.
pub struct Score {
    /// Upstream's plug-in name.
    pub name: &'static str,
    /// Upstream's default weight.
    pub weight: i64,
    /// The raw score. Pure.
    pub score: fn(&PodInfo, &NodeInfo) -> i64,
    /// Names all of the pod that the score looks at.
    pub reads: fn(&PodInfo, &mut Parts),
    /// How it is normalised.
    pub normal: Normal,
}

/// All of them.
pub static ALL: &[Score] =
    &[taint_toleration::SCORE, node_affinity::SCORE, least_allocated::SCORE, balanced_allocation::SCORE];

impl Score {
    /// A raw score normalised and weighted, where this is the largest among the nodes that fit.
    pub fn normalised(&self, raw: i64, largest: i64) -> i64 {
        let normal = match self.normal {
            Normal::Done => raw,
            Normal::Proportional if largest > 0 => raw * MAX / largest,
            Normal::Proportional => 0,
            Normal::Reversed if largest > 0 => MAX - raw * MAX / largest,
            Normal::Reversed => MAX,
        };
        normal * self.weight
    }

    /// Normalised and weighted scores, one a node.
    pub fn of_all(&self, pod: &PodInfo, nodes: &[&NodeInfo]) -> Vec<i64> {
        let raw: Vec<i64> = nodes.iter().map(|node| (self.score)(pod, node)).collect();
        let largest = raw.iter().copied().max().unwrap_or(0);
        raw.into_iter().map(|raw| self.normalised(raw, largest)).collect()
    }
}
