//! Ports of the node that a pod takes (upstream: `component-helpers/.../nodeports.GetUsedPorts`).

use crate::spec::{Port, Spec};

/// Those of the containers that stay, for as long as the pod runs.
pub fn on_host<S: Spec + ?Sized>(spec: &S) -> Vec<Port<'_>> {
    let staying = spec.all().into_iter().filter(|(role, _)| role.stays());
    staying.flat_map(|(_, container)| S::ports(container)).filter(|port| port.host_port > 0).collect()
}

impl Port<'_> {
    /// Whether two pods cannot both have theirs. The wildcard address collides with every one.
    pub fn collides(&self, other: &Port<'_>) -> bool {
        let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
        let same = self.host_ip == other.host_ip || any(self.host_ip) || any(other.host_ip);
        same && (self.protocol, self.host_port) == (other.protocol, other.host_port)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::json;

    use super::*;

    #[test]
    fn sidecars_have_ports_and_init_containers_have_none() {
        let c = |port: i32| json!({"name": "c", "ports": [{"containerPort": 80, "hostPort": port}, {"containerPort": 81}]});
        let mut sidecar = c(2);
        sidecar["restartPolicy"] = "Always".into();
        let spec = json!({"containers": [c(1)], "initContainers": [sidecar, c(3)]});
        let typed: PodSpec = serde_json::from_value(spec.clone()).expect("a spec");
        assert_eq!(on_host(&typed), on_host(&spec));
        assert_eq!(on_host(&spec).iter().map(|port| port.host_port).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn collisions() {
        let port = |host_ip, host_port| Port { host_ip, protocol: "TCP", host_port, container_port: 80 };
        let one = port("192.0.2.1", 80);
        let others = [port("", 80), port("0.0.0.0", 80), port("192.0.2.1", 80), port("192.0.2.2", 80), port("", 81)];
        assert_eq!(others.map(|other| one.collides(&other)), [true, true, true, false, false]);
        assert!(!one.collides(&Port { protocol: "UDP", ..one }));
    }
}
