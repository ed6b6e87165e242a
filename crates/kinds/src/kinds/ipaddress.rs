//! IPAddress: an address of a cluster's range, by its name, and whose it is (upstream: `pkg/apis/networking/validation`,
//! `pkg/registry/networking/ipaddress`).

use meta::field::{Errors, Path};
use meta::{Object, text};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::NAME;
use crate::rules::{Column, Rules, age};
use crate::validate::metadata::{metadata, metadata_update};
use crate::validate::{immutable, ip};
use crate::view::View;

/// Whose addresses are given by the API server itself.
pub const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
/// The value of that label.
pub const ALLOCATOR: &str = "ipallocator.k8s.io";
/// `IPv4` or `IPv6`.
pub const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";

static COLUMNS: [Column; 2] = [NAME, crate::print::text("ParentRef", "The object that has the address")];

struct IpAddress;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("networking.k8s.io/v1", "IPAddress", "ipaddresses", IpAddress).cluster_scoped().short("ip")
}

impl Rules for IpAddress {
    fn default(&self, object: &mut Object) {
        object.set_default("spec", json!({}));
    }

    /// An address in its canonical form; there is no other way to write a name for it.
    fn validate_name(&self, name: &str, _prefix: bool) -> Vec<String> {
        let mut errors = Errors::new();
        ip::address(&View::new(Some(&Value::from(name)), Path::new("")), true, &mut errors);
        errors.into_iter().map(|error| error.detail).collect()
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let parent = View::of(object, "spec").at("parentRef");
        if !parent.exists() {
            errors.push(parent.required(""));
            return errors;
        }
        let (group, namespace) = (parent.at("group"), parent.at("namespace"));
        if !group.str().is_empty() {
            group.all_invalid(text::dns1123_subdomain(group.str(), false), &mut errors);
        }
        for field in ["resource", "name"].map(|name| parent.at(name)) {
            match field.str() {
                "" => errors.push(field.required("")),
                text => field.all_invalid(text::path_segment(text, false), &mut errors),
            }
        }
        if !namespace.str().is_empty() {
            namespace.all_invalid(text::path_segment(namespace.str(), false), &mut errors);
        }
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors.extend(metadata_update(new, old));
        immutable(&View::of(new, "spec").at("parentRef"), &View::of(old, "spec").at("parentRef"), &mut errors);
        errors
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    /// Upstream has a cell for the age, and no column.
    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let spec = View::of(object, "spec");
        let parent = spec.at("parentRef");
        if !parent.exists() {
            return vec![object.name().into(), "<none>".into(), age(object, now).into()];
        }
        let group = parent.text("group");
        let resource = if group.is_empty() { parent.text("resource").to_owned() } else { format!("{}.{group}", parent.text("resource")) };
        let namespace = parent.text("namespace");
        let place = if namespace.is_empty() { String::new() } else { format!("/{namespace}") };
        let parent = format!("{}{place}/{}", resource.to_lowercase(), parent.text("name"));
        vec![object.name().into(), parent.into(), age(object, now).into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "10.96.0.1", "resourceVersion": "1"}, "spec": spec})).expect("an object")
    }

    fn wrong(errors: &Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_named_after_an_address_and_somebody_has_it() {
        let name = |name: &str| IpAddress.validate_name(name, false);
        assert_eq!((name("10.96.0.1"), name("fd00::1")), (vec![], vec![]));
        assert_eq!(name("a"), ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]);
        assert_eq!(name("010.96.0.1"), ["must not have leading 0s"]);
        assert_eq!(name("FD00::1"), ["must be in canonical form (\"fd00::1\")"]);
        let of = |spec: Value| wrong(&IpAddress.validate(&address(spec)));
        assert_eq!(of(json!({})), ["spec.parentRef: Required value"]);
        assert_eq!(of(json!({"parentRef": {"group": ""}})), ["spec.parentRef.resource: Required value", "spec.parentRef.name: Required value"]);
        assert_eq!(of(json!({"parentRef": {"resource": "services", "namespace": "d", "name": "web"}})), [""; 0]);
        let bad = json!({"parentRef": {"group": "_", "resource": "a/b", "namespace": "..", "name": "."}});
        assert_eq!(of(bad).len(), 4);
    }

    #[test]
    fn whose_it_is_does_not_change_and_is_shown() {
        let of = |name: &str| address(json!({"parentRef": {"group": "g.io", "resource": "Things", "namespace": "d", "name": name}}));
        assert_eq!(wrong(&IpAddress.validate_update(&of("a"), &of("a"))), [""; 0]);
        assert!(wrong(&IpAddress.validate_update(&of("a"), &of("b")))[0].ends_with("field is immutable"));
        let now = Now::at(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(IpAddress.row(&of("a"), &now)[1], "things.g.io/d/a");
        assert_eq!(IpAddress.row(&address(json!({"parentRef": {"resource": "nodes", "name": "n"}})), &now)[1], "nodes/n");
    }
}
