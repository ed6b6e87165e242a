//! Ranges of addresses: which cannot be a cluster's, and whose they are already.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use ipnet::Ipv4Net;
use network::Names;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrIn;

use super::Options;
use crate::clusters;
use crate::out;

/// What means something else everywhere (IANA's special purpose registry).
const SPECIAL: [(Ipv4Net, &str); 5] = [
    (Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8), "addresses of \"this network\""),
    (Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8), "loopback addresses"),
    (Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16), "link-local addresses"),
    (Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4), "multicast addresses"),
    (Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4), "reserved addresses"),
];
/// Where other ranges are looked for.
const PRIVATE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);

/// Of clusters that had no choice.
const FIRST_NODE_PORTS: (u16, u16) = (30000, 32767);

/// What the machine has.
#[derive(Default)]
struct Present {
    /// Ranges of other clusters, and whose they are.
    clusters: Vec<(Ipv4Net, String)>,
    /// Addresses of links that are no cluster's.
    addresses: Vec<(Ipv4Addr, String)>,
}

/// Refuses ranges that cannot be.
pub fn check(options: &Options) -> Result<()> {
    let others = clusters::beside(&options.dirs);
    if let Some(other) = others.iter().find(|other| other.settings.names == options.dirs.names) {
        bail!(
            "the pods of {} are at links of the same names as those in {}, as all had once: end one of the two with \
             `ironclad down --data-dir {}`; what it starts then has names of its own",
            other.whose(),
            options.dirs.data.display(),
            options.dirs.data.display()
        );
    }
    let pods = || std::fs::read_dir(options.dirs.run.join("pods")).is_ok_and(|mut pods| pods.next().is_some());
    let kept = options.dirs.settings().map(|s| [s.pod_network, s.service_network]).filter(|_| pods());
    let clusters = others.iter().flat_map(|other| other.ranges().map(|range| (range, other.whose()))).collect();
    decide(options.pod_network, options.service_network, kept, &Present { clusters, addresses: addresses() })
}

/// Ports of the node are the machine's. Who comes first has one, and nobody is told: this is to be known before.
pub fn tell_node_ports(options: &Options) {
    let overlaps = |(first, last): (u16, u16)| first <= *options.node_ports.end() && *options.node_ports.start() <= last;
    let others = clusters::beside(&options.dirs);
    if let Some(other) = others.iter().find(|other| overlaps(other.settings.node_ports.unwrap_or(FIRST_NODE_PORTS))) {
        out::line(format_args!(
            "          node ports are those of {}, too: of two Services with the same one, one is not reached by it; \
             --service-node-port-range gives each cluster its own",
            other.whose()
        ));
    }
}

fn addresses() -> Vec<(Ipv4Addr, String)> {
    let links = getifaddrs().into_iter().flatten().filter(|link| !Names::is_any(&link.interface_name));
    links.filter_map(|link| Some((link.address?.as_sockaddr_in().map(SockaddrIn::ip)?, link.interface_name))).collect()
}

/// `kept`: those of pods that run.
fn decide(pods: Ipv4Net, services: Ipv4Net, kept: Option<[Ipv4Net; 2]>, present: &Present) -> Result<()> {
    let all = [("pod", pods, "--pod-network-cidr"), ("service", services, "--service-cidr")];
    for (what, range, flag) in all {
        if let Some((_, why)) = SPECIAL.iter().find(|(special, _)| overlap(*special, range)) {
            bail!("the {what} network {range} has {why}: choose another with {flag}");
        }
        if range.prefix_len() > 28 {
            bail!("the {what} network {range} is too small: a prefix length of 28 or less leaves room; choose it with {flag}");
        }
    }
    if overlap(pods, services) {
        bail!(
            "the pod network {pods} and the service network {services} overlap: choose others with \
             --pod-network-cidr and --service-cidr"
        );
    }
    if let Some([old_pods, old_services]) = kept.filter(|kept| *kept != [pods, services]) {
        bail!(
            "pods of this cluster run with addresses of {old_pods} and services of {old_services}: start it with \
             --pod-network-cidr {old_pods} --service-cidr {old_services}, or end the pods with `ironclad down` first"
        );
    }
    others(all, present)
}

fn others(all: [(&str, Ipv4Net, &str); 2], present: &Present) -> Result<()> {
    let mut avoid: Vec<Ipv4Net> = present.clusters.iter().map(|(range, _)| *range).collect();
    avoid.extend(present.addresses.iter().map(|(address, _)| Ipv4Net::from(*address)));
    avoid.extend(all.map(|(_, range, _)| range));
    let (mut taken, mut flags, mut whose) = (Vec::new(), Vec::new(), None);
    for (what, range, flag) in all {
        let cluster = present.clusters.iter().find(|(other, _)| overlap(*other, range)).map(|(_, whose)| whose.clone());
        let address = present.addresses.iter().find(|(address, _)| range.contains(address));
        let address = address.map(|(address, link)| format!("the link {link} with the address {address}"));
        if let Some(found) = cluster.or(address) {
            let free = free(range, &avoid).map(|range| format!(" {range}")).unwrap_or_default();
            taken.push(format!("the {what} network {range}"));
            flags.push(format!("{flag}{free}"));
            whose.get_or_insert(found);
        }
    }
    let Some(whose) = whose else { return Ok(()) };
    let verb = if taken.len() == 1 { "is" } else { "are" };
    bail!("{} {verb} in use by {whose}: choose another, for example {}", taken.join(" and "), flags.join(" "))
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// The next private range of the same size that nobody has.
fn free(wanted: Ipv4Net, avoid: &[Ipv4Net]) -> Option<Ipv4Net> {
    let (prefix, step) = (wanted.prefix_len(), 1_u32.checked_shl(32 - u32::from(wanted.prefix_len().min(16)))?);
    let first = u32::from(PRIVATE.network());
    let offset = u32::from(wanted.network()).wrapping_sub(first);
    let size = 1_u32 << (32 - u32::from(PRIVATE.prefix_len()));
    let starts = (1..=size / step).map(|n| first + offset.wrapping_add(n.wrapping_mul(step)) % size / step * step);
    let ranges = starts.map(|start| Ipv4Net::new_assert(start.into(), prefix));
    ranges.into_iter().find(|range| PRIVATE.contains(range) && !avoid.iter().any(|other| overlap(*other, *range)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a range")
    }

    fn words(pods: &str, services: &str, kept: Option<[&str; 2]>, present: &Present) -> String {
        let decided = decide(net(pods), net(services), kept.map(|kept| kept.map(net)), present);
        decided.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn ranges_with_a_meaning_of_their_own_are_refused() {
        let none = Present::default();
        for (range, why) in [
            ("127.0.0.0/8", "loopback"),
            ("127.5.0.0/16", "loopback"),
            ("224.0.0.0/16", "multicast"),
            ("169.254.7.0/24", "link-local"),
            ("0.0.0.0/0", "this network"),
            ("255.255.0.0/16", "reserved"),
        ] {
            assert!(words(range, "10.96.0.0/12", None, &none).contains(why), "{range}");
            let said = words("10.244.0.0/16", range, None, &none);
            assert!(said.contains(why) && said.contains("--service-cidr"), "{range}: {said}");
        }
        assert_eq!(words("10.244.0.0/16", "10.96.0.0/12", None, &none), "");
        assert!(words("10.96.0.0/16", "10.96.0.0/12", None, &none).contains("overlap: choose others"));
        assert!(words("10.244.0.0/29", "10.96.0.0/12", None, &none).contains("28 or less"));
    }

    #[test]
    fn what_another_has_is_refused_with_whose_it_is_and_what_is_free() {
        let whose = "the cluster in /data (process 7)".to_owned();
        let clusters = vec![(net("10.244.0.0/16"), whose.clone()), (net("10.96.0.0/12"), whose)];
        let mut present = Present { clusters, addresses: vec![("10.245.3.4".parse().expect("one"), "eth0".to_owned())] };
        assert_eq!(
            words("10.244.0.0/16", "10.96.0.0/12", None, &present),
            "the pod network 10.244.0.0/16 and the service network 10.96.0.0/12 are in use by the cluster in /data \
             (process 7): choose another, for example --pod-network-cidr 10.246.0.0/16 --service-cidr 10.112.0.0/12"
        );
        assert_eq!(words("10.245.0.0/24", "10.112.0.0/12", None, &present), "", "beside the address");
        let said = words("10.245.0.0/16", "10.112.0.0/12", None, &present);
        assert!(said.contains("the link eth0 with the address 10.245.3.4") && said.contains("10.246.0.0/16"), "{said}");
        present.clusters.clear();
        assert_eq!(words("10.244.0.0/16", "10.96.0.0/12", None, &present), "");
    }

    #[test]
    fn pods_that_run_keep_their_range() {
        let none = Present::default();
        let kept = Some(["10.244.0.0/16", "10.96.0.0/12"]);
        assert_eq!(words("10.244.0.0/16", "10.96.0.0/12", kept, &none), "");
        let said = words("10.1.0.0/16", "10.96.0.0/12", kept, &none);
        assert!(said.contains("--pod-network-cidr 10.244.0.0/16 --service-cidr 10.96.0.0/12"), "{said}");
    }

    #[test]
    fn a_free_range_is_found_anywhere() {
        assert_eq!(free(net("10.255.0.0/16"), &[net("10.255.0.0/16")]), Some(net("10.0.0.0/16")));
        assert_eq!(free(net("192.168.0.0/16"), &[]).map(|range| PRIVATE.contains(&range)), Some(true));
        assert_eq!(free(net("10.244.0.0/16"), &[PRIVATE]), None);
        assert_eq!(free(net("10.0.0.0/8"), &[PRIVATE]), None);
    }
}
