//! Environment variables that tell pods of services (upstream: `envvars`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;

/// Variables for a pod in `namespace`; without `links` only those of the API server's service.
pub fn variables<'a>(
    services: impl Iterator<Item = &'a Arc<Service>>, namespace: &str, links: bool,
) -> BTreeMap<String, String> {
    let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let of = service.metadata.namespace.as_deref().unwrap_or("");
        let name = service.metadata.name.as_deref().unwrap_or("");
        if !has_address(service) {
            continue;
        }
        if of == "default" && name == "kubernetes" {
            chosen.entry(name).or_insert(service);
        } else if of == namespace && links {
            chosen.insert(name, service);
        }
    }
    chosen.into_values().flat_map(of_service).collect()
}

fn has_address(service: &Service) -> bool {
    let ip = service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref());
    ip.is_some_and(|ip| !ip.is_empty() && ip != "None")
}

fn of_service(service: &Service) -> Vec<(String, String)> {
    let upper = |s: &str| s.to_uppercase().replace('-', "_");
    let prefix = upper(service.metadata.name.as_deref().unwrap_or(""));
    let Some(spec) = &service.spec else { return Vec::new() };
    let ip = spec.cluster_ip.clone().unwrap_or_default();
    let mut list = vec![(format!("{prefix}_SERVICE_HOST"), ip.clone())];
    for (i, port) in spec.ports.iter().flatten().enumerate() {
        let number = port.port.to_string();
        if i == 0 {
            list.push((format!("{prefix}_SERVICE_PORT"), number.clone()));
        }
        if let Some(name) = port.name.as_deref().filter(|n| !n.is_empty()) {
            list.push((format!("{prefix}_SERVICE_PORT_{}", upper(name)), number.clone()));
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let lower = protocol.to_lowercase();
        let address = match ip.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => format!("[{v6}]:{number}"),
            _ => format!("{ip}:{number}"),
        };
        let url = format!("{lower}://{address}");
        if i == 0 {
            list.push((format!("{prefix}_PORT"), url.clone()));
        }
        let port_prefix = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        list.push((format!("{port_prefix}_PROTO"), lower));
        list.push((format!("{port_prefix}_PORT"), number));
        list.push((format!("{port_prefix}_ADDR"), ip.clone()));
        list.push((port_prefix, url));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_values() {
        let service = |ns: &str, name: &str, ip: &str| -> Arc<Service> {
            Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "namespace": ns},
                "spec": {"clusterIP": ip, "ports": [{"port": 443, "name": "https", "protocol": "TCP"}]}}))
                .expect("service"))
        };
        let all = [service("default", "kubernetes", "10.96.0.1"), service("ns", "my-db", "10.96.0.2"), service("ns", "h", "None")];
        let without = variables(all.iter(), "ns", false);
        assert_eq!(without["KUBERNETES_SERVICE_HOST"], "10.96.0.1");
        assert_eq!(without["KUBERNETES_SERVICE_PORT_HTTPS"], "443");
        assert_eq!(without["KUBERNETES_PORT_443_TCP"], "tcp://10.96.0.1:443");
        assert!(!without.contains_key("MY_DB_SERVICE_HOST"));
        assert_eq!(variables(all.iter(), "ns", true)["MY_DB_PORT"], "tcp://10.96.0.2:443");
    }
}
