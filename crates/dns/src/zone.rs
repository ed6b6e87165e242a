//! Questions and answers of the cluster's domain, as the specification
//! (`kubernetes/dns`, schema version 1.1.0) has them. Pure.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use meta::Key;

use crate::world::{Endpoint, State, cluster_ip, dashed};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// Ports and hosts.
    Srv,
    /// Names of addresses.
    Ptr,
    /// Text.
    Txt,
    /// The zone's own record.
    Soa,
    /// Anything else, which no name here has: AAAA above all, as the cluster has IPv4 addresses.
    Other,
}

/// One record: its owner's name, and what it says. Names have no final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Owner.
    pub name: String,
    /// Content.
    pub data: Data,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    A(Ipv4Addr),
    /// Another name.
    Cname(String),
    /// A port at a host.
    Srv(u16, String),
    /// The name of an address.
    Ptr(String),
    /// A text.
    Txt(String),
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name exists. Records may be none: it has no record of that kind. The second list goes along (SRV: addresses).
    Found(Vec<Record>, Vec<Record>),
    /// The name does not exist.
    NoSuchName,
    /// Not ours.
    Elsewhere,
}

/// Answers a question. `name` is in lower case, without a final dot.
pub fn answer(state: &State, domain: &str, name: &str, kind: Kind) -> Answer {
    if let Some(address) = reverse(name) {
        return pointer(state, domain, name, address, kind);
    }
    let Some(rest) = name.strip_suffix(domain).map(|r| r.trim_end_matches('.')) else { return Answer::Elsewhere };
    if !rest.is_empty() && !name.ends_with(&format!(".{domain}")) {
        return Answer::Elsewhere;
    }
    let mut labels: Vec<&str> = rest.split('.').filter(|l| !l.is_empty()).collect();
    labels.reverse();
    let asked = Asked { state, domain, name, kind };
    match labels[..] {
        // The domain itself and the two branches exist, but have no records.
        [] | ["svc" | "pod"] => Answer::Found(Vec::new(), Vec::new()),
        ["dns-version"] => asked.only(Kind::Txt, Data::Txt("1.1.0".to_owned())),
        ["svc", namespace] | ["pod", namespace] if state.has_namespace(namespace) => {
            Answer::Found(Vec::new(), Vec::new())
        }
        ["svc", namespace, service] => asked.service(namespace, service),
        ["svc", namespace, service, protocol, port] if protocol.starts_with('_') && port.starts_with('_') => {
            asked.port(namespace, service, &protocol[1..], &port[1..])
        }
        ["svc", namespace, service, host] => asked.endpoint(namespace, service, host),
        ["pod", namespace, pod] => asked.pod(namespace, pod),
        _ => Answer::NoSuchName,
    }
}

struct Asked<'a> {
    state: &'a State,
    domain: &'a str,
    name: &'a str,
    kind: Kind,
}

impl Asked<'_> {
    fn only(&self, kind: Kind, data: Data) -> Answer {
        let records = if self.kind == kind { vec![self.record(data)] } else { Vec::new() };
        Answer::Found(records, Vec::new())
    }

    fn record(&self, data: Data) -> Record {
        Record { name: self.name.to_owned(), data }
    }

    fn service(&self, namespace: &str, name: &str) -> Answer {
        let Some(service) = self.state.service(namespace, name) else { return Answer::NoSuchName };
        if let Some(target) = external_name(service) {
            // The client follows: the other name is not ours.
            return Answer::Found(vec![self.record(Data::Cname(target))], Vec::new());
        }
        if let Some(address) = cluster_ip(service) {
            return match self.kind {
                Kind::Srv => self.ports_of(service, |_, _| true),
                _ => self.only(Kind::A, Data::A(address)),
            };
        }
        let endpoints = self.state.endpoints(&Key::new(namespace, name));
        if endpoints.is_empty() {
            return Answer::NoSuchName;
        }
        match self.kind {
            Kind::A => {
                let records = endpoints.iter().map(|e| self.record(Data::A(e.address)));
                Answer::Found(records.collect(), Vec::new())
            }
            Kind::Srv => self.ports_at(namespace, name, &endpoints, |_, _| true),
            _ => Answer::Found(Vec::new(), Vec::new()),
        }
    }

    fn port(&self, namespace: &str, name: &str, protocol: &str, port: &str) -> Answer {
        let Some(service) = self.state.service(namespace, name) else { return Answer::NoSuchName };
        let wanted = |p: &str, n: &str| p == protocol && n == port;
        let found = if cluster_ip(service).is_some() {
            self.ports_of(service, wanted)
        } else {
            self.ports_at(namespace, name, &self.state.endpoints(&Key::new(namespace, name)), wanted)
        };
        match found {
            Answer::Found(records, _) if records.is_empty() => Answer::NoSuchName,
            Answer::Found(..) if self.kind != Kind::Srv => Answer::Found(Vec::new(), Vec::new()),
            other => other,
        }
    }

    fn ports_of(&self, service: &Service, wanted: impl Fn(&str, &str) -> bool) -> Answer {
        let host = self.service_name(&client::informer::key_of(service));
        let ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
        let records: Vec<Record> = ports
            .filter(|p| wanted(&protocol(p), p.name.as_deref().unwrap_or("")))
            .filter_map(|p| Some(self.record(Data::Srv(u16::try_from(p.port).ok()?, host.clone()))))
            .collect();
        let address = cluster_ip(service).map(|ip| Record { name: host, data: Data::A(ip) });
        Answer::Found(records, address.into_iter().collect())
    }

    fn ports_at(
        &self,
        namespace: &str,
        name: &str,
        endpoints: &[Endpoint],
        wanted: impl Fn(&str, &str) -> bool,
    ) -> Answer {
        let service = self.service_name(&Key::new(namespace, name));
        let (mut records, mut addresses) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            let host = format!("{}.{service}", endpoint.host);
            for (_, _, number) in endpoint.ports.iter().filter(|(n, p, _)| wanted(p, n)) {
                records.push(self.record(Data::Srv(*number, host.clone())));
            }
            addresses.push(Record { name: host, data: Data::A(endpoint.address) });
        }
        Answer::Found(records, addresses)
    }

    fn endpoint(&self, namespace: &str, service: &str, host: &str) -> Answer {
        let key = Key::new(namespace, service);
        if self.state.service(namespace, service).is_none_or(|s| cluster_ip(s).is_some()) {
            return Answer::NoSuchName;
        }
        let mut found: Vec<Record> = Vec::new();
        for endpoint in self.state.endpoints(&key).into_iter().filter(|e| e.host == host || dashed(e.address) == host) {
            found.push(self.record(Data::A(endpoint.address)));
        }
        match (found.is_empty(), self.kind) {
            (true, _) => Answer::NoSuchName,
            (false, Kind::A) => Answer::Found(found, Vec::new()),
            (false, _) => Answer::Found(Vec::new(), Vec::new()),
        }
    }

    /// `10-244-0-5.<namespace>.pod`: the address is in the name (CoreDNS: `pods insecure`, as kubeadm sets it).
    fn pod(&self, namespace: &str, pod: &str) -> Answer {
        match pod.replace('-', ".").parse() {
            Ok(address) if self.state.has_namespace(namespace) => self.only(Kind::A, Data::A(address)),
            _ => Answer::NoSuchName,
        }
    }

    fn service_name(&self, key: &Key) -> String {
        format!("{}.{}.svc.{}", key.name, key.namespace, self.domain)
    }
}

fn pointer(state: &State, domain: &str, name: &str, address: Ipv4Addr, kind: Kind) -> Answer {
    let mut names = Vec::new();
    if let Some(key) = state.by_address(address) {
        names.push(format!("{}.{}.svc.{domain}", key.name, key.namespace));
    }
    for key in state.by_endpoint(address) {
        for endpoint in state.endpoints(key).into_iter().filter(|e| e.address == address) {
            names.push(format!("{}.{}.{}.svc.{domain}", endpoint.host, key.name, key.namespace));
        }
    }
    if names.is_empty() {
        // The address may be known to the machine's name servers.
        return Answer::Elsewhere;
    }
    let record = |target| Record { name: name.to_owned(), data: Data::Ptr(target) };
    let records = if kind == Kind::Ptr { names.into_iter().map(record).collect() } else { Vec::new() };
    Answer::Found(records, Vec::new())
}

fn reverse(name: &str) -> Option<Ipv4Addr> {
    let labels: Vec<&str> = name.strip_suffix(".in-addr.arpa")?.split('.').rev().collect();
    labels.join(".").parse().ok()
}

fn external_name(service: &Service) -> Option<String> {
    let spec = service.spec.as_ref().filter(|s| s.type_.as_deref() == Some("ExternalName"))?;
    Some(spec.external_name.as_deref()?.trim_end_matches('.').to_owned())
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
