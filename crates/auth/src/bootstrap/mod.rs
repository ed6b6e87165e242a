//! What every cluster starts with: namespaces, priority classes, roles and bindings.

use crate::authz::Rule;

/// The rules of the role `system:node`.
pub fn node_rules() -> Vec<Rule> {
    Vec::new()
}
