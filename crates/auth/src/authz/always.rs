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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{Authorization, Mode};
    use crate::identity::MASTERS;

    /// The modes are asked in the order in which they are named; whoever is privileged is asked by none of them.
    #[test]
    fn modes_decide_for_all_but_the_privileged() {
        let asked = |groups: &[&str]| Attributes {
            user: User::new("ann", groups).into(),
            verb: "get".to_owned(),
            resource: "pods".to_owned(),
            ..Attributes::default()
        };
        let (all, none) = (Authorization::of(&[Mode::Rbac, Mode::AlwaysAllow]), Authorization::of(&[Mode::AlwaysDeny]));
        assert!(all.authorize(&asked(&[])).allowed());
        let refused = none.authorize(&asked(&[]));
        assert_eq!((refused.allowed(), &*refused.reason), (false, "Everything is forbidden."));
        assert!(none.authorize(&asked(&[MASTERS])).allowed());
        let review = all.rules(&User::new("ann", &[]), "default");
        assert!(review.rules.iter().any(|rule| rule.resources == ["*"] && rule.groups == ["*"]));
        assert!(none.rules(&User::new("ann", &[]), "default").rules.is_empty());
    }
}
