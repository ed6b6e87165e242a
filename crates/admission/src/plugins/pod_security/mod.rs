//! What the pods of a namespace may, as its labels say (upstream: `plugin/pkg/admission/security/podsecurity`,
//! `pod-security-admission/admission`).

mod checks;
pub mod config;
mod existing;
pub mod level;

use std::sync::Arc;

use async_trait::async_trait;
use kinds::view::View;
use meta::{Key, Object, Status};

use super::Context;
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Plugin, Request};
use checks::{Pod, Violation};
use config::Config;
use level::{Level, Policy, Standard};

/// Subresources of a pod that do not change what it may.
const HARMLESS: &[&str] = &["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];

/// Group and resource of everything that makes pods, and where its template is.
const TEMPLATES: &[(&str, &str, &[&str])] = &[
    ("", "replicationcontrollers", &["spec", "template"]),
    ("", "podtemplates", &["template"]),
    ("apps", "replicasets", &["spec", "template"]),
    ("apps", "deployments", &["spec", "template"]),
    ("apps", "statefulsets", &["spec", "template"]),
    ("apps", "daemonsets", &["spec", "template"]),
    ("batch", "jobs", &["spec", "template"]),
    ("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template"]),
];

struct PodSecurity {
    config: Arc<Config>,
}

/// Makes the plug-in.
pub(super) fn make(context: &Context) -> Arc<dyn Plugin> {
    Arc::new(PodSecurity { config: context.pod_security.clone() })
}

#[async_trait]
impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let a = request.attributes;
        let Some(object) = request.object.as_deref() else { return Ok(()) };
        if !matches!(request.operation, Operation::Create | Operation::Update) {
            return Ok(());
        }
        match (&*a.group, &*a.resource) {
            ("", "namespaces") if a.subresource.is_empty() => self.namespace(request, object, lookup).await,
            ("", "pods") if !HARMLESS.contains(&&*a.subresource) => self.pod(request, object, lookup).await,
            (group, resource) if a.subresource.is_empty() => {
                let Some((.., path)) = TEMPLATES.iter().find(|(g, r, _)| (*g, *r) == (group, resource)) else { return Ok(()) };
                self.template(request, object, path, lookup).await
            }
            _ => Ok(()),
        }
    }
}

impl PodSecurity {
    /// The labels have to be right; who raises what is enforced hears which of the pods that are there would be refused.
    async fn namespace(&self, request: &Request<'_>, object: &Object, lookup: &dyn Lookup) -> Result<(), Status> {
        let (policy, errors) = Policy::of(object, &self.config.defaults);
        let old = request.old.map(|old| Policy::of(old, &self.config.defaults));
        let were_wrong = old.as_ref().is_some_and(|(_, before)| *before == errors);
        if !errors.is_empty() && !were_wrong {
            return Err(Status::invalid("", "Namespace", object.name(), &errors));
        }
        let exempt = self.config.exempts_namespace(&request.attributes.namespace);
        let raised = old.is_some_and(|(old, _)| is_raised(old.enforce, policy.enforce));
        if exempt && (raised || request.old.is_none()) {
            self.warn_exempt(request, object, &policy);
        } else if raised {
            let pods = lookup.list("", "pods", Some(object.name())).await;
            let (name, config) = (object.name().to_owned(), self.config.clone());
            // Up to a second for up to 3,000 pods: others do not wait for it.
            let looked = tokio::task::spawn_blocking(move || existing::warnings(&name, policy.enforce, pods, &config)).await;
            looked.map_err(Status::internal)?.into_iter().for_each(|warning| request.warn(warning));
        }
        Ok(())
    }

    fn warn_exempt(&self, request: &Request<'_>, namespace: &Object, policy: &Policy) {
        if policy.is_open() || policy.is_like(&self.config.defaults) {
            return;
        }
        let (name, said) = (namespace.name(), policy.said(namespace));
        request.warn(format!("namespace {name:?} is exempt from Pod Security, and the policy ({said}) will be ignored"));
    }

    async fn pod(&self, request: &Request<'_>, object: &Object, lookup: &dyn Lookup) -> Result<(), Status> {
        let a = request.attributes;
        if self.is_exempt(request) {
            return Ok(());
        }
        let failed = || Status::internal(format!("failed to lookup namespace {:?}", a.namespace));
        let namespace = lookup.get("", "namespaces", &Key::new("", &a.namespace)).await.map_err(|_| failed())?;
        let (policy, errors) = Policy::of(&*namespace.ok_or_else(failed)?, &self.config.defaults);
        if errors.is_empty() && policy.is_open() || request.old.is_some_and(|old| !is_significant(object, old)) {
            return Ok(());
        }
        self.judge(request, &policy, &Pod::of(object), true)
    }

    /// Nobody refuses what only makes pods; whoever writes it hears that they will be refused.
    async fn template(
        &self,
        request: &Request<'_>,
        object: &Object,
        path: &[&str],
        lookup: &dyn Lookup,
    ) -> Result<(), Status> {
        if self.is_exempt(request) {
            return Ok(());
        }
        let key = Key::new("", &request.attributes.namespace);
        let Ok(Some(namespace)) = lookup.get("", "namespaces", &key).await else { return Ok(()) };
        let (policy, errors) = Policy::of(&namespace, &self.config.defaults);
        if errors.is_empty() && policy.warn.level == Level::Privileged && policy.audit.level == Level::Privileged {
            return Ok(());
        }
        let (first, below) = path.split_first().unwrap_or((&"", &[]));
        let Some(template) = below.iter().try_fold(View::of(object, first), |at, name| at.get(name)) else { return Ok(()) };
        if !template.exists() {
            return Ok(());
        }
        let pod = Pod { metadata: template.at("metadata"), spec: template.at("spec") };
        self.judge(request, &policy, &pod, false)
    }

    fn is_exempt(&self, request: &Request<'_>) -> bool {
        let a = request.attributes;
        self.config.exempts_namespace(&a.namespace) || self.config.exempts_user(&a.user.name)
    }

    fn judge(&self, request: &Request<'_>, policy: &Policy, pod: &Pod<'_>, enforced: bool) -> Result<(), Status> {
        if self.config.exempts_class(pod.spec.text("runtimeClassName")) {
            return Ok(());
        }
        // Most namespaces name one standard: it is asked once.
        let mut asked: Vec<(Standard, String)> = Vec::new();
        let mut against = |standard: Standard| {
            if let Some((_, known)) = asked.iter().find(|(other, _)| *other == standard) {
                return known.clone();
            }
            let answer = said(&checks::violations(standard, pod));
            asked.push((standard, answer.clone()));
            answer
        };
        let audited = against(policy.audit);
        if !audited.is_empty() {
            let (a, standard) = (request.attributes, policy.audit);
            tracing::info!(
                user = %a.user.name, verb = %a.verb, resource = %a.resource, namespace = %a.namespace, name = %a.name,
                "would violate PodSecurity \"{standard}\": {audited}"
            );
        }
        let refused = if enforced { against(policy.enforce) } else { String::new() };
        if !refused.is_empty() {
            return Err(forbidden(request, format!("violates PodSecurity \"{}\": {refused}", policy.enforce)));
        }
        let warned = against(policy.warn);
        if !warned.is_empty() {
            request.warn(format!("would violate PodSecurity \"{}\": {warned}", policy.warn));
        }
        Ok(())
    }
}

/// Reasons with what is known of them, as messages have them.
fn said(violations: &[Violation]) -> String {
    let one = |v: &Violation| format!("{} ({})", v.reason, v.detail);
    violations.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether pods that were fine may no longer be.
fn is_raised(old: Standard, new: Standard) -> bool {
    new != old && new.level != Level::Privileged && !(new.version == old.version && new.level <= old.level)
}

/// Whether an update changes what is judged: that can only be an image, or a container that is added.
fn is_significant(new: &Object, old: &Object) -> bool {
    let (new, old) = (View::of(new, "spec"), View::of(old, "spec"));
    let images = |spec: &View<'_>, list: &str| -> Vec<String> {
        spec.each(list).map(|container| container.text("image").to_owned()).collect()
    };
    let changed = |list: &&str| images(&new, list) != images(&old, list);
    if ["containers", "initContainers"].iter().any(changed) {
        return true;
    }
    let known = |name: &str| old.each("ephemeralContainers").find(|container| container.text("name") == name);
    new.each("ephemeralContainers").any(|container| {
        known(container.text("name")).is_none_or(|before| before.text("image") != container.text("image"))
    })
}

#[cfg(test)]
mod tests;
