//! ServiceAccount.

use meta::Object;
use meta::field::Errors;
use serde_json::{Value, json};

use crate::descriptor::{CREATE, Descriptor};
use crate::rules::{Context, Rules};
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

/// Shortest and longest life of a token that may be asked for, in seconds.
const TOKEN_SECONDS: (i64, i64) = (10 * 60, 1 << 32);

const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

struct ServiceAccount;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "ServiceAccount", "serviceaccounts", ServiceAccount).short("sa").sub_of(
        "token",
        ("authentication.k8s.io", "v1", "TokenRequest"),
        CREATE,
    )
}

impl Rules for ServiceAccount {
    fn returns_deleted(&self) -> bool {
        true
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        only_names(object);
    }

    fn prepare_update(&self, new: &mut Object, _old: &Object, _context: &Context) {
        only_names(new);
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix)));
        errors
    }

    /// For `token`, `new` is the TokenRequest.
    fn validate_subresource(&self, subresource: &str, new: &Object, _old: &Object) -> Errors {
        let mut errors = Errors::new();
        let seconds = View::of(new, "spec").at("expirationSeconds");
        if subresource == "token" {
            let value = seconds.int().unwrap_or(3600);
            if value < TOKEN_SECONDS.0 {
                errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
            }
            if value > TOKEN_SECONDS.1 {
                errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
            }
        }
        errors
    }

    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        if new.annotation(MOUNTABLE).is_none() || old.is_some_and(|o| o.annotation(MOUNTABLE).is_some()) {
            return Vec::new();
        }
        let advice = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        vec![format!("metadata.annotations[{MOUNTABLE}]: {advice}")]
    }
}

/// References to secrets keep their name alone.
fn only_names(object: &mut Object) {
    let Some(Value::Array(secrets)) = object.at_mut("secrets") else { return };
    for secret in secrets {
        let name = secret.get("name").cloned();
        *secret = name.map_or_else(|| json!({}), |name| json!({ "name": name }));
    }
}
