//! RoleBinding. Its rules of content are shared with ClusterRoleBinding.

use meta::field::{Error, Errors};
use meta::{Object, text};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME, wide};
use crate::rules::{Column, Rules, age};
use crate::tree::{child_or_new, default_zero, each_mut, same_at};
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) static COLUMNS: [Column; 6] = [
    NAME,
    crate::print::text("Role", "What it grants"),
    AGE,
    wide("Users", "Users to whom it is granted"),
    wide("Groups", "Groups to whom it is granted"),
    wide("ServiceAccounts", "Service accounts to whom it is granted"),
];

struct RoleBinding;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", RoleBinding)
}

impl Rules for RoleBinding {
    fn default(&self, object: &mut Object) {
        defaults(object);
    }

    fn validate(&self, object: &Object) -> Errors {
        binding(object, true)
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix));
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

/// Fills in the API groups of the role and of the subjects.
pub(super) fn defaults(object: &mut Object) {
    default_zero(child_or_new(object.fields_mut(), "roleRef"), "apiGroup", GROUP);
    for subject in each_mut(object.fields_mut(), "subjects") {
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            default_zero(subject, "apiGroup", GROUP);
        }
    }
}

/// What is wrong with a binding in a namespace, or outside of them.
pub(super) fn binding(object: &Object, namespaced: bool) -> Errors {
    let mut errors = Errors::new();
    let role = View::of(object, "roleRef");
    role.at("apiGroup").one_of(&[GROUP], &mut errors);
    role.at("kind").one_of(if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] }, &mut errors);
    let name = role.at("name");
    if name.str().is_empty() {
        errors.push(name.required(""));
    } else {
        name.all_invalid(text::path_segment(name.str(), false), &mut errors);
    }
    View::of(object, "subjects").items().for_each(|s| subject(&s, namespaced, &mut errors));
    errors
}

fn subject(subject: &View<'_>, namespaced: bool, errors: &mut Errors) {
    let name = subject.at("name");
    if name.str().is_empty() {
        errors.push(name.required(""));
    }
    let group = subject.at("apiGroup");
    match subject.text("kind") {
        "ServiceAccount" => {
            if !name.str().is_empty() {
                name.all_invalid(text::dns1123_subdomain(name.str(), false), errors);
            }
            group.one_of(&[""], errors);
            if !namespaced && subject.text("namespace").is_empty() {
                errors.push(subject.at("namespace").required(""));
            }
        }
        "User" | "Group" => group.one_of(&[GROUP], errors),
        _ => errors.push(subject.at("kind").not_supported(&["ServiceAccount", "User", "Group"])),
    }
}

/// A binding grants the same role for ever.
pub(super) fn same_role(new: &Object, old: &Object) -> Option<Error> {
    let role = View::of(new, "roleRef");
    // Upstream shows its internal form.
    let shown = json!({"APIGroup": role.text("apiGroup"), "Kind": role.text("kind"), "Name": role.text("name")});
    (!same_at(new, old, "roleRef")).then(|| Error::invalid(&role.path, shown, "cannot change roleRef"))
}

/// The cells of [`COLUMNS`].
pub(super) fn cells(object: &Object, now: &Now) -> Vec<Value> {
    let subjects = View::of(object, "subjects");
    let of = |kind: &str| {
        let named = subjects.items().filter(|s| s.text("kind") == kind);
        let shown = named.map(|s| match kind {
            "ServiceAccount" => format!("{}/{}", s.text("namespace"), s.text("name")),
            _ => s.text("name").to_owned(),
        });
        Value::from(shown.collect::<Vec<_>>().join(", "))
    };
    let role = format!("{}/{}", object.str_at("roleRef.kind"), object.str_at("roleRef.name"));
    vec![object.name().into(), role.into(), age(object, now).into(), of("User"), of("Group"), of("ServiceAccount")]
}
