//! Whose certificates there are: one function each (upstream: `kubeadm/app/phases/certs`).

use std::net::IpAddr;

use crate::identity;

/// Which authority signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The cluster's.
    Cluster,
    /// That of front proxies.
    FrontProxy,
}

/// What a certificate is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To be connected to.
    Server,
    /// To connect.
    Client,
}

/// A certificate to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Who signs it.
    pub signer: Signer,
    /// What it is good for.
    pub usage: Usage,
    /// The user.
    pub common_name: String,
    /// The user's groups.
    pub organizations: Vec<String>,
    /// Names by which it is connected to.
    pub dns: Vec<String>,
    /// Addresses by which it is connected to.
    pub ips: Vec<IpAddr>,
}

impl Leaf {
    /// The API server's own port.
    pub fn api_server(node: &str, cluster_domain: &str, addresses: &[IpAddr]) -> Leaf {
        let domain = format!("kubernetes.default.svc.{cluster_domain}");
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", &domain, "localhost", node];
        server("kube-apiserver", &names, addresses)
    }

    /// A kubelet's own port.
    pub fn kubelet_server(node: &str, addresses: &[IpAddr]) -> Leaf {
        let mut leaf = server(&format!("{}{node}", identity::NODE_PREFIX), &[node, "localhost"], addresses);
        leaf.organizations = vec![identity::NODES.to_owned()];
        leaf
    }

    /// The administrator, as kubeadm's `admin.conf`: bound to `cluster-admin` by
    /// [`crate::bootstrap`], so that it can be revoked, unlike membership in `system:masters`.
    pub fn admin() -> Leaf {
        client("kubernetes-admin", &[identity::CLUSTER_ADMINS])
    }

    /// The administrator whom no policy can lock out, as kubeadm's `super-admin.conf`.
    pub fn super_admin() -> Leaf {
        client("kubernetes-super-admin", &[identity::MASTERS])
    }

    /// The API server towards kubelets.
    pub fn api_server_kubelet_client() -> Leaf {
        client("kube-apiserver-kubelet-client", &[identity::CLUSTER_ADMINS])
    }

    /// The API server towards extension API servers.
    pub fn front_proxy_client() -> Leaf {
        Leaf { signer: Signer::FrontProxy, ..client("front-proxy-client", &[]) }
    }

    /// A kubelet towards the API server.
    pub fn kubelet_client(node: &str) -> Leaf {
        client(&format!("{}{node}", identity::NODE_PREFIX), &[identity::NODES])
    }

    /// The scheduler.
    pub fn scheduler() -> Leaf {
        client(identity::SCHEDULER, &[])
    }

    /// The controllers.
    pub fn controllers() -> Leaf {
        client(identity::CONTROLLERS, &[])
    }

    /// The service proxy.
    pub fn proxy() -> Leaf {
        client(identity::PROXY, &[])
    }
}

fn client(name: &str, groups: &[&str]) -> Leaf {
    Leaf {
        signer: Signer::Cluster,
        usage: Usage::Client,
        common_name: name.to_owned(),
        organizations: groups.iter().map(|g| (*g).to_owned()).collect(),
        dns: Vec::new(),
        ips: Vec::new(),
    }
}

/// Names and addresses once each; loopback always, since a machine talks to itself by it.
fn server(name: &str, names: &[&str], addresses: &[IpAddr]) -> Leaf {
    let mut leaf = Leaf { usage: Usage::Server, ..client(name, &[]) };
    for name in names {
        if !leaf.dns.iter().any(|known| known == name) {
            leaf.dns.push((*name).to_owned());
        }
    }
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    for address in addresses.iter().chain(&loopback) {
        if !leaf.ips.contains(address) {
            leaf.ips.push(*address);
        }
    }
    leaf
}
