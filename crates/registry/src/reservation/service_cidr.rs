//! What ServiceCIDRs and IPAddresses say of the addresses of Services. Those IPAddresses that the API server makes for
//! Services say what is known.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use kinds::Descriptor;
use kinds::kinds::ipaddress::{ALLOCATOR, MANAGED_BY};
use kinds::kinds::servicecidr::DEFAULT;
use meta::Object;
use serde_json::Value;

use super::addresses::Addresses;
use super::{Refusal, Reservation, Taken};

pub(super) struct ServiceCidrs(pub(super) Arc<Addresses>);

/// Whether addresses are given out of it.
fn is_ready(cidr: &Object) -> bool {
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    cidr.list_at("status.conditions").iter().any(ready) && !is_ending(cidr)
}

fn is_ending(cidr: &Object) -> bool {
    !cidr.str_at("metadata.deletionTimestamp").is_empty()
}

impl ServiceCidrs {
    /// What an object says now, or what is so without it.
    fn heed(&self, object: &Object, gone: bool) {
        if &*object.gvk().kind == "IPAddress" {
            let Ok(ip) = object.name().parse::<IpAddr>() else { return };
            self.0.reserve(ip, !gone && object.label(MANAGED_BY) != Some(ALLOCATOR));
            return;
        }
        if object.name() == DEFAULT {
            return self.0.own_ends(!gone && is_ending(object));
        }
        let cidrs = object.list_at("spec.cidrs").iter().filter_map(Value::as_str);
        let nets: Vec<IpNet> = cidrs.filter_map(|cidr| cidr.parse().ok()).filter(|_| !gone && is_ready(object)).collect();
        self.0.ranges(object.name(), &nets);
    }
}

impl Reservation for ServiceCidrs {
    fn concerns(&self, kind: &Descriptor) -> bool {
        &*kind.gvk.group == "networking.k8s.io" && matches!(&*kind.resource, "servicecidrs" | "ipaddresses")
    }

    fn adopt(&self, object: &Object) {
        self.heed(object, false);
    }

    fn take(&self, _new: &mut Object, _old: Option<&Object>, _dry_run: bool) -> Result<Taken, Refusal> {
        Ok(Taken::nothing())
    }

    fn release(&self, old: &Object, new: Option<&Object>) {
        if new.is_none() {
            self.heed(old, true);
        }
    }

    fn kept(&self, new: &Object) {
        self.heed(new, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cidr(name: &str, ready: &str, ending: Option<&str>) -> Object {
        let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
        let metadata = json!({"name": name, "deletionTimestamp": ending});
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": metadata,
            "spec": {"cidrs": ["203.0.113.0/30"]}, "status": status});
        Object::from_value(object).expect("an object")
    }

    #[test]
    fn only_those_that_are_ready_have_addresses_to_give() {
        let addresses = Arc::new(Addresses::new("10.96.0.0/30".parse().expect("a range")));
        let (cidrs, ip) = (ServiceCidrs(addresses.clone()), "203.0.113.1".parse::<IpAddr>().expect("an address"));
        cidrs.kept(&cidr("more", "False", None));
        assert!(!addresses.has(ip));
        cidrs.adopt(&cidr("more", "True", None));
        assert!(addresses.has(ip));
        cidrs.kept(&cidr("more", "True", Some("2026-01-01T00:00:00Z")));
        assert!(!addresses.has(ip));
        cidrs.kept(&cidr("more", "True", None));
        cidrs.release(&cidr("more", "True", None), None);
        assert!(!addresses.has(ip));
        let own = "10.96.0.1".parse().expect("an address");
        cidrs.kept(&cidr("kubernetes", "Unknown", None));
        assert!(addresses.has(own), "the cluster's own range has addresses before anybody says so");
        cidrs.kept(&cidr("kubernetes", "True", Some("2026-01-01T00:00:00Z")));
        assert!(!addresses.has(own));
        cidrs.release(&cidr("kubernetes", "True", None), None);
        assert!(addresses.has(own));
    }

    #[test]
    fn what_others_reserve_is_nobodys() {
        let addresses = Arc::new(Addresses::new("10.96.0.0/30".parse().expect("a range")));
        let cidrs = ServiceCidrs(addresses.clone());
        let object = |labels: Value| {
            let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.96.0.1", "labels": labels}});
            Object::from_value(object).expect("an object")
        };
        let of_others = object(json!({}));
        cidrs.kept(&of_others);
        assert!(addresses.take("10.96.0.1".parse().expect("an address")).is_err());
        cidrs.release(&of_others, None);
        cidrs.kept(&object(json!({MANAGED_BY: ALLOCATOR})));
        addresses.take("10.96.0.1".parse().expect("an address")).expect("free");
    }
}
