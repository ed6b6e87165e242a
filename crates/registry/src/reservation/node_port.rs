//! Node ports of Services.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use kinds::Descriptor;
use kinds::kinds::service::{externals, settle};
use kinds::view::View;
use meta::Object;
use meta::field::{Error, Path};
use serde_json::Value;

use super::pool::Pool;
use super::{Refusal, Reservation, Taken};

/// Upstream's answer to a wish that somebody else has been granted.
const ALLOCATED: &str = "provided port is already allocated";

/// Where a dry run begins to count.
const DRY: i64 = 32_768;

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

    fn offset(&self, port: i64) -> Option<u64> {
        let port = u16::try_from(port).ok().filter(|p| self.range.contains(p))?;
        Some(u64::from(port - self.range.start()))
    }

    fn give_back(&self, ports: &[i64]) {
        ports.iter().filter_map(|p| self.offset(*p)).for_each(|p| self.pool.release(p));
    }
}

/// Ports that a service holds, each once.
fn held(service: &Object) -> Vec<i64> {
    let spec = View::of(service, "spec");
    if !externals::needs_node_port(&spec) {
        return Vec::new();
    }
    let mut held: Vec<i64> = externals::node_ports(&spec).into_iter().collect();
    held.extend(Some(spec.number("healthCheckNodePort")).filter(|p| *p != 0));
    held.sort_unstable();
    held.dedup();
    held
}

/// What one request takes. Without [`Claim::keep`] it is given back.
struct Claim<'a> {
    ports: &'a NodePorts,
    dry_run: bool,
    fresh: Vec<i64>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.dry_run {
            self.ports.give_back(&self.fresh);
        }
    }
}

impl Claim<'_> {
    /// Takes a port by its number. A dry run does not mind the range.
    fn take(&mut self, port: i64) -> Result<(), String> {
        let offset = self.ports.offset(port);
        if self.dry_run {
            if offset.is_some_and(|offset| self.ports.pool.has(offset)) || self.fresh.contains(&port) {
                return Err(ALLOCATED.to_owned());
            }
        } else {
            let (low, high) = (self.ports.range.start(), self.ports.range.end());
            let outside = || format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
            if !self.ports.pool.take(offset.ok_or_else(outside)?) {
                return Err(ALLOCATED.to_owned());
            }
        }
        self.fresh.push(port);
        Ok(())
    }

    /// Takes any port; `None` if there is none. A dry run makes one up.
    fn any(&mut self) -> Option<i64> {
        let port = if self.dry_run {
            self.fresh.iter().max().unwrap_or(&DRY) + 1
        } else {
            i64::try_from(self.ports.pool.any()?).ok()? + i64::from(*self.ports.range.start())
        };
        self.fresh.push(port);
        Some(port)
    }

    /// The port of one entry of `spec.ports` by its number; what is wrong is shown there.
    fn take_at(&mut self, index: usize, port: i64) -> Result<(), Refusal> {
        let path = Path::new("spec").child("ports").index(index).child("nodePort");
        self.take(port).map_err(|why| Refusal::Invalid(vec![Error::invalid(&path, port, why)]))
    }

    fn any_for(&mut self, what: &str) -> Result<i64, Refusal> {
        self.any().ok_or_else(|| Refusal::Full(format!("failed to allocate a {what}: range is full")))
    }

    /// Ports of a new service: entries of one port number, which differ in their protocols, share a node port.
    fn create(&mut self, service: &mut Object) -> Result<(), Refusal> {
        let allocates = settle::allocates(&View::of(service, "spec"));
        let numbers = numbers(service);
        let mut given: HashMap<i64, i64> = HashMap::new();
        for (index, (port, asked)) in numbers.iter().copied().enumerate() {
            if asked == 0 && !allocates {
                continue;
            }
            let node_port = match given.get(&port) {
                Some(shared) if asked == 0 || asked == *shared => *shared,
                Some(_) => {
                    self.take_at(index, asked)?;
                    asked
                }
                None => {
                    let named = numbers.iter().find(|(other, asked)| *other == port && *asked != 0);
                    let node_port = match named {
                        Some((_, named)) => self.take_at(index, *named).map(|()| *named)?,
                        None => self.any_for("nodePort")?,
                    };
                    *given.entry(port).or_insert(node_port)
                }
            };
            set(service, index, node_port);
        }
        Ok(())
    }

    /// Ports of a changed service: what it had it keeps.
    fn update(&mut self, service: &mut Object, old: &Object) -> Result<(), Refusal> {
        let allocates = settle::allocates(&View::of(service, "spec"));
        let kept = externals::node_ports(&View::of(old, "spec"));
        let mut seen: Vec<(String, i64)> = Vec::new();
        for (index, (_, asked)) in numbers(service).into_iter().enumerate() {
            if asked == 0 && !allocates {
                continue;
            }
            let mut node_port = asked;
            if asked == 0 {
                node_port = self.any_for("nodePort")?;
                set(service, index, node_port);
            } else if !kept.contains(&asked) && !self.fresh.contains(&asked) {
                self.take_at(index, asked)?;
            }
            let protocol = service.list_at("spec.ports")[index].get("protocol").and_then(Value::as_str).unwrap_or("").to_owned();
            if seen.contains(&(protocol.clone(), node_port)) {
                return Err(Refusal::Twice(format!("duplicate nodePort: {{{protocol} {node_port}}}")));
            }
            seen.push((protocol, node_port));
        }
        Ok(())
    }

    /// The port at which a load balancer asks for the service's health.
    fn health_check(&mut self, service: &mut Object) -> Result<(), Refusal> {
        match View::of(service, "spec").number("healthCheckNodePort") {
            0 => {
                let port = self.any_for("HealthCheck NodePort 0")?;
                service.set("spec.healthCheckNodePort", port);
                Ok(())
            }
            asked => {
                let refuse = |why| Refusal::Full(format!("failed to allocate requested HealthCheck NodePort {asked}: {why}"));
                self.take(asked).map_err(refuse)
            }
        }
    }

    fn keep(mut self) -> Taken {
        let (fresh, pool) = (std::mem::take(&mut self.fresh), self.ports.pool.clone());
        if self.dry_run {
            return Taken::nothing();
        }
        let offsets: Vec<u64> = fresh.into_iter().filter_map(|p| self.ports.offset(p)).collect();
        Taken::new(move || offsets.into_iter().for_each(|p| pool.release(p)))
    }
}

/// Port and node port of every entry; 0 where there is none.
fn numbers(service: &Object) -> Vec<(i64, i64)> {
    View::of(service, "spec").each("ports").map(|p| (p.number("port"), p.number("nodePort"))).collect()
}

fn set(service: &mut Object, index: usize, node_port: i64) {
    if let Some(slot) = service.at_mut("spec.ports").and_then(|p| p.get_mut(index)?.as_object_mut()) {
        slot.insert("nodePort".to_owned(), node_port.into());
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

    fn take(&self, new: &mut Object, old: Option<&Object>, dry_run: bool) -> Result<Taken, Refusal> {
        if let Some(old) = old {
            settle::node_ports(new, old);
        }
        let mut claim = Claim { ports: self, dry_run, fresh: Vec::new() };
        if externals::needs_node_port(&View::of(new, "spec")) {
            match old {
                Some(old) => claim.update(new, old)?,
                None => claim.create(new)?,
            }
        }
        let checks = |service: &Object| externals::needs_health_check(&View::of(service, "spec"));
        if checks(new) && !old.is_some_and(checks) {
            claim.health_check(new)?;
        }
        Ok(claim.keep())
    }

    fn release(&self, old: &Object, new: Option<&Object>) {
        let kept = new.map(held).unwrap_or_default();
        let gone: Vec<i64> = held(old).into_iter().filter(|p| !kept.contains(p)).collect();
        self.give_back(&gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(ports: Value) -> Object {
        let spec = json!({"type": "NodePort", "ports": ports});
        Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).expect("an object")
    }

    fn port(protocol: &str, port: i64, node_port: i64) -> Value {
        json!({"name": format!("{protocol}-{port}"), "protocol": protocol, "port": port, "nodePort": node_port})
    }

    fn chosen(service: &Object) -> Vec<i64> {
        numbers(service).into_iter().map(|(_, node_port)| node_port).collect()
    }

    #[test]
    fn protocols_of_one_port_share_a_node_port() {
        let ports = NodePorts::new(30000..=32767);
        let mut dns = service(json!([port("UDP", 53, 0), port("TCP", 53, 30053), port("TCP", 80, 0)]));
        ports.take(&mut dns, None, false).expect("free").keep();
        assert_eq!(chosen(&dns)[..2], [30053, 30053]);
        assert!((30000..=32767).contains(&chosen(&dns)[2]));
        ports.release(&dns, None);
        ports.take(&mut dns.clone(), None, false).expect("given back").keep();
    }

    #[test]
    fn what_cannot_be_had() {
        let ports = NodePorts::new(30000..=32767);
        ports.take(&mut service(json!([port("TCP", 80, 30080)])), None, false).expect("free").keep();
        let refused = |list: Value, old: Option<&Object>, dry_run| {
            ports.take(&mut service(list), old, dry_run).err().map(|e| e.to_string()).unwrap_or_default()
        };
        let taken = "spec.ports[1].nodePort: Invalid value: 30080: provided port is already allocated";
        let outside = "spec.ports[0].nodePort: Invalid value: -1: provided port is not in the valid range. The range of valid \
                       ports is 30000-32767";
        let two = json!([port("TCP", 81, 30081), port("TCP", 82, 30080)]);
        assert_eq!((refused(two.clone(), None, false), refused(two, None, true)), (taken.to_owned(), taken.to_owned()));
        assert_eq!(refused(json!([port("TCP", 81, -1)]), None, false), outside);
        assert_eq!(refused(json!([port("TCP", 81, 99)]), None, true), "");
        let old = service(json!([port("TCP", 80, 30080)]));
        let twice = json!([port("TCP", 80, 30080), port("TCP", 81, 30080)]);
        assert_eq!(refused(twice, Some(&old), false), "duplicate nodePort: {TCP 30080}");
        ports.take(&mut service(json!([port("TCP", 81, 30081)])), None, false).expect("every refusal gave all back").keep();
    }

    #[test]
    fn a_dry_run_makes_ports_up() {
        let ports = NodePorts::new(30000..=32767);
        let mut dry = service(json!([port("TCP", 80, 0), port("TCP", 81, 0)]));
        ports.take(&mut dry, None, true).expect("nothing is taken").keep();
        assert_eq!(chosen(&dry), [32769, 32770]);
    }
}
