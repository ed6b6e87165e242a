//! A pod's spec, whoever holds it.

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use meta::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::resources::{Amounts, Side};

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One of `containers`.
    App,
    /// An init container that is always restarted: it stays beside the others.
    Sidecar,
    /// An init container that runs to its end.
    Init,
}

impl Role {
    /// Whether it runs for as long as the pod does.
    pub fn stays(self) -> bool {
        self != Role::Init
    }
}

/// A port that a container names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port<'a> {
    /// `hostIP`; empty if it is not named.
    pub host_ip: &'a str,
    /// `TCP` if it is not named.
    pub protocol: &'a str,
    /// `hostPort`; 0 if it is not named.
    pub host_port: i32,
    /// `containerPort`.
    pub container_port: i32,
}

/// The parts of a pod's spec that its meaning depends on.
pub trait Spec {
    /// As it is held.
    type Container;

    /// Containers, then init containers in their order; ephemeral ones take nothing of a node.
    fn all(&self) -> Vec<(Role, &Self::Container)>;

    /// One side of `spec.resources`, which holds for the pod as a whole; none where the field is absent.
    fn whole(&self, side: Side) -> Option<Amounts>;

    /// `spec.overhead`.
    fn overhead(&self) -> Amounts;

    /// What a container names.
    fn of(container: &Self::Container, side: Side) -> Amounts;

    /// The ports that a container names.
    fn ports(container: &Self::Container) -> Vec<Port<'_>>;
}

fn role(restart_policy: Option<&str>) -> Role {
    if restart_policy == Some("Always") { Role::Sidecar } else { Role::Init }
}

fn typed(list: Option<&BTreeMap<String, Text>>) -> Amounts {
    let parsed = |(name, text): (&String, &Text)| Some((name.clone(), Quantity::parse(&text.0).ok()?));
    list.into_iter().flatten().filter_map(parsed).collect()
}

fn side_of(resources: Option<&ResourceRequirements>, side: Side) -> Option<&BTreeMap<String, Text>> {
    match side {
        Side::Requests => resources?.requests.as_ref(),
        Side::Limits => resources?.limits.as_ref(),
    }
}

impl Spec for PodSpec {
    type Container = Container;

    fn all(&self) -> Vec<(Role, &Container)> {
        let init = self.init_containers.iter().flatten().map(|c| (role(c.restart_policy.as_deref()), c));
        self.containers.iter().map(|c| (Role::App, c)).chain(init).collect()
    }

    fn whole(&self, side: Side) -> Option<Amounts> {
        self.resources.as_ref().map(|own| typed(side_of(Some(own), side)))
    }

    fn overhead(&self) -> Amounts {
        typed(self.overhead.as_ref())
    }

    fn of(container: &Container, side: Side) -> Amounts {
        typed(side_of(container.resources.as_ref(), side))
    }

    fn ports(container: &Container) -> Vec<Port<'_>> {
        let port = |p: &'_ k8s_openapi::api::core::v1::ContainerPort| (p.host_port.unwrap_or(0), p.container_port);
        let texts = container.ports.iter().flatten().map(|p| (p.host_ip.as_deref(), p.protocol.as_deref(), port(p)));
        texts.map(Port::new).collect()
    }
}

impl<'a> Port<'a> {
    fn new((host_ip, protocol, (host_port, container_port)): (Option<&'a str>, Option<&'a str>, (i32, i32))) -> Self {
        let protocol = protocol.filter(|p| !p.is_empty()).unwrap_or("TCP");
        Port { host_ip: host_ip.unwrap_or_default(), protocol, host_port, container_port }
    }
}

fn items<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Reads a list of resources; what is no quantity is left out.
pub(crate) fn read(list: Option<&Value>) -> Amounts {
    let list = list.and_then(Value::as_object).into_iter().flatten();
    list.filter_map(|(name, v)| Some((name.clone(), Quantity::parse(v.as_str()?).ok()?))).collect()
}

impl Spec for Value {
    type Container = Value;

    fn all(&self) -> Vec<(Role, &Value)> {
        let policy = |c: &'_ Value| role(c.get("restartPolicy").and_then(Value::as_str));
        let init = items(self, "initContainers").map(|c| (policy(c), c));
        items(self, "containers").map(|c| (Role::App, c)).chain(init).collect()
    }

    fn whole(&self, side: Side) -> Option<Amounts> {
        let own = self.get("resources").filter(|own| !own.is_null())?;
        Some(read(own.get(side.field())))
    }

    fn overhead(&self) -> Amounts {
        read(self.get("overhead"))
    }

    fn of(container: &Value, side: Side) -> Amounts {
        read(container.get("resources").and_then(|r| r.get(side.field())))
    }

    fn ports(container: &Value) -> Vec<Port<'_>> {
        let number = |p: &Value, name: &str| p.get(name).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
        let port = |p: &Value| (number(p, "hostPort").unwrap_or(0), number(p, "containerPort").unwrap_or(0));
        items(container, "ports").map(|p| Port::new((text(p, "hostIP"), text(p, "protocol"), port(p)))).collect()
    }
}

fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str)
}
