//! How the disk does: what `/readyz` and `/livez` are told.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A batch that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kept by the writer, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why the last write failed, if it did.
    error: Option<String>,
    /// Since when the writer has been at its present batch.
    busy: Option<Instant>,
    /// Whether the writer has ended.
    ended: bool,
}

impl Health {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The last write is on disk.
    pub(super) fn well(&self) {
        self.change(|s| s.error = None);
    }

    /// The last write is not.
    pub(super) fn failed(&self, why: &str) {
        self.change(|s| s.error = Some(why.to_owned()));
    }

    /// A batch begins, or has ended.
    pub(super) fn busy(&self, since: Option<Instant>) {
        self.change(|s| s.busy = since);
    }

    /// There is nobody any more who writes.
    pub(super) fn end(&self) {
        self.change(|s| s.ended = true);
    }

    /// What is wrong, if something is.
    pub(super) fn check(&self) -> Result<(), String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return Err("the store has ended".to_owned());
        }
        match (&state.error, state.busy) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(since)) if since.elapsed() > PATIENCE => {
                Err(format!("a write has taken {} s so far", since.elapsed().as_secs()))
            }
            _ => Ok(()),
        }
    }
}
