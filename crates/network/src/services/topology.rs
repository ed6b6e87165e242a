//! Which endpoints of a port take connections that arrive at this node: those that are ready, of them the near ones if
//! every endpoint says for whom it is (`hints`), and for want of ready ones those that are ending but still serve
//! (upstream: `pkg/proxy/topology.go`). Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::Config;
use super::plan::End;

/// For whom an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    /// It does not say.
    Anybody,
    /// For us.
    Us,
    Others,
}

impl Hint {
    fn of<'a>(mut names: impl Iterator<Item = &'a str>, own: &str) -> Self {
        let mut said = false;
        let ours = names.any(|name| {
            said = true;
            name == own
        });
        match (said, ours) {
            (false, _) => Hint::Anybody,
            (true, true) => Hint::Us,
            (true, false) => Hint::Others,
        }
    }
}

/// An endpoint as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    end: End,
    local: bool,
    node: Hint,
    zone: Hint,
}

/// The endpoints of a port.
#[derive(Default)]
pub(super) struct Targets {
    ready: BTreeSet<Target>,
    /// They take no new connections unless nobody else does.
    ending: BTreeSet<Target>,
}

impl Targets {
    pub(super) fn of(config: &Config, slices: &[Arc<EndpointSlice>], port: &ServicePort) -> Self {
        let mut targets = Targets::default();
        for slice in slices.iter().filter(|s| is_ours(s)) {
            let named = slice.ports.iter().flatten().find(|p| {
                p.name.as_deref().unwrap_or("") == port.name.as_deref().unwrap_or("")
                    && p.protocol.as_deref().unwrap_or("TCP") == port.protocol.as_deref().unwrap_or("TCP")
            });
            let Some(number) = named.and_then(|p| u16::try_from(p.port?).ok()) else { continue };
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(target) = target(config, endpoint, number) else { continue };
                let conditions = endpoint.conditions.as_ref();
                if is_ready(endpoint) {
                    targets.ready.insert(target);
                } else if conditions.is_some_and(|c| c.serving.unwrap_or(true) && c.terminating == Some(true)) {
                    targets.ending.insert(target);
                }
            }
        }
        targets
    }

    /// For connections that may go to the whole cluster. Where all that is left is ending, nobody looks how near it is.
    pub(super) fn all(&self) -> Vec<End> {
        let near = self.near();
        let ready = ends(self.ready.iter().filter(|target| near.is_none_or(|near| near(target) == Hint::Us)));
        if ready.is_empty() { ends(self.ending.iter()) } else { ready }
    }

    /// For connections that must stay on this node; hints are nothing to them.
    pub(super) fn local(&self) -> Vec<End> {
        let ready = ends(self.ready.iter().filter(|target| target.local));
        if ready.is_empty() { ends(self.ending.iter().filter(|target| target.local)) } else { ready }
    }

    /// Whose hints count: the node's, else the zone's. They do if every ready endpoint has one, and one has ours: a
    /// hint that is missing tells of a change that is under way, and nobody is to be left without an endpoint.
    fn near(&self) -> Option<fn(&Target) -> Hint> {
        let sorts: [fn(&Target) -> Hint; 2] = [|target| target.node, |target| target.zone];
        sorts.into_iter().find(|hint| {
            let mut hints = self.ready.iter().map(hint);
            self.ready.iter().any(|target| hint(target) == Hint::Us) && hints.all(|hint| hint != Hint::Anybody)
        })
    }
}

fn target(config: &Config, endpoint: &Endpoint, port: u16) -> Option<Target> {
    let hints = endpoint.hints.as_ref();
    let nodes = hints.and_then(|h| h.for_nodes.as_ref()).into_iter().flatten().map(|node| &*node.name);
    let zones = hints.and_then(|h| h.for_zones.as_ref()).into_iter().flatten().map(|zone| &*zone.name);
    Some(Target {
        end: (endpoint.addresses.first()?.parse().ok()?, port),
        local: is_local(config, endpoint),
        node: Hint::of(nodes, &config.node),
        zone: Hint::of(zones, &config.zone),
    })
}

/// In order, each once: two objects may name one endpoint.
fn ends<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<End> {
    let mut ends: Vec<End> = targets.map(|target| target.end).collect();
    ends.dedup();
    ends
}

pub(super) fn is_ours(slice: &EndpointSlice) -> bool {
    slice.address_type == "IPv4"
}

pub(super) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true)
}

pub(super) fn is_local(config: &Config, endpoint: &Endpoint) -> bool {
    endpoint.node_name.as_deref() == Some(&config.node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Last bytes of the addresses that connections of the whole cluster go to from node `n1` in zone `z1`.
    fn chosen(zone: &str, endpoints: Value) -> Vec<u8> {
        let config = Config {
            node: "n1".to_owned(),
            names: crate::Names::first(),
            zone: zone.to_owned(),
            addresses: Vec::new(),
            cluster_range: "10.244.0.0/16".parse().expect("range"),
            service_range: "10.96.0.0/12".parse().expect("range"),
            own_ports: Vec::new(),
        };
        let slice = json!({"metadata": {}, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "", "port": 80}]});
        let slice = Arc::new(serde_json::from_value(slice).expect("a slice"));
        let all = Targets::of(&config, &[slice], &ServicePort { port: 80, ..ServicePort::default() }).all();
        all.into_iter().map(|(address, _)| address.octets()[3]).collect()
    }

    fn endpoint(last: u8, hints: &Value) -> Value {
        json!({"addresses": [format!("10.244.0.{last}")], "hints": hints})
    }

    #[test]
    fn hints_choose_the_near_endpoints_if_all_have_one_and_somebody_is_near() {
        let zone = |names: &[&str]| json!({"forZones": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
        let (here, there) = (zone(&["z0", "z1"]), zone(&["z2"]));
        let both = json!([endpoint(1, &here), endpoint(2, &there)]);
        assert_eq!(chosen("z1", both.clone()), [1]);
        assert_eq!(chosen("z3", both.clone()), [1, 2], "nobody is near");
        assert_eq!(chosen("", both), [1, 2], "the node has no zone");
        assert_eq!(chosen("z1", json!([endpoint(1, &here), endpoint(2, &json!(null))])), [1, 2], "one says nothing");
        let mut gone = endpoint(2, &json!(null));
        gone["conditions"] = json!({"ready": false});
        assert_eq!(chosen("z1", json!([endpoint(1, &here), gone])), [1], "who is not ready has no say");
    }

    #[test]
    fn a_node_is_nearer_than_a_zone() {
        let on = |node: &str, zone: &str| json!({"forNodes": [{"name": node}], "forZones": [{"name": zone}]});
        let all = json!([endpoint(1, &on("n1", "z1")), endpoint(2, &on("n2", "z1")), endpoint(3, &on("n3", "z2"))]);
        assert_eq!(chosen("z1", all), [1]);
        let others = json!([endpoint(2, &on("n2", "z1")), endpoint(3, &on("n3", "z2"))]);
        assert_eq!(chosen("z1", others), [2], "none on this node, one in its zone");
    }

    #[test]
    fn the_ending_are_taken_wherever_they_are() {
        let mut far = endpoint(2, &json!({"forZones": [{"name": "z2"}]}));
        far["conditions"] = json!({"ready": false, "terminating": true});
        let mut dead = endpoint(3, &json!(null));
        dead["conditions"] = json!({"ready": false, "serving": false, "terminating": true});
        assert_eq!(chosen("z1", json!([far, dead])), [2], "without a word it still serves");
    }
}
