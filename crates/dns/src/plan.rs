//! From a Corefile to what each address answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::corefile::{self, Block, Fault, Files, zones};
use crate::http::Tell;
use crate::limits::{PATTERNS, PORTS};
use crate::step::{Plan, Probe, Site};
use crate::steps::{Building, Environment, bind};

/// A Corefile made ready.
pub(crate) struct Compiled {
    /// By the address that is listened at. The server's own is always there.
    pub(crate) sockets: BTreeMap<SocketAddr, Arc<Plan>>,
    /// What is asked at which address as soon as it answers.
    pub(crate) probes: Vec<(SocketAddr, Probe)>,
    /// What is told over HTTP, by port.
    pub(crate) tells: BTreeMap<u16, Vec<Tell>>,
}

/// The Corefile of a cluster that has none: as kubeadm's, without the ports for probes and metrics, and without `loop`: the
/// machine's name servers are never ourselves.
pub(crate) fn default(domain: &str) -> String {
    format!(
        ". {{
    errors
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    forward . /etc/resolv.conf
    cache 30
    reload
    loadbalance
}}
"
    )
}

/// Makes a Corefile ready. Nothing of it is in force when something is refused.
pub(crate) fn compile(text: &str, files: &Files, environment: &Environment) -> Result<Compiled, Fault> {
    let own = SocketAddr::new(environment.address, environment.port);
    let blocks = corefile::blocks(text, files)?;
    let places = places(&blocks, environment)?;
    let mut sockets: BTreeMap<SocketAddr, HashMap<String, Arc<Site>>> = BTreeMap::from([(own, HashMap::new())]);
    sockets.extend(places.iter().flat_map(|place| &place.addresses).map(|address| (*address, HashMap::new())));
    let ourselves: Vec<SocketAddr> = sockets.keys().copied().collect();
    let (mut patterns, mut probes) = (PATTERNS, Vec::new());
    let (mut tells, mut lines) = (BTreeMap::new(), BTreeMap::new());
    for (block, place) in blocks.iter().zip(places) {
        let building = Building {
            environment,
            files,
            zones: &place.zones,
            addresses: &place.addresses,
            ourselves: &ourselves,
            directives: &block.directives,
            site: Site::default(),
            patterns: &mut patterns,
        };
        let site = Arc::new(building.build()?);
        if let Some(address) = place.addresses.first() {
            probes.extend(site.probes.iter().map(|probe| (*address, probe.clone())));
        }
        for (port, tell, line) in &site.tells {
            let told: &mut Vec<Tell> = tells.entry(*port).or_default();
            if !told.contains(tell) {
                told.push(*tell);
            }
            lines.insert(*port, *line);
        }
        for (zone, address) in place.served {
            sockets.entry(address).or_default().insert(zone, site.clone());
        }
        if sockets.len() > PORTS || tells.len() > PORTS {
            return Err(Fault::at(place.line, format!("more than {PORTS} ports")));
        }
    }
    let clash = lines.iter().find(|(port, _)| sockets.contains_key(&SocketAddr::new(environment.address, **port)));
    if let Some((port, line)) = clash {
        return Err(Fault::at(*line, format!("port {port} is for questions already")));
    }
    if blocks.is_empty() {
        return Err(Fault::at(1, "there is no server block"));
    }
    let plan = |sites| Arc::new(Plan { world: environment.world.clone(), sites });
    let sockets = sockets.into_iter().map(|(address, sites)| (address, plan(sites))).collect();
    Ok(Compiled { sockets, probes, tells })
}

/// What one server block answers, and where.
struct Place {
    line: usize,
    /// Its zones.
    zones: Vec<String>,
    addresses: Vec<SocketAddr>,
    /// Each zone, where it is served.
    served: Vec<(String, SocketAddr)>,
}

/// Where each server block is listened at. No zone is served twice at one place.
fn places(blocks: &[Block], environment: &Environment) -> Result<Vec<Place>, Fault> {
    let (mut taken, mut places) = (HashSet::new(), Vec::new());
    for block in blocks {
        let line = block.keys.first().map_or(0, |key| key.line);
        let hosts = bind::addresses(environment, &block.directives)?;
        let mut place = Place { line, zones: Vec::new(), addresses: Vec::new(), served: Vec::new() };
        for word in &block.keys {
            let key = zones::key(word)?;
            // 53 is wherever this server listens.
            let port = key.port.filter(|port| *port != 53).unwrap_or(environment.port);
            for (zone, host) in key.zones.iter().flat_map(|zone| hosts.iter().map(move |host| (zone, *host))) {
                let mut address = host;
                address.set_port(port);
                if !taken.insert((zone.clone(), address)) {
                    let on = if address.ip() == environment.address { String::new() } else { format!(" on {}", address.ip()) };
                    let why = format!("cannot serve dns://{zone}:{port}{on} - it is already defined");
                    return Err(Fault::at(word.line, why));
                }
                if !place.addresses.contains(&address) {
                    place.addresses.push(address);
                }
                place.served.push((zone.clone(), address));
            }
            place.zones.extend(key.zones);
        }
        places.push(place);
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
