//! The objects by which cluster DNS is found.

use meta::Object;
use serde_json::json;

use super::Options;
use super::machine::gateway;

/// The Service that clients know cluster DNS by; it is answered at the pods' gateway, by this process.
pub fn objects(options: &Options) -> Vec<Object> {
    let ports = |target: &str| {
        let port = |name: &str, protocol: &str| json!({"name": name, "port": 53, "protocol": protocol, target: 53});
        json!([port("dns", "UDP"), port("dns-tcp", "TCP")])
    };
    let labels = json!({"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
        "spec": {"clusterIP": options.dns().to_string(), "ports": ports("targetPort")},
    });
    let labels = json!({"kubernetes.io/service-name": "kube-dns", "endpointslice.kubernetes.io/managed-by": "ironclad"});
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
        "addressType": "IPv4", "ports": ports("port"),
        "endpoints": [{"addresses": [gateway(options).to_string()], "conditions": {"ready": true}}],
    });
    [service, slice].into_iter().filter_map(|tree| Object::from_value(tree).ok()).collect()
}
