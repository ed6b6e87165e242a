//! What may change in a pod (upstream: `ValidatePodUpdate` and its kin).

use meta::Object;
use meta::field::Errors;

pub(super) fn main(new: &Object, _old: &Object) -> Errors {
    crate::podspec::validate::pod(new)
}

pub(super) fn status(_new: &Object, _old: &Object) -> Errors {
    Errors::new()
}

pub(super) fn ephemeral_containers(_new: &Object, _old: &Object) -> Errors {
    Errors::new()
}

pub(super) fn resize(new: &Object, _old: &Object) -> Errors {
    crate::podspec::validate::pod(new)
}
