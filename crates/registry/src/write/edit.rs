//! What an update does to an object.

use meta::{Object, Status};

/// What is to become of an object. Called anew when the object changed meanwhile.
pub(crate) trait Edit: Send {
    /// The new state, given the present one; `None`: the object does not exist.
    fn apply(&mut self, old: Option<&Object>) -> impl Future<Output = Result<Object, Status>> + Send;

    /// The uid that the present object must have.
    fn uid(&self) -> Option<&str> {
        None
    }

    /// Whether the object is created if it does not exist.
    fn creates(&self) -> bool {
        false
    }

    /// Whether plug-ins see the change. Those that the server itself makes on behalf of another request, which
    /// they have seen, pass.
    fn admitted(&self) -> bool {
        true
    }

    /// Whether the new state already says who manages which fields.
    fn owns_fields(&self) -> bool {
        false
    }

    /// Whether the new state is the present one with changes, not what the client sent.
    fn is_patch(&self) -> bool {
        false
    }

    /// Warnings about what the client sent.
    fn warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A whole new state, as PUT sends it.
pub(crate) struct Replace {
    pub object: Object,
    pub creates: bool,
}

impl Edit for Replace {
    async fn apply(&mut self, _old: Option<&Object>) -> Result<Object, Status> {
        Ok(self.object.clone())
    }

    fn uid(&self) -> Option<&str> {
        Some(self.object.uid()).filter(|uid| !uid.is_empty())
    }

    fn creates(&self) -> bool {
        self.creates
    }
}

/// A change of the server itself: a function of the present state.
pub(crate) struct Internal<F>(pub F);

impl<F: FnMut(&Object) -> Result<Object, Status> + Send> Edit for Internal<F> {
    async fn apply(&mut self, old: Option<&Object>) -> Result<Object, Status> {
        old.map_or_else(|| Err(Status::no_such_resource()), &mut self.0)
    }

    fn admitted(&self) -> bool {
        false
    }
}
