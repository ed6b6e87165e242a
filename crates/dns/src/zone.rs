//! Questions and answers of the cluster's domain, as the specification (`kubernetes/dns`, schema version 1.1.0) and
//! CoreDNS' `kubernetes` plug-in have them. Pure.
//!
//! Where CoreDNS contradicts the standards, the standards win, so that nobody who keeps a denial denies too much
//! (RFC 2308, RFC 8020): a name with something below it exists (`_tcp.<service>`, `dns.<domain>`), and whether a name
//! exists does not depend on the type that is asked for (TXT, SOA).

use std::collections::HashSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use meta::Key;
use meta::selector::Labels;

use crate::world::State;

mod reverse;
mod service;

pub(crate) use reverse::address;


/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Ports and hosts.
    Srv,
    /// Names of addresses.
    Ptr,
    /// Text.
    Txt,
    /// The zone's own record.
    Soa,
    /// The zone's servers.
    Ns,
    /// The name that a name stands for.
    Cname,
    /// Anything else, which no name here has.
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
    /// An address of either family.
    Address(IpAddr),
    /// Another name.
    Cname(String),
    /// Weight, port and host.
    Srv(u16, u16, String),
    /// The name of an address.
    Ptr(String),
    /// A server of the zone.
    Ns(String),
    /// The zone's own record.
    Soa,
    /// A text.
    Txt(String),
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name exists. Records may be none: it has no record of that kind. The second list goes along (SRV: addresses).
    Found(Vec<Record>, Vec<Record>),
    /// The name is another's; addresses of the kind that was asked for are there.
    Alias(String),
    /// The name does not exist.
    NoSuchName,
    /// Not ours.
    Elsewhere,
}

/// Which pods have a name of the form `10-244-0-5.<namespace>.pod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// None.
    Disabled,
    /// Every address in a namespace that there is.
    Insecure,
    /// Those that are there.
    Verified,
}

/// What a server answers of the cluster (CoreDNS: options of the directive `kubernetes`).
#[derive(Clone, Debug)]
pub struct Options {
    /// Zones, without a dot at either end; the first that is no reverse zone is the cluster's domain.
    pub zones: Vec<String>,
    /// Seconds for which an answer, or the absence of a name, may be kept.
    pub ttl: u32,
    /// Names of pods.
    pub pods: Pods,
    /// An endpoint without a host name has its pod's name instead of its address.
    pub pod_names: bool,
    /// The only namespaces that there are, if there are any here.
    pub namespaces: HashSet<String>,
    /// Only namespaces with such labels.
    pub namespace_labels: Option<Labels>,
    /// Only services with such labels.
    pub labels: Option<Labels>,
    /// A service with a cluster address and no ready endpoint does not exist.
    pub ignore_empty: bool,
    /// Endpoints are known.
    pub endpoints: bool,
    /// Where the server listens.
    pub addresses: Vec<IpAddr>,
}

impl Options {
    /// As kubeadm configures CoreDNS, but for the time that answers may be kept.
    pub fn of(domain: &str) -> Self {
        Options {
            zones: [domain, "in-addr.arpa", "ip6.arpa"].map(str::to_owned).to_vec(),
            ttl: 5,
            pods: Pods::Insecure,
            pod_names: false,
            namespaces: HashSet::new(),
            namespace_labels: None,
            labels: None,
            ignore_empty: false,
            endpoints: true,
            addresses: Vec::new(),
        }
    }

    /// The most special of the zones that a name is in.
    pub fn zone(&self, name: &str) -> Option<&str> {
        self.zones.iter().filter(|zone| within(name, zone)).max_by_key(|zone| zone.len()).map(String::as_str)
    }

    /// The cluster's domain.
    pub fn domain(&self) -> &str {
        self.zones.iter().find(|zone| !reverse::is_zone(zone)).map_or("", String::as_str)
    }
}

/// Whether a name is that zone, or in it. Neither has a final dot.
pub fn within(name: &str, zone: &str) -> bool {
    zone.is_empty() || name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Answers a question. `name` is in lower case, without a final dot.
pub fn answer(state: &State, options: &Options, name: &str, kind: Kind) -> Answer {
    let Some(zone) = options.zone(name) else { return Answer::Elsewhere };
    let asked = Asked { state, options, zone, name, kind };
    let rest = name[..name.len() - zone.len()].trim_end_matches('.');
    if rest.is_empty() {
        return asked.apex();
    }
    if reverse::is_zone(zone) {
        return asked.pointer();
    }
    let mut labels: Vec<&str> = rest.split('.').collect();
    labels.reverse();
    match labels[..] {
        // The two branches exist, but have no records.
        ["svc" | "pod"] => Answer::nothing(),
        ["dns"] => Answer::nothing(),
        ["dns", "ns"] => asked.server(),
        ["dns-version"] => asked.only(Kind::Txt, Data::Txt("1.1.0".to_owned())),
        ["svc" | "pod", namespace, ..] if !asked.exposed(namespace) => Answer::NoSuchName,
        ["svc" | "pod", _] => Answer::nothing(),
        ["svc", namespace, service] => asked.service(namespace, service),
        ["svc", namespace, service, host] => asked.endpoint(namespace, service, host),
        ["svc", namespace, service, protocol, port] => asked.port(namespace, service, bare(protocol), bare(port)),
        ["pod", namespace, pod] | ["pod", namespace, pod, _] | ["pod", namespace, pod, _, _] => asked.pod(namespace, pod),
        _ => Answer::NoSuchName,
    }
}

impl Answer {
    /// The name exists, and has nothing of the kind.
    fn nothing() -> Self {
        Answer::Found(Vec::new(), Vec::new())
    }
}

struct Asked<'a> {
    state: &'a State,
    options: &'a Options,
    zone: &'a str,
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

    /// The addresses of the kind that is asked for.
    fn addresses(&self, all: impl IntoIterator<Item = IpAddr>) -> Vec<Record> {
        let mut wanted: Vec<IpAddr> = Vec::new();
        for address in all.into_iter().filter(|a| of_kind(*a, self.kind)) {
            if !wanted.contains(&address) {
                wanted.push(address);
            }
        }
        wanted.into_iter().map(|a| self.record(Data::Address(a))).collect()
    }

    fn exposed(&self, name: &str) -> bool {
        let only = &self.options.namespaces;
        let Some(namespace) = self.state.namespace(name).filter(|_| only.is_empty() || only.contains(name)) else {
            return false;
        };
        let labels = namespace.metadata.labels.as_ref();
        let wanted = self.options.namespace_labels.as_ref();
        wanted.is_none_or(|wanted| wanted.matches(|key| labels?.get(key).map(String::as_str)))
    }

    fn find(&self, namespace: &str, name: &str) -> Option<&Service> {
        let service = self.state.service(namespace, name)?;
        let labels = service.metadata.labels.as_ref();
        let wanted = self.options.labels.as_ref();
        let shown = wanted.is_none_or(|wanted| wanted.matches(|key| labels?.get(key).map(String::as_str)));
        shown.then_some(service)
    }

    fn apex(&self) -> Answer {
        match self.kind {
            Kind::Soa => Answer::Found(vec![self.record(Data::Soa)], Vec::new()),
            Kind::Ns => {
                let servers = self.servers();
                let mut names: Vec<&String> = servers.iter().map(|(name, _)| name).collect();
                names.dedup();
                let records = names.into_iter().map(|name| self.record(Data::Ns(name.clone()))).collect();
                let address = |(name, address): &(String, IpAddr)| Record { name: name.clone(), data: Data::Address(*address) };
                Answer::Found(records, servers.iter().map(address).collect())
            }
            _ => Answer::nothing(),
        }
    }

    /// `ns.dns.<domain>`.
    fn server(&self) -> Answer {
        Answer::Found(self.addresses(self.servers().into_iter().map(|(_, address)| address)), Vec::new())
    }

    /// The services that stand for this server, or its own addresses if there are none.
    fn servers(&self) -> Vec<(String, IpAddr)> {
        let own = &self.options.addresses;
        let mut found = Vec::new();
        for key in own.iter().flat_map(|address| self.state.by_endpoint(*address)) {
            let Some(service) = self.state.service(&key.namespace, &key.name) else { continue };
            found.extend(crate::world::cluster_ips(service).map(|ip| (self.service_name(key), ip)));
        }
        if found.is_empty() {
            found = own.iter().map(|address| (format!("ns.dns.{}", self.zone), *address)).collect();
        }
        found.sort();
        found.dedup();
        found
    }

    /// `10-244-0-5.<namespace>.pod`: the address is in the name.
    fn pod(&self, namespace: &str, pod: &str) -> Answer {
        let four = pod.matches('-').count() == 3 && !pod.contains("--");
        let address: Option<IpAddr> = pod.replace('-', if four { "." } else { ":" }).parse().ok();
        let there = |address: &IpAddr| match self.options.pods {
            Pods::Disabled => false,
            Pods::Insecure => true,
            Pods::Verified => self.state.has_pod(namespace, *address),
        };
        match address.filter(there) {
            Some(address) => Answer::Found(self.addresses([address]), Vec::new()),
            None => Answer::NoSuchName,
        }
    }

    fn service_name(&self, key: &Key) -> String {
        format!("{}.{}.svc.{}", key.name, key.namespace, self.options.domain())
    }
}

fn of_kind(address: IpAddr, kind: Kind) -> bool {
    matches!((address, kind), (IpAddr::V4(_), Kind::A) | (IpAddr::V6(_), Kind::Aaaa))
}

/// `_http` is `http`.
fn bare(label: &str) -> &str {
    label.strip_prefix('_').unwrap_or(label)
}

#[cfg(test)]
mod tests;
