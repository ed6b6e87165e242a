//! Names of services, of their ports and of their endpoints.

use std::collections::HashSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use meta::Key;

use super::{Answer, Asked, Data, Kind, Record};
use crate::world::{Endpoint, Port, cluster_ips, headless};

/// An address at which a port is reached, and the name of the host.
struct Place {
    host: String,
    address: IpAddr,
    /// `None`: no ports are declared.
    port: Option<u16>,
}

impl Asked<'_> {
    pub(super) fn service(&self, namespace: &str, name: &str) -> Answer {
        let Some(service) = self.find(namespace, name) else { return Answer::NoSuchName };
        match external_name(service) {
            Some(target) => self.external(target),
            None => self.places(namespace, service, |_, _| true),
        }
    }

    /// A name outside of the cluster, or another service's. (An address is no name: there is nothing to say.)
    fn external(&self, target: &str) -> Answer {
        let target = target.trim_end_matches('.').to_ascii_lowercase();
        match self.kind {
            _ if target.is_empty() || target.parse::<IpAddr>().is_ok() => Answer::NoSuchName,
            Kind::A | Kind::Aaaa => Answer::Alias(target),
            _ => self.only(Kind::Cname, Data::Cname(target)),
        }
    }

    /// `_<port>._<protocol>.<service>`. An empty one is any.
    pub(super) fn port(&self, namespace: &str, name: &str, protocol: &str, port: &str) -> Answer {
        let any = |wanted: &str, there: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(there);
        match self.find(namespace, name).filter(|service| external_name(service).is_none()) {
            Some(service) => self.places(namespace, service, |p, n| any(protocol, p) && any(port, n)),
            None => Answer::NoSuchName,
        }
    }

    /// `<endpoint>.<service>`, whether the service has an address of its own or not.
    pub(super) fn endpoint(&self, namespace: &str, name: &str, host: &str) -> Answer {
        let Some(service) = self.find(namespace, name).filter(|s| external_name(s).is_none()) else {
            return Answer::NoSuchName;
        };
        if self.hidden(namespace, service) {
            return Answer::NoSuchName;
        }
        let key = client::informer::key_of(service);
        let endpoints = self.endpoints(&key).into_iter().filter(|e| self.host(e).eq_ignore_ascii_case(host));
        let places = self.at(&key, &endpoints.collect::<Vec<_>>(), &|_, _| true);
        if !places.is_empty() {
            return self.say(places);
        }
        // Ports have names below this one.
        let protocol = host.strip_prefix('_').unwrap_or_default();
        let below = !protocol.is_empty() && self.has_protocol(&key, service, protocol);
        if below { Answer::nothing() } else { Answer::NoSuchName }
    }

    fn has_protocol(&self, key: &Key, service: &Service, wanted: &str) -> bool {
        if headless(service) {
            let ports = self.endpoints(key).into_iter().flat_map(|e| e.ports);
            return ports.into_iter().any(|p| !p.name.is_empty() && p.protocol == wanted);
        }
        let mut ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
        ports.any(|p| p.name.is_some() && protocol(p) == wanted)
    }

    fn places(&self, namespace: &str, service: &Service, wanted: impl Fn(&str, &str) -> bool) -> Answer {
        if self.hidden(namespace, service) {
            return Answer::NoSuchName;
        }
        let key = client::informer::key_of(service);
        let places = match headless(service) {
            true => self.at(&key, &self.endpoints(&key), &wanted),
            false => self.of(&key, service, &wanted),
        };
        if places.is_empty() { Answer::NoSuchName } else { self.say(places) }
    }

    /// Whether a service without endpoints is one that does not exist.
    fn hidden(&self, namespace: &str, service: &Service) -> bool {
        let key = Key::new(namespace, service.metadata.name.as_deref().unwrap_or(""));
        self.options.ignore_empty && !headless(service) && self.endpoints(&key).is_empty()
    }

    fn endpoints(&self, key: &Key) -> Vec<Endpoint> {
        if self.options.endpoints { self.state.endpoints(key) } else { Vec::new() }
    }

    /// The first label of an endpoint's name.
    pub(super) fn host(&self, endpoint: &Endpoint) -> String {
        let named = endpoint.target.as_ref().filter(|_| self.options.pod_names);
        endpoint.hostname.as_ref().or(named).cloned().unwrap_or_else(|| dashed(endpoint.address))
    }

    fn of(&self, key: &Key, service: &Service, wanted: &impl Fn(&str, &str) -> bool) -> Vec<Place> {
        let host = self.service_name(key);
        let ports: Vec<Option<u16>> = match service.spec.as_ref().and_then(|s| s.ports.as_ref()).filter(|p| !p.is_empty()) {
            None => Some(None).filter(|_| wanted("", "")).into_iter().collect(),
            Some(ports) => {
                let named = ports.iter().filter(|p| wanted(&protocol(p), p.name.as_deref().unwrap_or("")));
                named.map(|p| u16::try_from(p.port).ok()).collect()
            }
        };
        let place = |port| {
            let host = host.clone();
            cluster_ips(service).map(move |address| Place { host: host.clone(), address, port })
        };
        ports.into_iter().flat_map(place).collect()
    }

    fn at(&self, key: &Key, endpoints: &[Endpoint], wanted: &impl Fn(&str, &str) -> bool) -> Vec<Place> {
        let service = self.service_name(key);
        let mut places = Vec::new();
        for endpoint in endpoints {
            let host = format!("{}.{service}", self.host(endpoint));
            let ports = endpoint.ports.iter().filter(|p: &&Port| wanted(&p.protocol, &p.name));
            places.extend(ports.map(|p| Place { host: host.clone(), address: endpoint.address, port: p.number }));
        }
        places
    }

    fn say(&self, places: Vec<Place>) -> Answer {
        if self.kind != Kind::Srv {
            return Answer::Found(self.addresses(places.into_iter().map(|p| p.address)), Vec::new());
        }
        let weight = weight(places.len());
        let (mut records, mut more) = (Vec::new(), Vec::new());
        let (mut said, mut along) = (HashSet::new(), HashSet::new());
        for place in &places {
            let Some(port) = place.port else { continue };
            if said.insert((&place.host, port)) {
                records.push(self.record(Data::Srv(weight, port, place.host.clone())));
            }
            if along.insert((&place.host, place.address)) {
                more.push(Record { name: place.host.clone(), data: Data::Address(place.address) });
            }
        }
        Answer::Found(records, more)
    }
}

/// All weigh the same, one hundred together (CoreDNS: `plugin.SRV`).
fn weight(places: usize) -> u16 {
    u16::try_from(100 / places.max(1)).unwrap_or(1).max(1)
}

/// `10-244-0-5`: how an endpoint without a host name is called.
fn dashed(address: IpAddr) -> String {
    let name = address.to_string().replace(['.', ':'], "-");
    // A name does not end with a dash.
    if name.ends_with('-') { name + "0" } else { name }
}

fn external_name(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref().filter(|s| s.type_.as_deref() == Some("ExternalName"))?;
    Some(spec.external_name.as_deref().unwrap_or(""))
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase()
}
