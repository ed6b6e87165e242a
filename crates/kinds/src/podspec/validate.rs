//! Validation.
use crate::view::View;
use meta::Object;
use meta::field::Errors;
/// A pod.
pub fn pod(_object: &Object) -> Errors {
    Errors::new()
}
/// A template.
pub fn template(_template: &View<'_>, _errors: &mut Errors) {}
