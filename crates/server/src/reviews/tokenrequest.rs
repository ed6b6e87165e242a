//! TokenRequest: a new token of a service account.

use jiff::Timestamp;
use meta::{Gvk, Key, Object, Status};

use crate::lookup::Objects;
use crate::verbs::Work;

/// Issues the token.
pub async fn run(work: &Work<'_>, request: Object) -> Result<Object, Status> {
    let (state, a) = (work.ask.state, work.attributes());
    let account = Key::new(&a.namespace, &a.name);
    let lookup = Objects(state.registry.clone());
    let mut issuance = state.tokens.prepare(request, &account, &lookup, Timestamp::now()).await?;
    let gvk = Gvk::new("authentication.k8s.io", "v1", "TokenRequest");
    let mut admitted = admission::Request {
        attributes: a,
        gvk: &gvk,
        operation: admission::Operation::Create,
        object: Some(&mut issuance.request),
        old: None,
        dry_run: false,
        warnings: admission::Warnings::default(),
    };
    state.registry.admit(&mut admitted).await?;
    state.tokens.issue(issuance)
}
