//! Role. Its rules of content are shared with ClusterRole.

use meta::field::Errors;
use meta::{Object, text};
use serde_json::Value;

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::NAME_AND_CREATED;
use crate::rules::{Column, Context, Rules};
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

struct Role;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "Role", "roles", Role)
}

impl Rules for Role {
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        no_empty_rules(object);
    }

    fn prepare_update(&self, new: &mut Object, _old: &Object, _context: &Context) {
        no_empty_rules(new);
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        View::of(object, "rules").items().for_each(|rule| policy_rule(&rule, true, &mut errors));
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors.extend(own_metadata_update(new, old));
        errors
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        text::path_segment(name, prefix)
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        &NAME_AND_CREATED
    }

    fn row(&self, object: &Object, _now: &Now) -> Vec<Value> {
        name_and_created(object)
    }
}

/// The cells of [`NAME_AND_CREATED`].
pub(super) fn name_and_created(object: &Object) -> Vec<Value> {
    vec![object.name().into(), object.str_at("metadata.creationTimestamp").into()]
}

/// Upstream's store knows no empty list: it becomes none, which is printed as null.
pub(super) fn no_empty_rules(object: &mut Object) {
    if object.at("rules").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        object.remove("rules");
    }
}

/// One rule of a role.
pub(super) fn policy_rule(rule: &View<'_>, namespaced: bool, errors: &mut Errors) {
    if rule.at("verbs").is_empty() {
        errors.push(rule.at("verbs").required("verbs must contain at least one value"));
    }
    let urls = rule.at("nonResourceURLs");
    if !urls.is_empty() {
        if namespaced {
            errors.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|f| !rule.at(f).is_empty()) {
            errors.push(urls.invalid("rules cannot apply to both regular resources and non-resource URLs"));
        }
        return;
    }
    if rule.at("apiGroups").is_empty() {
        errors.push(rule.at("apiGroups").required("resource rules must supply at least one api group"));
    }
    if rule.at("resources").is_empty() {
        errors.push(rule.at("resources").required("resource rules must supply at least one resource"));
    }
}
