//! Tokens that were found good a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use meta::User;

/// How long a verdict holds (upstream's success cache): a revoked token works this much longer.
const TIME_TO_LIVE: SignedDuration = SignedDuration::from_secs(10);
/// How many tokens at most; when full, those that are over are dropped, and if none is, all are.
const CAPACITY: usize = 4096;

/// SHA-256 of the token and the audiences that were asked for.
type Digest = [u8; 32];

/// Verdicts by hash: the cache holds no token that could leak.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<Digest, (User, Vec<String>, Timestamp)>>);

impl Cache {
    pub(super) fn key(token: &str, audiences: &[String]) -> Digest {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        hash.update(token.as_bytes());
        for audience in audiences {
            hash.update(&[0]);
            hash.update(audience.as_bytes());
        }
        let mut out = Digest::default();
        out.copy_from_slice(hash.finish().as_ref());
        out
    }

    pub(super) fn get(&self, key: &Digest, now: Timestamp) -> Option<(User, Vec<String>)> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, audiences, until) = entries.get(key)?;
        (now < *until).then(|| (user.clone(), audiences.clone()))
    }

    /// Keeps a verdict, at most until the token ends.
    pub(super) fn put(
        &self,
        key: Digest,
        user: User,
        audiences: Vec<String>,
        now: Timestamp,
        expires: Timestamp,
    ) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, (_, _, until)| now < *until);
            if entries.len() >= CAPACITY {
                entries.clear();
            }
        }
        entries.insert(key, (user, audiences, (now + TIME_TO_LIVE).min(expires)));
    }
}
