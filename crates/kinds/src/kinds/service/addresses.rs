//! Cluster addresses of a service (upstream: `ValidateServiceClusterIPsRelatedFields` and its kin).

use std::collections::HashSet;

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::Value;

use crate::validate::ip;
use crate::view::View;

/// Whether the service has no address of its own.
pub(super) fn headless(spec: &View<'_>) -> bool {
    spec.at("clusterIPs").list().len() == 1 && spec.at("clusterIPs").list()[0] == "None"
}

/// The addresses, their families, and that they fit together.
pub(super) fn check(spec: &View<'_>, old: Option<&View<'_>>) -> Errors {
    let mut errors = Errors::new();
    if spec.text("type") == "ExternalName" {
        return errors;
    }
    let (one, all) = (spec.text("clusterIP"), spec.at("clusterIPs"));
    let first = all.strings().next();
    if one.is_empty() && first.is_some() {
        errors.push(all.invalid("must be empty when `clusterIP` is not specified"));
    } else if !one.is_empty() && first.is_none() {
        errors.push(all.required(""));
    } else if !one.is_empty() && first != Some(one) {
        errors.push(all.invalid("first value must match `clusterIP`"));
    }
    let mut seen = HashSet::new();
    for family in spec.each("ipFamilies") {
        family.one_of(&["IPv4", "IPv6"], &mut errors);
        if !seen.insert(family.str()) {
            errors.push(family.duplicate());
        }
    }
    if let Some(policy) = spec.get("ipFamilyPolicy") {
        policy.one_of(&["PreferDualStack", "RequireDualStack", "SingleStack"], &mut errors);
    }
    if addresses(&all, old, &mut errors) {
        fit(spec, &all, &mut errors);
    }
    errors
}

/// Whether every address is one.
fn addresses(all: &View<'_>, old: Option<&View<'_>>, errors: &mut Errors) -> bool {
    let known: HashSet<&str> = old.map(|o| o.at("clusterIPs").strings().collect()).unwrap_or_default();
    let mut good = true;
    for (i, address) in all.items().enumerate() {
        if i == 0 && address.str() == "None" {
            if all.list().len() > 1 {
                good = false;
                errors.push(all.invalid("'None' must be the first and only value"));
            }
        } else if !known.contains(address.str()) {
            good &= ip::address(&address, false, errors).is_some();
        }
    }
    if all.list().len() > 2 {
        errors.push(all.invalid("may only hold up to 2 values"));
    }
    good
}

fn fit(spec: &View<'_>, all: &View<'_>, errors: &mut Errors) {
    let families: HashSet<bool> = all.strings().map(|ip| ip.contains(':')).collect();
    if all.list().len() > 1 && families.len() != 2 {
        errors.push(all.invalid("may specify no more than one IP for each IP family"));
    }
    if headless(spec) {
        return;
    }
    for (i, (address, family)) in all.items().zip(spec.at("ipFamilies").strings()).enumerate() {
        let is_v6 = address.str().contains(':');
        if (family == "IPv4" && is_v6) || (family == "IPv6" && !is_v6) {
            errors.push(address.invalid(format!("expected an {family} value as indicated by `ipFamilies[{i}]`")));
        }
    }
}

/// What an update may do to addresses and families: add or release the second one.
pub(super) fn update(new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    if is.text("type") == "ExternalName" || was.text("type") == "ExternalName" || (headless(&is) && headless(&was)) {
        return errors;
    }
    changed_addresses(&is, &was, &mut errors);
    if !headless(&is) && !headless(&was) {
        changed_families(&is, &was, &mut errors);
    }
    errors
}

const FIXED: &str = "may not change once set";

fn changed_addresses(is: &View<'_>, was: &View<'_>, errors: &mut Errors) {
    let (new, old) = (is.at("clusterIPs"), was.at("clusterIPs"));
    let at = |i: usize, detail: &str| Error::invalid(&new.path.index(i), shown(&new), detail);
    let (new_count, old_count) = (new.list().len(), old.list().len());
    if new_count == old_count {
        let pairs = old.list().iter().zip(new.list()).enumerate();
        errors.extend(pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| at(i, FIXED)));
        return;
    }
    if new_count == 0 {
        errors.push(at(0, "primary clusterIP can not be unset"));
    }
    if new_count != 0 && old_count != 0 && new.list()[0] != old.list()[0] {
        errors.push(at(0, FIXED));
    }
    released(is, new_count, old_count, "clusterIP", errors);
}

/// Upstream shows addresses where it speaks of families, and counts addresses.
fn changed_families(is: &View<'_>, was: &View<'_>, errors: &mut Errors) {
    let (new, old, addresses) = (is.at("ipFamilies"), was.at("ipFamilies"), is.at("clusterIPs"));
    let at = |shown: Value, detail: &str| Error::invalid(&new.path.index(0), shown, detail);
    let (new_count, old_count) = (new.list().len(), old.list().len());
    if new_count == old_count {
        let pairs = old.list().iter().zip(new.list());
        errors.extend(pairs.filter(|(a, b)| a != b).map(|_| at(shown(&new), FIXED)));
        return;
    }
    if new_count < old_count && addresses.is_empty() {
        errors.push(at(shown(&new), "primary ipFamily can not be unset"));
    }
    if new_count != 0 && old_count != 0 && new.list()[0] != old.list()[0] {
        errors.push(at(shown(&addresses), FIXED));
    }
    released(is, new_count, old_count, "ipFamily", errors);
}

fn released(is: &View<'_>, new_count: usize, old_count: usize, one: &str, errors: &mut Errors) {
    let policy = is.at("ipFamilyPolicy");
    if old_count > new_count && new_count == 1 && policy.str() != "SingleStack" {
        errors.push(policy.invalid(format!("must be set to 'SingleStack' when releasing the secondary {one}")));
    }
}

fn shown(list: &View<'_>) -> Value {
    list.value().cloned().unwrap_or_default()
}
