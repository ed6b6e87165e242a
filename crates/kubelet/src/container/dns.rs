//! `/etc/resolv.conf` of a pod, by its `dnsPolicy`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use crate::spec;

/// Most name servers (upstream: `MaxDNSNameservers`).
const MAX_SERVERS: usize = 3;
/// Most search domains (upstream: `MaxDNSSearchPaths`).
const MAX_SEARCH: usize = 32;

/// A resolver configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

/// Reads a `resolv.conf`.
pub fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
            Some("search") => resolver.search = words.filter(|w| *w != ".").map(str::to_owned).collect(),
            Some("options") => resolver.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    resolver
}

/// The configuration of a pod.
pub fn resolver(pod: &Pod, host: &Resolver, cluster_dns: &[IpAddr], cluster_domain: &str) -> Resolver {
    let policy = spec::of(pod).dns_policy.as_deref().unwrap_or("ClusterFirst");
    let cluster_first = match policy {
        "ClusterFirst" => !spec::host_network(pod),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut resolver = match policy {
        "None" => Resolver::default(),
        _ if cluster_first && !cluster_dns.is_empty() => {
            let svc = format!("svc.{cluster_domain}");
            let mut search = vec![format!("{}.{svc}", spec::namespace(pod)), svc, cluster_domain.to_owned()];
            search.extend(host.search.iter().cloned());
            dedup(&mut search);
            Resolver {
                servers: cluster_dns.iter().map(ToString::to_string).collect(),
                search,
                options: vec!["ndots:5".to_owned()],
            }
        }
        _ => host.clone(),
    };
    extend(pod, &mut resolver);
    resolver.servers.truncate(MAX_SERVERS);
    resolver.search.truncate(MAX_SEARCH);
    resolver
}

/// `dnsConfig` adds servers and domains, and replaces options of the same name.
fn extend(pod: &Pod, resolver: &mut Resolver) {
    let Some(config) = &spec::of(pod).dns_config else { return };
    resolver.servers.extend(config.nameservers.iter().flatten().cloned());
    dedup(&mut resolver.servers);
    resolver.search.extend(config.searches.iter().flatten().cloned());
    dedup(&mut resolver.search);
    let name = |option: &str| option.split(':').next().unwrap_or("").to_owned();
    let mut options: BTreeMap<String, String> = resolver.options.iter().map(|o| (name(o), o.clone())).collect();
    for option in config.options.iter().flatten() {
        let Some(key) = &option.name else { continue };
        let text = option.value.as_ref().map_or(key.clone(), |value| format!("{key}:{value}"));
        options.insert(key.clone(), text);
    }
    resolver.options = options.into_values().collect();
}

fn dedup(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

/// The file's text, in upstream's order.
pub fn text(resolver: &Resolver) -> String {
    let mut lines = Vec::new();
    if !resolver.search.is_empty() {
        lines.push(format!("search {}", resolver.search.join(" ")));
    }
    lines.extend(resolver.servers.iter().map(|s| format!("nameserver {s}")));
    if !resolver.options.is_empty() {
        lines.push(format!("options {}", resolver.options.join(" ")));
    }
    lines.into_iter().map(|l| l + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies() {
        let host = parse("search corp.example\nnameserver 9.9.9.9\noptions timeout:1\n");
        let dns = ["10.96.0.10".parse().expect("address")];
        let get = |spec| text(&resolver(&spec::tests::pod(spec), &host, &dns, "cluster.local"));
        let first = "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(get(json!({"containers": []})), first);
        assert_eq!(get(json!({"containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"})), first);
        let plain = "search corp.example\nnameserver 9.9.9.9\noptions timeout:1\n";
        assert_eq!(get(json!({"containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirst"})), plain);
        assert_eq!(get(json!({"containers": [], "dnsPolicy": "Default"})), plain);
        let own = json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"],
            "searches": ["x"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}});
        assert_eq!(get(own), "search x\nnameserver 1.1.1.1\noptions edns0 ndots:2\n");
    }
}
