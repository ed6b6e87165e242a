//! Warnings.
use crate::view::View;
/// Of a pod or template.
pub fn of(_metadata: &View<'_>, _spec: &View<'_>) -> Vec<String> {
    Vec::new()
}
