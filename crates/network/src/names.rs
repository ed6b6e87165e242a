//! What the network of one cluster calls its things on the machine, where other clusters may have theirs.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::nft::{Family, TableName};

/// Letters that the name of a link may have (`IFNAMSIZ` without the end).
const LONGEST: usize = libc::IFNAMSIZ - 1;
/// Hexadecimal digits of an address.
const DIGITS: usize = 8;
/// Hexadecimal digits of the id of a cluster.
const ID: usize = 8;

/// Names of links and tables. They are recorded: pods that run have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The bridge: it has the gateway's address and no ports.
    pub bridge: String,
    /// First letters of the node's ends of the veth pairs.
    pub links: String,
    /// The table of service rules; those of the pods' addresses have `-pods` at the end.
    pub table: String,
}

impl Names {
    /// Those of the cluster with this id: eight hexadecimal digits.
    pub fn of(id: &str) -> Self {
        Names { bridge: format!("ic{id}"), links: format!("ic{id}-"), table: format!("ironclad-{id}") }
    }

    /// Those that every cluster had when a machine could have one only.
    pub fn first() -> Self {
        Names { bridge: "ironclad0".to_owned(), links: "icv".to_owned(), table: "ironclad".to_owned() }
    }

    /// The node's end of a pod's pair: as many of the last digits of its address as there is room for. The pods of a
    /// node differ in the last two.
    pub fn link(&self, address: Ipv4Addr) -> String {
        let digits = LONGEST.saturating_sub(self.links.len()).min(DIGITS);
        let address = format!("{:08x}", u32::from(address));
        format!("{}{}", self.links, &address[DIGITS - digits..])
    }

    /// Whether a link of the machine is the bridge or a pod's of any cluster.
    pub fn is_any(link: &str) -> bool {
        let is_id = |rest: &str| rest.len() == ID && rest.bytes().all(|b| b.is_ascii_hexdigit());
        Names::is_pods(link) || link == Names::first().bridge || link.strip_prefix("ic").is_some_and(is_id)
    }

    /// Whether it is a pod's of any cluster.
    pub fn is_pods(link: &str) -> bool {
        let bridge = link.split_once('-').map(|(bridge, _)| bridge);
        link.starts_with(&Names::first().links) || bridge.is_some_and(|bridge| bridge.starts_with("ic") && Names::is_any(bridge))
    }

    pub(crate) fn services(&self) -> TableName {
        TableName { family: Family::Ipv4, name: self.table.clone() }
    }

    pub(crate) fn pods(&self, family: Family) -> TableName {
        TableName { family, name: format!("{}-pods", self.table) }
    }
}

impl Default for Names {
    /// Who does not say had no choice.
    fn default() -> Self {
        Names::first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_names_fit_the_kernel_and_differ_on_a_node() {
        let address = |last| Ipv4Addr::new(10, 244, 255, last);
        assert_eq!(Names::first().link(address(254)), "icv0af4fffe");
        let names = Names::of("369aac20");
        assert_eq!(names.link(address(254)), "ic369aac20-fffe");
        assert_ne!(names.link(address(1)), names.link(address(2)));
        for names in [names, Names::first()] {
            assert!(names.link(address(254)).len() < libc::IFNAMSIZ && names.bridge.len() < libc::IFNAMSIZ);
            assert!(!names.bridge.starts_with(&names.links), "the bridge is no pod's");
        }
    }

    #[test]
    fn no_cluster_takes_anothers_links_for_its_own() {
        let all = [Names::first(), Names::of("00000000"), Names::of("00000001"), Names::of("ffffffff")];
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let link = other.link(Ipv4Addr::new(10, 244, 0, 2));
            assert_eq!(link.starts_with(&one.links), one == other, "{link} for {one:?}");
            assert!(Names::is_any(&link) && Names::is_any(&other.bridge));
            assert!(Names::is_pods(&link) && !Names::is_pods(&other.bridge));
        }
        assert!(["eth0", "ice0", "ic", "ic369aac2", "ic369aac2z", "ic369aac20x", "lo"].iter().all(|l| !Names::is_any(l)));
    }
}
