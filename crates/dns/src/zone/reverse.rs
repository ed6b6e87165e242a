//! Names of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Answer, Asked, Data, Kind};

/// Whether names of addresses are in that zone.
pub(super) fn is_zone(zone: &str) -> bool {
    super::within(zone, "in-addr.arpa") || super::within(zone, "ip6.arpa")
}

/// The address that a name stands for.
pub(crate) fn address(name: &str) -> Option<IpAddr> {
    if let Some(rest) = name.strip_suffix(".in-addr.arpa") {
        let labels: Vec<&str> = rest.split('.').rev().collect();
        return labels.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let labels: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').rev().collect();
    let digits = labels.iter().filter(|l| l.len() == 1).map(|l| u8::from_str_radix(l, 16).ok());
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    if (digits.len(), labels.len()) != (32, 32) {
        return None;
    }
    let number = digits.iter().fold(0, |number: u128, digit| number << 4 | u128::from(*digit));
    Some(IpAddr::V6(Ipv6Addr::from(number)))
}

impl Asked<'_> {
    /// The service that has the address, else the endpoints that have it.
    pub(super) fn pointer(&self) -> Answer {
        let Some(address) = address(self.name) else { return Answer::NoSuchName };
        let shown = |namespace: &str| self.options.namespaces.is_empty() || self.exposed(namespace);
        let mut names = Vec::new();
        if let Some(key) = self.state.by_address(address).filter(|key| shown(&key.namespace)) {
            names.push(self.service_name(key));
        } else if self.options.endpoints {
            for key in self.state.by_endpoint(address).iter().filter(|key| shown(&key.namespace)) {
                for endpoint in self.state.endpoints(key).iter().filter(|e| e.address == address) {
                    let name = format!("{}.{}", self.host(endpoint), self.service_name(key));
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        if names.is_empty() {
            return Answer::NoSuchName;
        }
        let records = names.into_iter().filter(|_| self.kind == Kind::Ptr).map(|name| self.record(Data::Ptr(name)));
        Answer::Found(records.collect(), Vec::new())
    }
}
