//! TokenRequest: a new token of a service account.

use jiff::Timestamp;
use meta::{Key, Object, Status};

use crate::lookup::Objects;
use crate::verbs::Work;

/// Issues the token.
pub async fn run(work: &Work<'_>, request: Object) -> Result<Object, Status> {
    let (state, a) = (work.ask.state, work.attributes());
    let account = Key::new(&a.namespace, &a.name);
    let lookup = Objects(state.registry.clone());
    let issuance = state.tokens.prepare(request, &account, &lookup, Timestamp::now()).await?;
    state.tokens.issue(issuance)
}
