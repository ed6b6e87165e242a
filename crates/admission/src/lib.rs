//! Who may change a request on its way, or refuse it: one file each, and one list.
//!
//! Place in the straight line: `mutate admission → kind rules → validate admission`.
//!
//! Must not know: HTTP, the store. Other objects are read through [`Lookup`].

mod call;
pub mod plugins;
mod refusal;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use meta::{Attributes, Gvk, Object, Status};

pub use auth::Lookup;
pub use call::Call;
pub use refusal::forbidden;

/// What a request does to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// One request as plug-ins see it.
pub struct Request<'a> {
    /// Who asks, and for what.
    pub attributes: &'a Attributes,
    /// Kind of `object`.
    pub gvk: &'a Gvk,
    /// What happens.
    pub operation: Operation,
    /// The object as it will be; absent for Delete.
    pub object: Option<&'a mut Object>,
    /// The object as it is; absent for Create.
    pub old: Option<&'a Object>,
    /// Nothing will be stored.
    pub dry_run: bool,
    /// What whoever asks is told besides the answer.
    pub warnings: Warnings,
}

/// Warnings of one request, in order (upstream: `apiserver/pkg/warning`).
#[derive(Debug, Default)]
pub struct Warnings(Mutex<Vec<String>>);

impl Request<'_> {
    /// Tells whoever asks.
    pub fn warn(&self, text: String) {
        self.warnings.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// What was said, for whoever answers.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(self.warnings.0.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One admission plug-in.
#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    /// Upstream's name, for example `NamespaceLifecycle`.
    fn name(&self) -> &'static str;
    /// Changes the object, or refuses the request.
    async fn mutate(&self, _request: &mut Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        Ok(())
    }
    /// Refuses the request, or lets it pass.
    async fn validate(&self, _request: &Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        Ok(())
    }
}
