//! Cluster IPs of Services.

use std::net::IpAddr;

use ipnet::IpNet;
use kinds::Descriptor;
use meta::Object;
use meta::field::{Error, Errors, Path, Sort};
use serde_json::{Value, json};

use super::pool::Pool;
use super::{Reservation, Taken};

/// Addresses of the service range. The first and (in IPv4) the last one are nobody's.
pub(super) struct ClusterIps {
    range: IpNet,
    pool: Pool,
}

impl ClusterIps {
    pub fn new(range: IpNet) -> Self {
        let bits = u32::from(range.max_prefix_len() - range.prefix_len()).min(16 + 47);
        let unusable = if range.addr().is_ipv4() { 2 } else { 1 };
        let size = (1u64 << bits).saturating_sub(unusable);
        // Upstream's static band: between 16 and 256 addresses, a 16th of the range.
        let band = (size / 16).clamp(16, 256).min(size);
        ClusterIps { range, pool: Pool::new(size, if size > 16 { band } else { 0 }) }
    }

    fn number(ip: IpAddr) -> u128 {
        match ip {
            IpAddr::V4(ip) => u32::from(ip).into(),
            IpAddr::V6(ip) => ip.into(),
        }
    }

    /// Offset 0 is the first usable address.
    fn offset(&self, ip: IpAddr) -> Option<u64> {
        if !self.range.contains(&ip) || ip == self.range.network() {
            return None;
        }
        let last = self.range.addr().is_ipv4() && ip == self.range.broadcast();
        let offset = Self::number(ip) - Self::number(self.range.network()) - 1;
        u64::try_from(offset).ok().filter(|_| !last)
    }

    fn address(&self, offset: u64) -> IpAddr {
        let number = Self::number(self.range.network()) + 1 + u128::from(offset);
        match self.range {
            IpNet::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or_default().into()),
            IpNet::V6(_) => IpAddr::V6(number.into()),
        }
    }

    fn take_asked(&self, text: &str) -> Result<u64, Error> {
        let path = Path::new("spec").child("clusterIPs");
        let refuse = |why: String| Error::invalid(&path, json!([text]), format!("failed to allocate IP {text}: {why}"));
        let ip: IpAddr = text.parse().map_err(|_| refuse(format!("invalid IP: {text}")))?;
        let Some(offset) = self.offset(ip) else {
            let range = self.range.trunc();
            return Err(refuse(format!("the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}")));
        };
        if self.pool.take(offset) { Ok(offset) } else { Err(refuse("provided IP is already allocated".to_owned())) }
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

/// Sets what goes with the address, as upstream's allocator does.
fn set_family(service: &mut Object, family: &str) {
    service.set_default("spec.ipFamilyPolicy", "SingleStack");
    if service.list_at("spec.ipFamilies").is_empty() {
        service.set("spec.ipFamilies", json!([family]));
    }
}

impl Reservation for ClusterIps {
    fn concerns(&self, kind: &Descriptor) -> bool {
        &*kind.resource == "services" && kind.gvk.group.is_empty()
    }

    fn adopt(&self, object: &Object) {
        held(object).into_iter().filter_map(|ip| self.offset(ip)).for_each(|offset| {
            self.pool.take(offset);
        });
    }

    fn take(&self, new: &mut Object, old: Option<&Object>) -> Result<Taken, Errors> {
        if new.str_at("spec.type") == "ExternalName" {
            return Ok(Taken::nothing());
        }
        let family = if self.range.addr().is_ipv4() { "IPv4" } else { "IPv6" };
        set_family(new, family);
        let listed = new.list_at("spec.clusterIPs").first().and_then(Value::as_str).unwrap_or("").to_owned();
        let mut asked = match new.str_at("spec.clusterIP") {
            "" => listed,
            ip => ip.to_owned(),
        };
        if asked.is_empty() {
            // An update that does not mention the address keeps it.
            asked = old.map(|o| o.str_at("spec.clusterIP").to_owned()).unwrap_or_default();
        }
        if asked == "None" {
            new.set("spec.clusterIP", "None");
            new.set("spec.clusterIPs", json!(["None"]));
            return Ok(Taken::nothing());
        }
        let kept = old.is_some_and(|o| asked.parse().is_ok_and(|ip| held(o).contains(&ip)));
        if kept {
            new.set("spec.clusterIPs", json!([asked]));
            new.set("spec.clusterIP", asked);
            return Ok(Taken::nothing());
        }
        let offset = if asked.is_empty() {
            let full = || {
                let path = Path::new("spec").child("clusterIPs");
                let why = "failed to allocate a serviceIP: range is full";
                vec![Error { sort: Sort::Internal, ..Error::invalid(&path, Value::Null, why) }]
            };
            self.pool.any().ok_or_else(full)?
        } else {
            self.take_asked(&asked).map_err(|e| vec![e])?
        };
        let ip = self.address(offset).to_string();
        new.set("spec.clusterIPs", json!([ip]));
        new.set("spec.clusterIP", ip);
        let pool = self.pool.clone();
        Ok(Taken::new(move || pool.release(offset)))
    }

    fn release(&self, old: &Object, new: Option<&Object>) {
        let kept = new.map(held).unwrap_or_default();
        let gone = held(old).into_iter().filter(|ip| !kept.contains(ip));
        gone.filter_map(|ip| self.offset(ip)).for_each(|offset| self.pool.release(offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).expect("an object")
    }

    #[test]
    fn addresses_are_given_once_and_given_back() {
        let ips = ClusterIps::new("10.96.0.0/29".parse().expect("a range"));
        let mut got = Vec::new();
        for _ in 0..6 {
            let mut s = service(json!({"type": "ClusterIP"}));
            ips.take(&mut s, None).expect("free").keep();
            got.push(s.str_at("spec.clusterIP").to_owned());
        }
        got.sort();
        assert_eq!(got, (1..7).map(|i| format!("10.96.0.{i}")).collect::<Vec<_>>());
        let mut s = service(json!({"clusterIP": "10.96.0.3"}));
        let refused = ips.take(&mut s, None).err().expect("taken")[0].to_string();
        assert_eq!(
            refused,
            r#"spec.clusterIPs: Invalid value: ["10.96.0.3"]: failed to allocate IP 10.96.0.3: provided IP is already allocated"#
        );
        ips.release(&s, None);
        drop(ips.take(&mut s, None).expect("free again"));
        ips.take(&mut s, None).expect("an undone one is free").keep();
        let mut s = service(json!({"clusterIP": "10.1.0.3"}));
        let refused = ips.take(&mut s, None).err().expect("outside")[0].to_string();
        assert!(refused.ends_with("is not in the valid range. The range of valid IPs is 10.96.0.0/29"), "{refused}");
        let mut headless = service(json!({"clusterIP": "None"}));
        ips.take(&mut headless, None).expect("nothing to take").keep();
        assert_eq!(headless.list_at("spec.clusterIPs"), ["None"]);
    }
}
