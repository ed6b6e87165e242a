//! Nobody writes a role or binding that gives more than they have, unless they hold the verbs `escalate`
//! or `bind` (upstream: the `policybased` storages of `pkg/registry/rbac`).

use std::sync::Arc;

use async_trait::async_trait;
use auth::authz::Rule;
use auth::authz::rbac::GROUP;
use auth::{Authorization, identity};
use meta::{Attributes, Object, Status};

use super::Context;
use crate::{Lookup, Operation, Plugin, Request};

struct RbacEscalation {
    authorization: Arc<Authorization>,
}

/// Makes the plug-in.
pub(super) fn make(context: &Context) -> Arc<dyn Plugin> {
    Arc::new(RbacEscalation { authorization: context.authorization.clone() })
}

#[async_trait]
impl Plugin for RbacEscalation {
    fn name(&self) -> &'static str {
        "RBACEscalation"
    }

    async fn validate(&self, request: &Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        let a = request.attributes;
        let written = matches!(request.operation, Operation::Create | Operation::Update);
        let Some(object) = request.object.as_deref().filter(|_| a.group == GROUP && written) else { return Ok(()) };
        if a.user.in_group(identity::MASTERS) || request.old.is_some_and(|old| same_policy(object, old)) {
            return Ok(());
        }
        match a.resource.as_str() {
            "roles" | "clusterroles" => self.role(a, object, request.old),
            "rolebindings" | "clusterrolebindings" => self.binding(a, object),
            _ => Ok(()),
        }
    }
}

impl RbacEscalation {
    fn role(&self, a: &Attributes, role: &Object, old: Option<&Object>) -> Result<(), Status> {
        // The name of an object that is only being created is not looked at, as for the verb create.
        let name = if old.is_some() { a.name.as_str() } else { "" };
        if self.may(a, "escalate", &a.resource, name) {
            return Ok(());
        }
        self.confirm(a, role, &Rule::all_of(role))?;
        if !aggregated(role) && !old.is_some_and(aggregated) {
            return Ok(());
        }
        let full = self.authorization.rbac.confirm_no_escalation(&a.user, &a.namespace, &everything());
        full.map_err(|_| refused(a, role, "must have cluster-admin privileges to use the aggregationRule"))
    }

    fn binding(&self, a: &Attributes, binding: &Object) -> Result<(), Status> {
        let (kind, name) = (binding.str_at("roleRef.kind"), binding.str_at("roleRef.name"));
        let (resource, singular) = match kind {
            "ClusterRole" => ("clusterroles", "clusterrole"),
            _ => ("roles", "role"),
        };
        if self.may(a, "bind", resource, name) {
            return Ok(());
        }
        let rules = self.authorization.rbac.referenced(kind, name, &a.namespace);
        self.confirm(a, binding, &rules.map_err(|_| Status::not_found(GROUP, singular, name))?)
    }

    fn confirm(&self, a: &Attributes, object: &Object, rules: &[Rule]) -> Result<(), Status> {
        let confirmed = self.authorization.rbac.confirm_no_escalation(&a.user, &a.namespace, rules);
        confirmed.map_err(|why| refused(a, object, &why))
    }

    fn may(&self, a: &Attributes, verb: &str, resource: &str, name: &str) -> bool {
        let wanted = Attributes {
            user: a.user.clone(),
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            version: "*".to_owned(),
            resource: resource.to_owned(),
            namespace: a.namespace.clone(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        self.authorization.authorize(&wanted).allowed()
    }
}

fn refused(a: &Attributes, object: &Object, why: &str) -> Status {
    Status::forbidden(GROUP, &a.resource, object.name(), why)
}

fn aggregated(role: &Object) -> bool {
    !role.list_at("aggregationRule.clusterRoleSelectors").is_empty()
}

fn everything() -> [Rule; 2] {
    let star = || vec!["*".to_owned()];
    [
        Rule { verbs: star(), groups: star(), resources: star(), ..Rule::default() },
        Rule { verbs: star(), non_resource_urls: star(), ..Rule::default() },
    ]
}

/// Whether an update touches only what garbage collection needs: owners and finalizers.
fn same_policy(new: &Object, old: &Object) -> bool {
    let rest = |object: &Object| {
        let mut rest = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] {
            rest.remove(&format!("metadata.{field}"));
        }
        rest
    };
    rest(new) == rest(old)
}
