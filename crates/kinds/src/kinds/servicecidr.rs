//! ServiceCIDR: ranges that Services get their addresses from (upstream: `pkg/apis/networking/validation`,
//! `pkg/registry/networking/servicecidr`).

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::{Value, json};

use crate::{Context, Now};
use crate::descriptor::{CHANGE, Descriptor};
use crate::print::{AGE, NAME};
use crate::rules::{Column, Rules, age};
use crate::tree::restore;
use crate::validate::ip;
use crate::validate::metadata::metadata_update;
use crate::view::View;

/// That of the cluster itself.
pub const DEFAULT: &str = "kubernetes";
/// What keeps one for as long as addresses of it are in use.
pub const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";

static COLUMNS: [Column; 3] = [NAME, crate::print::text("CIDRs", "The ranges, one for each family of addresses"), AGE];

struct ServiceCidr;

/// What is served.
pub fn descriptor() -> Descriptor {
    let kind = Descriptor::builtin("networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", ServiceCidr);
    kind.cluster_scoped().sub("status", CHANGE)
}

impl Rules for ServiceCidr {
    fn default(&self, object: &mut Object) {
        object.set_default("spec", json!({}));
        object.set_default("status", json!({}));
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({}));
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
    }

    fn prepare_subresource(&self, _subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        crate::tree::only_status(new, old);
    }

    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        ranges(&View::of(object, "spec"), &mut errors);
        errors
    }

    /// A second family may come to the first; nothing else changes.
    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = metadata_update(new, old);
        let (spec, cidrs) = (View::of(new, "spec"), View::of(new, "spec").at("cidrs"));
        let (now, before) = (cidrs.list(), old.list_at("spec.cidrs"));
        if now.len() != before.len() && (before.len(), now.len()) != (1, 2) {
            errors.push(cidrs.invalid("field is immutable"));
            return errors;
        }
        let changed = cidrs.items().zip(before).filter(|(new, old)| new.value() != Some(old));
        errors.extend(changed.map(|(new, _)| new.invalid("field is immutable")));
        if now.len() > before.len() {
            ranges(&spec, &mut errors);
        }
        errors
    }

    fn validate_subresource(&self, _subresource: &str, new: &Object, old: &Object) -> Errors {
        metadata_update(new, old)
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let cidrs: Vec<&str> = object.list_at("spec.cidrs").iter().filter_map(Value::as_str).collect();
        vec![object.name().into(), cidrs.join(",").into(), age(object, now).into()]
    }
}

fn ranges(spec: &View<'_>, errors: &mut Errors) {
    let cidrs = spec.at("cidrs");
    if cidrs.is_empty() {
        errors.push(cidrs.required("at least one CIDR required"));
        return;
    }
    if cidrs.list().len() > 2 {
        let shown = crate::validate::internal(&[("CIDRs", json!(cidrs.list()))]);
        errors.push(Error::invalid(&cidrs.path, json!(null), "may only hold up to 2 values").showing(shown));
        return;
    }
    let nets: Vec<_> = cidrs.items().filter_map(|field| ip::range(&field, true, errors)).collect();
    if let [one, other] = &nets[..]
        && one.addr().is_ipv4() == other.addr().is_ipv4()
    {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(cidrs.invalid(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidrs(cidrs: &[&str]) -> Object {
        let metadata = json!({"name": "c", "resourceVersion": "1"});
        Object::from_value(json!({"metadata": metadata, "spec": {"cidrs": cidrs}})).expect("an object")
    }

    fn wrong(errors: &Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn there_is_one_range_of_each_family() {
        let of = |list: &[&str]| wrong(&ServiceCidr.validate(&cidrs(list)));
        assert_eq!(of(&["10.0.0.0/8"]), [""; 0]);
        assert_eq!(of(&["10.0.0.0/8", "fd00::/64"]), [""; 0]);
        assert_eq!(of(&[]), ["spec.cidrs: Required value: at least one CIDR required"]);
        let many = "spec.cidrs: Invalid value: {\"CIDRs\":[\"a\",\"b\",\"c\"]}: may only hold up to 2 values";
        assert_eq!(of(&["a", "b", "c"]), [many]);
        let twice = "spec.cidrs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.0/8\"]: may specify no more than one IP for each IP \
                     family, i.e 192.168.0.0/24 and 2001:db8::/64";
        assert_eq!(of(&["10.0.0.0/8", "11.0.0.0/8"]), [twice]);
        let bits = "spec.cidrs[0]: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length";
        assert_eq!(of(&["10.0.0.1/8"]), [bits]);
    }

    #[test]
    fn only_a_second_family_may_be_added() {
        let of = |new: &[&str], old: &[&str]| wrong(&ServiceCidr.validate_update(&cidrs(new), &cidrs(old)));
        let (four, six) = ("10.0.0.0/8", "fd00::/64");
        assert_eq!((of(&[four], &[four]), of(&[four, six], &[four])), (vec![], vec![]));
        assert_eq!(of(&["11.0.0.0/8"], &[four]), ["spec.cidrs[0]: Invalid value: \"11.0.0.0/8\": field is immutable"]);
        assert_eq!(of(&[four], &[four, six]), ["spec.cidrs: Invalid value: [\"10.0.0.0/8\"]: field is immutable"]);
        assert!(of(&[four, "11.0.0.0/8"], &[four])[0].contains("no more than one IP for each IP family"));
    }
}
