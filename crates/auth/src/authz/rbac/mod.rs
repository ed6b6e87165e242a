//! Role-based access control (upstream: `plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac/validation`).

pub mod aggregate;
pub mod escalation;
mod index;
mod rule;

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use meta::{Attributes, Object, User};

use super::{Authorizer, Decision, Event, RulesReview};
use index::Index;
pub use rule::Rule;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// All roles and bindings, indexed by whom they concern.
#[derive(Default)]
pub struct Rbac(RwLock<Index>);

impl Rbac {
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a change of a role or binding.
    pub fn observe(&self, resource: &str, event: Event<'_>) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Put(object) => index.put(resource, object),
            Event::Gone(key) => index.remove(resource, key),
        }
        index.settle(resource);
    }

    /// Takes in all objects of one resource.
    pub fn replace(&self, resource: &str, objects: &[Object]) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.clear(resource);
        objects.iter().for_each(|object| index.put(resource, object));
        index.settle(resource);
    }

    /// The rules of the role that a binding in `namespace` refers to; an error is upstream's text
    /// for a role that does not exist.
    pub fn referenced(&self, kind: &str, name: &str, namespace: &str) -> Result<Vec<Rule>, String> {
        self.read().referenced(kind, name, namespace).map(|rules| rules.to_vec())
    }

    /// All rules that the user has in the namespace (cluster-wide ones included), and what went wrong.
    pub fn rules_for(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        self.read().visit(user, namespace, |_, found| {
            match found {
                Ok(found) => rules.extend_from_slice(found),
                Err(error) => errors.push(error),
            }
            true
        });
        (rules, errors)
    }
}

impl Authorizer for Rbac {
    fn name(&self) -> &'static str {
        "RBAC"
    }

    fn authorize(&self, attributes: &Attributes) -> Decision {
        let (mut allowed, mut errors) = (None, Vec::new());
        self.read().visit(&attributes.user, &attributes.namespace, |grant, found| {
            match found {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attributes)) => allowed = Some(grant.clone()),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
            allowed.is_none()
        });
        match allowed {
            Some(reason) => Decision::allow(reason),
            None if errors.is_empty() => Decision::no_opinion(""),
            None => Decision::no_opinion(format!("RBAC: {}", aggregate_errors(errors))),
        }
    }

    fn rules(&self, user: &User, namespace: &str, review: &mut RulesReview) {
        let (rules, errors) = self.rules_for(user, namespace);
        review.rules.extend(rules);
        if !errors.is_empty() {
            review.errors.push(aggregate_errors(errors));
        }
    }
}

/// Several errors as one text, without repetition (upstream: `utilerrors.Aggregate`).
fn aggregate_errors(errors: Vec<String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for error in errors {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    if distinct.len() == 1 { distinct.remove(0) } else { format!("[{}]", distinct.join(", ")) }
}

#[cfg(test)]
mod tests;
