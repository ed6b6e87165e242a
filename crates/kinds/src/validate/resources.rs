//! Names and amounts of resources (upstream: `pkg/apis/core/validation`, `pkg/apis/core/helper`).

use meta::field::{Error, Errors, Path};
use meta::quantity::Format;
use meta::{Quantity, text};

use crate::view::View;

/// Counted in whole numbers.
const WHOLE: [&str; 10] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
    "count",
];

/// Names without a prefix that mean something somewhere: in containers, quotas or volumes.
const STANDARD: [&str; 18] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "requests.storage",
    "storage",
];

/// Names without a prefix that a container may ask for.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Whether a resource is Kubernetes' own, not one that a device plug-in or an administrator announced.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether a resource was announced for nodes under a domain of its own.
pub fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && text::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether it is a page size of huge pages.
pub fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether more of it may be promised than there is.
pub fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// The name of a resource anywhere.
pub fn resource_name(name: &str, path: &Path, errors: &mut Errors) {
    let wrong = text::qualified_name(name);
    if wrong.is_empty() && !name.contains('/') && !STANDARD.contains(&name) && !is_huge_page(name) {
        errors.push(Error::invalid(path, name, "must be a standard resource type or fully qualified"));
    }
    errors.extend(wrong.into_iter().map(|m| Error::invalid(path, name, m)));
}

/// The name of a resource in a container's requests or limits.
pub fn name_in_container(name: &str, path: &Path, errors: &mut Errors) {
    resource_name(name, path, errors);
    if !name.contains('/') {
        if !OF_CONTAINERS.contains(&name) && !is_huge_page(name) {
            errors.push(Error::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(Error::invalid(path, name, "doesn't follow extended resource name standard"));
    }
}

/// Whether an amount has no thousandths. If they are too many to be counted, it has none to upstream when it is written
/// with few digits (`int64Amount`), and else some.
fn is_whole(quantity: &Quantity, text: &str) -> bool {
    let milli = quantity.milli_value();
    let digits = text.bytes().take_while(|b| !b.is_ascii_alphabetic()).filter(u8::is_ascii_digit).count();
    let few = digits <= 18 && quantity.format() != Format::BinarySi;
    milli % 1000 == 0 || few && matches!(milli, i64::MIN | i64::MAX)
}

/// The amount of a resource: not negative, and whole where only whole ones exist.
pub fn amount(name: &str, field: &View<'_>, errors: &mut Errors) {
    let Ok(quantity) = Quantity::parse(field.str()) else { return };
    if quantity.sign() < 0 {
        errors.push(field.invalid("must be greater than or equal to 0"));
    }
    if (WHOLE.contains(&name) || is_extended(name)) && !is_whole(&quantity, field.str()) {
        errors.push(field.invalid("must be an integer"));
    }
}
