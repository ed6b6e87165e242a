//! Everything, or nothing (upstream: `authorizerfactory.NewAlwaysAllowAuthorizer`, `NewAlwaysDenyAuthorizer`).

use meta::{Attributes, User};

use super::{Authorizer, Decision, Rule, RulesReview};

/// Allows everything.
pub(super) struct AlwaysAllow;

impl Authorizer for AlwaysAllow {
    fn name(&self) -> &'static str {
        "AlwaysAllow"
    }

    fn authorize(&self, _attributes: &Attributes) -> Decision {
        Decision::allow("")
    }

    fn rules(&self, _user: &User, _namespace: &str, review: &mut RulesReview) {
        let any = || vec!["*".to_owned()];
        review.rules.push(Rule { verbs: any(), groups: any(), resources: any(), ..Rule::default() });
        review.rules.push(Rule { verbs: any(), non_resource_urls: any(), ..Rule::default() });
    }
}

/// Allows nothing.
pub(super) struct AlwaysDeny;

impl Authorizer for AlwaysDeny {
    fn name(&self) -> &'static str {
        "AlwaysDeny"
    }

    fn authorize(&self, _attributes: &Attributes) -> Decision {
        Decision::no_opinion("Everything is forbidden.")
    }
}
