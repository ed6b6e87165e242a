//! ClusterRoleBinding.

use meta::field::Errors;
use meta::{Object, text};
use serde_json::Value;

use super::rolebinding::{COLUMNS, binding, cells, defaults, same_role};
use crate::Now;
use crate::descriptor::Descriptor;
use crate::rules::{Column, Rules};
use crate::validate::{own_metadata, own_metadata_update};

struct ClusterRoleBinding;

/// What is served.
pub fn descriptor() -> Descriptor {
    let api_version = "rbac.authorization.k8s.io/v1";
    Descriptor::builtin(api_version, "ClusterRoleBinding", "clusterrolebindings", ClusterRoleBinding).cluster_scoped()
}

impl Rules for ClusterRoleBinding {
    fn default(&self, object: &mut Object) {
        defaults(object);
    }

    fn validate(&self, object: &Object) -> Errors {
        binding(object, false)
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors.extend(own_metadata_update(new, old));
        errors.extend(same_role(new, old));
        errors
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        text::path_segment(name, prefix)
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        cells(object, now)
    }
}
