//! ClusterRole.

use meta::field::{Error, Errors};
use meta::{Object, text};
use serde_json::Value;

use super::role::{name_and_created, no_empty_rules, policy_rule};
use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::NAME_AND_CREATED;
use crate::rules::{Column, Context, Rules};
use crate::validate::selector::label_selector;
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

struct ClusterRole;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", ClusterRole).cluster_scoped()
}

impl Rules for ClusterRole {
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        no_empty_rules(object);
    }

    fn prepare_update(&self, new: &mut Object, _old: &Object, _context: &Context) {
        no_empty_rules(new);
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        View::of(object, "rules").items().for_each(|rule| policy_rule(&rule, false, &mut errors));
        let aggregation = View::of(object, "aggregationRule");
        if aggregation.exists() {
            let selectors = aggregation.at("clusterRoleSelectors");
            if selectors.is_empty() {
                errors.push(selectors.required("at least one clusterRoleSelector required if aggregationRule is non-nil"));
            }
            for selector in selectors.items() {
                let before = errors.len();
                label_selector(&selector, &mut errors);
                if errors.len() > before {
                    errors.push(Error::invalid(&selector.path, Value::Null, "invalid label selector."));
                }
            }
        }
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
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
