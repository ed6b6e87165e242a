//! Names of a pod: its host name and `/etc/hosts`.

use std::fmt::Write;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use crate::spec;

const HEADER: &str = "# Kubernetes-managed hosts file.\n";
const HEADER_HOST_NETWORK: &str = "# Kubernetes-managed hosts file (host network).\n";
const LONGEST_HOSTNAME: usize = 63;

/// Host name and domain of a pod; an empty domain without a subdomain.
pub fn names(pod: &Pod, cluster_domain: &str) -> (String, String) {
    let spec = spec::of(pod);
    if let Some(name) = spec.hostname_override.as_deref().filter(|n| !n.is_empty()) {
        return (name.to_owned(), String::new());
    }
    let name = spec.hostname.as_deref().filter(|n| !n.is_empty()).unwrap_or(spec::name(pod));
    let name = truncated(name);
    match spec.subdomain.as_deref().filter(|s| !s.is_empty()) {
        Some(sub) => (name, format!("{sub}.{}.svc.{cluster_domain}", spec::namespace(pod))),
        None => (name, String::new()),
    }
}

/// What the pod's own kernel name is.
pub fn hostname(pod: &Pod, cluster_domain: &str, node: &str) -> String {
    if spec::host_network(pod) {
        return node.to_owned();
    }
    let (name, domain) = names(pod, cluster_domain);
    let full = spec::of(pod).set_hostname_as_fqdn == Some(true) && !domain.is_empty();
    if full { format!("{name}.{domain}") } else { name }
}

fn truncated(name: &str) -> String {
    let cut: String = name.chars().take(LONGEST_HOSTNAME).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

/// `/etc/hosts` of a pod with a network of its own.
pub fn file(pod: &Pod, ips: &[IpAddr], cluster_domain: &str) -> String {
    let (name, domain) = names(pod, cluster_domain);
    let mut text = HEADER.to_owned();
    text.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n");
    text.push_str("fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    for ip in ips {
        let _ = match domain.as_str() {
            "" => writeln!(text, "{ip}\t{name}"),
            domain => writeln!(text, "{ip}\t{name}.{domain}\t{name}"),
        };
    }
    text + &aliases(pod)
}

/// `/etc/hosts` of a pod on the node's network: the node's, and the pod's aliases.
pub fn host_network_file(pod: &Pod, node_file: &str) -> String {
    format!("{HEADER_HOST_NETWORK}{node_file}{}", aliases(pod))
}

fn aliases(pod: &Pod) -> String {
    let list = spec::of(pod).host_aliases.as_deref().unwrap_or_default();
    if list.is_empty() {
        return String::new();
    }
    let mut text = "\n# Entries added by HostAliases.\n".to_owned();
    for alias in list {
        let _ = writeln!(text, "{}\t{}", alias.ip, alias.hostnames.as_deref().unwrap_or_default().join("\t"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hosts_file_with_subdomain_and_alias() {
        let pod = spec::tests::pod(json!({"hostname": "h", "subdomain": "s", "containers": [],
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}));
        let text = file(&pod, &["10.0.0.5".parse().expect("address")], "cluster.local");
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("10.0.0.5\th.s.ns.svc.cluster.local\th\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"));
        assert_eq!(hostname(&pod, "cluster.local", "node"), "h");
    }
}
