//! What of a pod decides where it may go and where it goes best.

use serde::Serialize;

use crate::snapshot::PodInfo;
use crate::{filters, scores};

/// Pods of one signature are judged alike by every filter and every score, on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Of a pod: what each filter and each score says that it reads, and what decides whom it may displace.
    pub fn of(pod: &PodInfo) -> Self {
        let mut signature = Signature::default();
        let policy = pod.pod.spec.as_ref().and_then(|s| s.preemption_policy.as_deref());
        signature.add(&(pod.priority(), policy));
        filters::ALL.iter().for_each(|filter| (filter.reads)(pod, &mut signature));
        scores::ALL.iter().for_each(|score| (score.reads)(pod, &mut signature));
        signature
    }

    /// Adds a part.
    pub fn add(&mut self, part: &impl Serialize) {
        if let Err(error) = serde_json::to_writer(&mut self.0, part) {
            unreachable!("a part of an object of the API is JSON: {error}");
        }
        // JSON ends where it ends, numbers excepted.
        self.0.push(b'\n');
    }
}
