//! What the executor needs of an API: one call per step.

use std::future::Future;

use super::plan::{Failure, Step};

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Name of the object, also if the server chose it.
    pub name: String,
    /// Its new resourceVersion; 0 if the answer has none.
    pub revision: u64,
}

/// Carries single steps out: the live API, or the model of the simulation.
pub trait Api: Send + Sync {
    /// Carries one step out. `Ok(None)`: there was nothing left to do (the object is gone).
    fn act(&self, step: &Step) -> impl Future<Output = Result<Option<Answer>, Failure>> + Send;
}
