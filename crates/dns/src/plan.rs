//! From a Corefile to what each port answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::corefile::{self, Fault, Files, zones};
use crate::http::Tell;
use crate::limits::{PATTERNS, PORTS};
use crate::step::{Plan, Probe, Site};
use crate::steps::{Building, Environment};

/// A Corefile made ready.
pub(crate) struct Compiled {
    /// By port. The server's own is always there.
    pub(crate) ports: BTreeMap<u16, Arc<Plan>>,
    /// What is asked at which port as soon as it answers.
    pub(crate) probes: Vec<(u16, Probe)>,
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
    let mut ports: BTreeMap<u16, HashMap<String, Arc<Site>>> = BTreeMap::from([(environment.port, HashMap::new())]);
    let (mut taken, mut patterns, mut probes) = (HashSet::new(), PATTERNS, Vec::new());
    let (mut tells, mut lines) = (BTreeMap::new(), BTreeMap::new());
    for block in corefile::blocks(text, files)? {
        let line = block.keys.first().map_or(0, |key| key.line);
        let mut places: Vec<(String, u16)> = Vec::new();
        for word in &block.keys {
            let key = zones::key(word)?;
            // 53 is wherever this server listens.
            let port = key.port.filter(|port| *port != 53).unwrap_or(environment.port);
            for zone in key.zones {
                if !taken.insert((zone.clone(), port)) {
                    return Err(Fault::at(word.line, format!("cannot serve dns://{zone}:{port} - it is already defined")));
                }
                places.push((zone, port));
            }
        }
        let names: Vec<String> = places.iter().map(|(zone, _)| zone.clone()).collect();
        let site = Arc::new(Building::new(environment, files, &names, &mut patterns).build(&block.directives)?);
        if let Some((_, port)) = places.first() {
            probes.extend(site.probes.iter().map(|probe| (*port, probe.clone())));
        }
        for (port, tell, line) in &site.tells {
            let told: &mut Vec<Tell> = tells.entry(*port).or_default();
            if !told.contains(tell) {
                told.push(*tell);
            }
            lines.insert(*port, *line);
        }
        for (zone, port) in places {
            ports.entry(port).or_default().insert(zone, site.clone());
        }
        if ports.len() > PORTS || tells.len() > PORTS {
            return Err(Fault::at(line, format!("more than {PORTS} ports")));
        }
    }
    let clash = lines.iter().find(|(port, _)| ports.contains_key(port));
    if let Some((port, line)) = clash {
        return Err(Fault::at(*line, format!("port {port} is for questions already")));
    }
    if taken.is_empty() {
        return Err(Fault::at(1, "there is no server block"));
    }
    let plan = |sites| Arc::new(Plan { world: environment.world.clone(), sites });
    let ports = ports.into_iter().map(|(port, sites)| (port, plan(sites))).collect();
    Ok(Compiled { ports, probes, tells })
}

#[cfg(test)]
mod tests;
