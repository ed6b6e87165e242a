//! Cluster IPs of Services.

use std::net::IpAddr;
use std::sync::Arc;

use kinds::Descriptor;
use kinds::kinds::service::settle;
use meta::Object;
use meta::field::{Error, Path};
use serde_json::{Value, json};

use super::addresses::{Addresses, Refused};
use super::{Refusal, Reservation, Taken};

/// Services get them out of the cluster's ranges.
pub(super) struct ClusterIps(pub(super) Arc<Addresses>);

impl ClusterIps {
    fn family(&self) -> &'static str {
        if self.0.own().addr().is_ipv4() { "IPv4" } else { "IPv6" }
    }

    /// Takes the address that a service names. A dry run only looks whether it is in a range.
    fn take_asked(&self, text: &str, dry_run: bool) -> Result<Taken, String> {
        let ip: IpAddr = text.parse().map_err(|_| format!("invalid IP: {text}"))?;
        if dry_run {
            let range = self.0.own().trunc();
            let outside = || format!("the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}");
            return if self.0.has(ip) { Ok(Taken::nothing()) } else { Err(outside()) };
        }
        match self.0.take(ip) {
            Ok(()) => Ok(self.taken(ip)),
            Err(Refused::Taken) => Err("provided IP is already allocated".to_owned()),
            Err(Refused::Outside) => Err("the provided network does not match the current range".to_owned()),
        }
    }

    /// Takes any address. In a dry run it is that of the network, which no service gets.
    fn take_any(&self, dry_run: bool) -> Option<(IpAddr, Taken)> {
        if dry_run {
            return Some((self.0.own().network(), Taken::nothing()));
        }
        let ip = self.0.any()?;
        Some((ip, self.taken(ip)))
    }

    fn taken(&self, ip: IpAddr) -> Taken {
        let addresses = self.0.clone();
        Taken::new(move || addresses.release(ip))
    }
}

/// The addresses that a service holds.
fn held(service: &Object) -> Vec<IpAddr> {
    if service.str_at("spec.type") == "ExternalName" {
        return Vec::new();
    }
    let listed = service.list_at("spec.clusterIPs").iter().filter_map(Value::as_str);
    let mut texts: Vec<&str> = listed.collect();
    if texts.is_empty() {
        texts.push(service.str_at("spec.clusterIP"));
    }
    texts.into_iter().filter_map(|text| text.parse().ok()).collect()
}

/// What upstream says of its object for the address, which refers to the service by its name.
fn nameless(service: &Object, ip: &str) -> Option<String> {
    let (name, path) = (service.name(), Path::new("spec").child("parentRef").child("name"));
    let errors: Vec<Error> = if name.is_empty() {
        vec![Error::required(&path, "")]
    } else {
        meta::text::path_segment(name, false).into_iter().map(|why| Error::invalid(&path, name, why)).collect()
    };
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let list = if shown.len() == 1 { shown[0].clone() } else { format!("[{}]", shown.join(", ")) };
    (!errors.is_empty()).then(|| format!("IPAddress.networking.k8s.io {ip:?} is invalid: {list}"))
}

impl Reservation for ClusterIps {
    fn concerns(&self, kind: &Descriptor) -> bool {
        &*kind.resource == "services" && kind.gvk.group.is_empty()
    }

    fn adopt(&self, object: &Object) {
        held(object).into_iter().for_each(|ip| self.0.adopt(ip));
    }

    /// A service gets its address when it is made, or ceases to be a mere name.
    fn take(&self, new: &mut Object, old: Option<&Object>, dry_run: bool) -> Result<Taken, Refusal> {
        let errors = settle::addresses(new, old, self.family());
        if !errors.is_empty() {
            return Err(Refusal::Invalid(errors));
        }
        let none = |service: &Object| service.str_at("spec.type") == "ExternalName";
        let list: Vec<Value> = new.list_at("spec.clusterIPs").to_vec();
        let asked = list.first().and_then(Value::as_str).unwrap_or("").to_owned();
        if none(new) || old.is_some_and(|old| !none(old)) || asked == "None" {
            return Ok(Taken::nothing());
        }
        let path = Path::new("spec").child("clusterIPs");
        let refuse = |list: Vec<Value>, why: String| Refusal::Invalid(vec![Error::invalid(&path, list, why)]);
        let (ip, taken) = if asked.is_empty() {
            let full = || Refusal::Full(format!("failed to allocate a serviceIP for Service {:?}: range is full", new.name()));
            let (ip, taken) = self.take_any(dry_run).ok_or_else(full)?;
            if let Some(why) = nameless(new, &ip.to_string()).filter(|_| !dry_run) {
                return Err(refuse(vec!["".into()], format!("failed to allocate IP: {why}")));
            }
            (ip.to_string(), taken)
        } else {
            let named = |taken| nameless(new, &asked).filter(|_| !dry_run).map_or(Ok(taken), Err);
            let taken = self.take_asked(&asked, dry_run).and_then(named);
            let taken = taken.map_err(|why| refuse(list, format!("failed to allocate IP {asked}: {why}")))?;
            (asked, taken)
        };
        new.set("spec.clusterIPs", json!([ip]));
        new.set("spec.clusterIP", ip);
        Ok(taken)
    }

    fn release(&self, old: &Object, new: Option<&Object>) {
        let kept = new.map(held).unwrap_or_default();
        let gone = held(old).into_iter().filter(|ip| !kept.contains(ip));
        gone.for_each(|ip| self.0.release(ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips() -> ClusterIps {
        ClusterIps(Arc::new(Addresses::new("10.96.0.0/29".parse().expect("a range"))))
    }

    fn service(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).expect("an object")
    }

    #[test]
    fn addresses_are_given_once_and_given_back() {
        let ips = ips();
        let mut got = Vec::new();
        for _ in 0..6 {
            let mut s = service(json!({"type": "ClusterIP"}));
            ips.take(&mut s, None, false).expect("free").keep();
            got.push(s.str_at("spec.clusterIP").to_owned());
        }
        got.sort();
        assert_eq!(got, (1..7).map(|i| format!("10.96.0.{i}")).collect::<Vec<_>>());
        let refused = |spec: Value, dry_run| ips.take(&mut service(spec), None, dry_run).err().map(|e| e.to_string());
        assert_eq!(
            refused(json!({}), false).expect("full"),
            "failed to allocate a serviceIP for Service \"a\": range is full"
        );
        assert_eq!(
            refused(json!({"clusterIP": "10.96.0.3"}), false).expect("taken"),
            r#"spec.clusterIPs: Invalid value: ["10.96.0.3"]: failed to allocate IP 10.96.0.3: provided IP is already allocated"#
        );
        let mut s = service(json!({"clusterIP": "10.96.0.3"}));
        ips.release(&s, None);
        drop(ips.take(&mut s, None, false).expect("free again"));
        ips.take(&mut s, None, false).expect("an undone one is free").keep();
        let mut headless = service(json!({"clusterIP": "None"}));
        ips.take(&mut headless, None, false).expect("nothing to take").keep();
        assert_eq!(headless.list_at("spec.clusterIPs"), ["None"]);
    }

    #[test]
    fn a_service_without_a_name_gets_none() {
        let ips = ips();
        let mut nameless = Object::from_value(json!({"spec": {"clusterIP": "10.96.0.3"}})).expect("an object");
        assert_eq!(
            ips.take(&mut nameless, None, false).err().expect("refused").to_string(),
            "spec.clusterIPs: Invalid value: [\"10.96.0.3\"]: failed to allocate IP 10.96.0.3: IPAddress.networking.k8s.io \
             \"10.96.0.3\" is invalid: spec.parentRef.name: Required value"
        );
        ips.take(&mut service(json!({"clusterIP": "10.96.0.3"})), None, false).expect("given back").keep();
    }

    #[test]
    fn an_address_of_another_range() {
        let ips = ips();
        let refused = |dry_run| {
            let refused = ips.take(&mut service(json!({"clusterIP": "10.1.0.3"})), None, dry_run);
            refused.err().expect("outside").to_string()
        };
        assert!(refused(false).ends_with("the provided network does not match the current range"));
        assert!(refused(true).ends_with("is not in the valid range. The range of valid IPs is 10.96.0.0/29"));
    }

    #[test]
    fn a_dry_run_and_an_update_take_nothing() {
        let ips = ips();
        let asked = || service(json!({"clusterIP": "10.96.0.3"}));
        ips.take(&mut asked(), None, false).expect("free").keep();
        ips.take(&mut asked(), None, true).expect("not looked at").keep();
        let mut any = service(json!({}));
        ips.take(&mut any, None, true).expect("any").keep();
        assert_eq!(any.str_at("spec.clusterIP"), "10.96.0.0");
        let mut changed = service(json!({"clusterIP": "10.96.0.4", "clusterIPs": ["10.96.0.4"]}));
        ips.take(&mut changed, Some(&asked()), false).expect("validation refuses it").keep();
        ips.take(&mut service(json!({"clusterIP": "10.96.0.4"})), None, false).expect("still free").keep();
    }
}
