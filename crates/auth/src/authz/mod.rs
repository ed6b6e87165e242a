//! Authorizers: whether the caller may. One file or folder each, and one list.

mod always;
mod masters;
pub mod message;
pub mod node;
pub mod rbac;

use std::sync::Arc;

use meta::{Attributes, Key, Object, Status, User};

pub use rbac::Rule;

/// What an authorizer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes; nobody else is asked.
    Allow,
    /// No; nobody else is asked.
    Deny,
    /// Not my matter: the next one is asked. If all say so, the answer is no.
    NoOpinion,
}

/// A verdict and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// For people; may be empty. Shared: most decisions have been made before.
    pub reason: Arc<str>,
}

impl Decision {
    /// Allows.
    pub fn allow(reason: impl Into<Arc<str>>) -> Self {
        Decision { verdict: Verdict::Allow, reason: reason.into() }
    }

    /// Leaves it to others.
    pub fn no_opinion(reason: impl Into<Arc<str>>) -> Self {
        Decision { verdict: Verdict::NoOpinion, reason: reason.into() }
    }

    /// Whether the verdict is `Allow`.
    pub fn allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// One policy.
pub trait Authorizer: Send + Sync + 'static {
    /// Upstream's name of the mode.
    fn name(&self) -> &'static str;
    /// Decides. Microseconds, no I/O.
    fn authorize(&self, attributes: &Attributes) -> Decision;
    /// Adds what the user may do in the namespace to the answer of a SelfSubjectRulesReview.
    fn rules(&self, _user: &User, _namespace: &str, _review: &mut RulesReview) {}
}

/// The answer of a SelfSubjectRulesReview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesReview {
    /// Rules; those with `non_resource_urls` go into `nonResourceRules`.
    pub rules: Vec<Rule>,
    /// Whether some authorizer could not list its rules.
    pub incomplete: bool,
    /// Why, and what went wrong (roles that do not exist); empty for nothing.
    pub errors: Vec<String>,
}

/// A change of an object that policy depends upon.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It is now like this.
    Put(&'a Object),
    /// It is gone.
    Gone(&'a Key),
}

/// Group and resource of everything that [`Authorization::observe`] must be told of.
pub const OBSERVED: &[(&str, &str)] = &[
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("", "pods"),
    ("", "persistentvolumes"),
    ("storage.k8s.io", "volumeattachments"),
];

/// All authorizers together.
pub struct Authorization {
    /// Role-based access control; also answers who holds which rules.
    pub rbac: Arc<rbac::Rbac>,
    node: Arc<node::Node>,
    members: Vec<Arc<dyn Authorizer>>,
}

/// A policy that can be asked for (upstream: `--authorization-mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Mode {
    AlwaysAllow,
    AlwaysDeny,
    Node,
    Rbac,
}

impl Default for Authorization {
    /// Node, then RBAC, as kubeadm has it.
    fn default() -> Self {
        Authorization::of(&[Mode::Node, Mode::Rbac])
    }
}

impl Authorization {
    /// The modes in the order in which they are asked, after the privileged group.
    pub fn of(modes: &[Mode]) -> Self {
        let (rbac, node) = (Arc::new(rbac::Rbac::default()), Arc::new(node::Node::default()));
        let mut members: Vec<Arc<dyn Authorizer>> = vec![Arc::new(masters::Masters)];
        for mode in modes {
            members.push(match mode {
                Mode::AlwaysAllow => Arc::new(always::AlwaysAllow),
                Mode::AlwaysDeny => Arc::new(always::AlwaysDeny),
                Mode::Node => node.clone(),
                Mode::Rbac => rbac.clone(),
            });
        }
        Authorization { rbac, node, members }
    }

    /// Takes in a change of one of the [`OBSERVED`] resources.
    pub fn observe(&self, group: &str, resource: &str, event: Event<'_>) {
        match group {
            "rbac.authorization.k8s.io" => self.rbac.observe(resource, event),
            _ => self.node.observe(group, resource, event),
        }
    }

    /// Takes in a complete list of one of the [`OBSERVED`] resources; what is not in it is gone.
    pub fn replace(&self, group: &str, resource: &str, objects: &[Object]) {
        match group {
            "rbac.authorization.k8s.io" => self.rbac.replace(resource, objects),
            _ => self.node.replace(group, resource, objects),
        }
    }

    /// Decides: the first Allow or Deny wins. With neither, the reasons of all are joined.
    pub fn authorize(&self, attributes: &Attributes) -> Decision {
        let mut reasons = Vec::new();
        for member in &self.members {
            let decision = member.authorize(attributes);
            if decision.verdict != Verdict::NoOpinion {
                return decision;
            }
            if !decision.reason.is_empty() {
                reasons.push(decision.reason);
            }
        }
        Decision::no_opinion(reasons.join("\n"))
    }

    /// Decides; a refusal as the 403 that the client gets.
    pub fn check(&self, attributes: &Attributes) -> Result<(), Status> {
        let decision = self.authorize(attributes);
        if decision.allowed() { Ok(()) } else { Err(message::forbidden(attributes, &decision.reason)) }
    }

    /// What the user may do in the namespace, for a SelfSubjectRulesReview.
    pub fn rules(&self, user: &User, namespace: &str) -> RulesReview {
        let mut review = RulesReview::default();
        self.members.iter().for_each(|member| member.rules(user, namespace, &mut review));
        review
    }
}
