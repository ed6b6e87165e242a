//! Answers that hold for a while, by hash of the question.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How many answers at most; when full, those that are over are dropped, and if none is, all are.
const CAPACITY: usize = 4096;

/// SHA-256 of a question, so that the cache holds no token.
pub(crate) type Digest = [u8; 32];

/// Hashes the parts of a question. Each is led by its length, so that parts cannot run into each other.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        hash.update(&part.len().to_le_bytes());
        hash.update(part);
    }
    let mut out = Digest::default();
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// Answers and how long they hold.
pub(crate) struct Cache<T>(Mutex<HashMap<Digest, (T, Timestamp)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache(Mutex::default())
    }
}

impl<T: Clone> Cache<T> {
    /// The answer, if it still holds.
    pub(crate) fn get(&self, key: &Digest, now: Timestamp) -> Option<T> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, until) = entries.get(key)?;
        (now < *until).then(|| answer.clone())
    }

    /// Keeps an answer until then.
    pub(crate) fn put(&self, key: Digest, answer: T, until: Timestamp, now: Timestamp) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, (_, until)| now < *until);
            if entries.len() >= CAPACITY {
                entries.clear();
            }
        }
        entries.insert(key, (answer, until));
    }
}
