//! `system:masters` may do everything (upstream: `authorizerfactory.NewPrivilegedGroups`).

use meta::{Attributes, User};

use super::{Authorizer, Decision, RulesReview};
use crate::identity::MASTERS;

/// The privileged group.
pub(super) struct Masters;

impl Authorizer for Masters {
    fn name(&self) -> &'static str {
        "AlwaysAllow"
    }

    fn authorize(&self, attributes: &Attributes) -> Decision {
        if attributes.user.in_group(MASTERS) { Decision::allow("") } else { Decision::no_opinion("") }
    }

    fn rules(&self, _user: &User, _namespace: &str, _review: &mut RulesReview) {}
}
