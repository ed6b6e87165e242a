//! What of a pod decides where it may go and where it goes best.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::io;
use std::sync::LazyLock;

use serde::Serialize;

use crate::snapshot::PodInfo;
use crate::{filters, scores};

/// Two keys of this process: nobody can make up pods that look alike and are not.
static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// Pods of one signature are judged alike by every filter and every score, on every node. It is as small for a pod with a
/// megabyte of rules as for any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature([u64; 2]);

/// What a signature is made of.
pub struct Parts([DefaultHasher; 2]);

impl Signature {
    /// Of a pod: what each filter and each score says that it reads, and what decides whom it may displace.
    pub fn of(pod: &PodInfo) -> Self {
        let mut parts = Parts(KEYS.each_ref().map(BuildHasher::build_hasher));
        let policy = pod.pod.spec.as_ref().and_then(|s| s.preemption_policy.as_deref());
        parts.add(&(pod.priority(), policy));
        filters::ALL.iter().for_each(|filter| (filter.reads)(pod, &mut parts));
        scores::ALL.iter().for_each(|score| (score.reads)(pod, &mut parts));
        Signature(parts.0.map(|hasher| hasher.finish()))
    }
}

impl Parts {
    /// Adds one.
    pub fn add(&mut self, part: &impl Serialize) {
        if let Err(error) = serde_json::to_writer(&mut *self, part) {
            unreachable!("a part of an object of the API is JSON: {error}");
        }
        // JSON ends where it ends, numbers excepted.
        self.0.iter_mut().for_each(|hasher| hasher.write(b"\n"));
    }
}

impl io::Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.iter_mut().for_each(|hasher| hasher.write(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
