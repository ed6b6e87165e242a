//! ServiceAccount.

use crate::descriptor::{CREATE, Descriptor};
use crate::rules::Rules;

struct ServiceAccount;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "ServiceAccount", "serviceaccounts", ServiceAccount).short("sa").sub_of(
        "token",
        ("authentication.k8s.io", "v1", "TokenRequest"),
        CREATE,
    )
}

impl Rules for ServiceAccount {}
