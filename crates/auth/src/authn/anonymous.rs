//! Requests without credentials. On by default as upstream; RBAC lets them see the health paths and
//! the version (`system:public-info-viewer`) and nothing else.

use meta::User;

/// The anonymous user.
pub(super) fn user() -> User {
    crate::identity::anonymous()
}
