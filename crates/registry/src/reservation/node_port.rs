//! Node ports of Services.

use std::ops::RangeInclusive;

use kinds::Descriptor;
use meta::Object;
use meta::field::{Error, Errors, Path};
use serde_json::Value;

use super::pool::Pool;
use super::{Reservation, Taken};

/// Ports of one range; TCP and UDP may share a number within one Service.
pub(super) struct NodePorts {
    range: RangeInclusive<u16>,
    pool: Pool,
}

impl NodePorts {
    pub fn new(range: RangeInclusive<u16>) -> Self {
        let size = u64::from(*range.end()) + 1 - u64::from(*range.start());
        // Upstream's static band: between 16 and 128 ports, a 32nd of the range.
        let band = (size / 32).clamp(16, 128).min(size);
        NodePorts { range, pool: Pool::new(size, if size > 16 { band } else { 0 }) }
    }

    fn take_port(&self, port: u64, path: &Path, value: u64) -> Result<(), Error> {
        let Some(offset) = self.offset(port) else {
            let (low, high) = (self.range.start(), self.range.end());
            let why = format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
            return Err(Error::invalid(path, value, why));
        };
        if self.pool.take(offset) { Ok(()) } else { Err(Error::invalid(path, value, "provided port is already allocated")) }
    }

    fn offset(&self, port: u64) -> Option<u64> {
        let port = u16::try_from(port).ok().filter(|p| self.range.contains(p))?;
        Some(u64::from(port - self.range.start()))
    }
}

fn wants_ports(service: &Object) -> bool {
    match service.str_at("spec.type") {
        "NodePort" => true,
        "LoadBalancer" => service.bool_at("spec.allocateLoadBalancerNodePorts").unwrap_or(true),
        _ => false,
    }
}

/// Ports that a service holds, each once.
fn held(service: &Object) -> Vec<u64> {
    if !matches!(service.str_at("spec.type"), "NodePort" | "LoadBalancer") {
        return Vec::new();
    }
    let ports = service.list_at("spec.ports").iter().filter_map(|p| p.get("nodePort")?.as_u64());
    let check = service.at("spec.healthCheckNodePort").and_then(Value::as_u64);
    let mut held: Vec<u64> = ports.chain(check).filter(|p| *p != 0).collect();
    held.sort_unstable();
    held.dedup();
    held
}

impl NodePorts {
    /// Takes one port of `spec.ports`. Another protocol on the same port number of the service shares its node port.
    fn take_one(&self, new: &Object, index: usize, kept: &[u64], fresh: &mut Vec<u64>) -> Result<Option<u64>, Error> {
        let ports = new.list_at("spec.ports");
        let path = Path::new("spec").child("ports").index(index).child("nodePort");
        let number = |port: &Value, field: &str| port.get(field).and_then(Value::as_u64).unwrap_or(0);
        let wanted = number(&ports[index], "nodePort");
        if wanted != 0 {
            if !kept.contains(&wanted) && !fresh.contains(&wanted) {
                self.take_port(wanted, &path, wanted)?;
                fresh.push(wanted);
            }
            return Ok(None);
        }
        if !wants_ports(new) {
            return Ok(None);
        }
        let same = ports[..index].iter().find(|p| {
            number(p, "port") == number(&ports[index], "port") && p.get("protocol") != ports[index].get("protocol")
        });
        if let Some(port) = same.map(|p| number(p, "nodePort")).filter(|p| *p != 0) {
            return Ok(Some(port));
        }
        let Some(offset) = self.pool.any() else {
            let why = "failed to allocate a nodePort: range is full";
            return Err(Error { sort: meta::field::Sort::Internal, ..Error::invalid(&path, Value::Null, why) });
        };
        let port = offset + u64::from(*self.range.start());
        fresh.push(port);
        Ok(Some(port))
    }
}

impl Reservation for NodePorts {
    fn concerns(&self, kind: &Descriptor) -> bool {
        &*kind.resource == "services" && kind.gvk.group.is_empty()
    }

    fn adopt(&self, object: &Object) {
        held(object).into_iter().filter_map(|p| self.offset(p)).for_each(|p| {
            self.pool.take(p);
        });
    }

    fn take(&self, new: &mut Object, old: Option<&Object>) -> Result<Taken, Errors> {
        if !matches!(new.str_at("spec.type"), "NodePort" | "LoadBalancer") {
            return Ok(Taken::nothing());
        }
        let kept = old.map(held).unwrap_or_default();
        let mut fresh: Vec<u64> = Vec::new();
        let undo = |fresh: Vec<u64>| {
            let pool = self.pool.clone();
            let offsets: Vec<u64> = fresh.into_iter().filter_map(|p| self.offset(p)).collect();
            Taken::new(move || offsets.into_iter().for_each(|p| pool.release(p)))
        };
        for index in 0..new.list_at("spec.ports").len() {
            match self.take_one(new, index, &kept, &mut fresh) {
                Ok(Some(port)) => {
                    if let Some(slot) = new.at_mut("spec.ports").and_then(|p| p.get_mut(index)?.as_object_mut()) {
                        slot.insert("nodePort".to_owned(), port.into());
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    drop(undo(fresh));
                    return Err(vec![error]);
                }
            }
        }
        Ok(undo(fresh))
    }

    fn release(&self, old: &Object, new: Option<&Object>) {
        let kept = new.map(held).unwrap_or_default();
        held(old).into_iter().filter(|p| !kept.contains(p)).filter_map(|p| self.offset(p)).for_each(|p| self.pool.release(p));
    }
}
