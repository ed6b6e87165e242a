//! The addresses that Services can have: ranges of them, and which are taken. Pure but for a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use rand::Rng;

/// The service range of the cluster, and what ServiceCIDRs add to it.
pub(super) struct Addresses {
    own: Range,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// No more addresses are given out of the cluster's own range.
    own_ends: bool,
    /// By the names of their ServiceCIDRs.
    more: BTreeMap<String, Vec<Range>>,
    /// By Services.
    held: BTreeSet<IpAddr>,
    /// By IPAddresses that somebody has made.
    reserved: BTreeSet<IpAddr>,
}

/// Why an address cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No range has it.
    Outside,
    /// Somebody has it.
    Taken,
}

/// One range. The first address and (in IPv4) the last one are nobody's.
#[derive(Clone, Copy)]
struct Range {
    net: IpNet,
    size: u64,
    /// Below this are those that are asked for by number: others are chosen as long as there are any.
    band: u64,
}

impl Range {
    fn new(net: IpNet) -> Self {
        let bits = u32::from(net.max_prefix_len() - net.prefix_len()).min(16 + 47);
        let unusable = if net.addr().is_ipv4() { 2 } else { 1 };
        let size = (1u64 << bits).saturating_sub(unusable);
        // Upstream's static band: between 16 and 256 addresses, a 16th of the range.
        let band = (size / 16).clamp(16, 256).min(size);
        Range { net, size, band: if size > 16 { band } else { 0 } }
    }

    fn has(&self, ip: IpAddr) -> bool {
        let last = self.net.addr().is_ipv4() && ip == self.net.broadcast();
        self.net.contains(&ip) && ip != self.net.network() && !last
    }

    /// Offset 0 is the first usable address.
    fn address(&self, offset: u64) -> IpAddr {
        match self.net {
            IpNet::V4(net) => IpAddr::V4((u32::from(net.network()) + 1 + u32::try_from(offset).unwrap_or_default()).into()),
            IpNet::V6(net) => IpAddr::V6((u128::from(net.network()) + 1 + u128::from(offset)).into()),
        }
    }

    /// The first that is free after a random place.
    fn any(&self, free: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let mut rng = rand::rng();
        for offsets in [self.band..self.size, 0..self.band] {
            if offsets.is_empty() {
                continue;
            }
            let start = rng.random_range(offsets.clone());
            let found = (start..offsets.end).chain(offsets.start..start).map(|at| self.address(at)).find(|ip| free(*ip));
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

impl State {
    /// The ranges that addresses are given out of, the cluster's own first.
    fn ranges<'a>(&'a self, own: &'a Range) -> impl Iterator<Item = &'a Range> {
        Some(own).filter(|_| !self.own_ends).into_iter().chain(self.more.values().flatten())
    }

    fn is_free(&self, ip: IpAddr) -> bool {
        !self.held.contains(&ip) && !self.reserved.contains(&ip)
    }
}

impl Addresses {
    pub fn new(own: IpNet) -> Self {
        Addresses { own: Range::new(own), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster's own range.
    pub fn own(&self) -> IpNet {
        self.own.net
    }

    /// Whether it can be asked for.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.lock().ranges(&self.own).any(|range| range.has(ip))
    }

    /// Takes one by its number.
    pub fn take(&self, ip: IpAddr) -> Result<(), Refused> {
        let mut state = self.lock();
        if !state.ranges(&self.own).any(|range| range.has(ip)) {
            return Err(Refused::Outside);
        }
        if !state.is_free(ip) {
            return Err(Refused::Taken);
        }
        state.held.insert(ip);
        Ok(())
    }

    /// Takes any, of the family of the cluster's own range.
    pub fn any(&self) -> Option<IpAddr> {
        let mut state = self.lock();
        let family = |range: &&Range| range.net.addr().is_ipv4() == self.own.net.addr().is_ipv4();
        let ip = state.ranges(&self.own).filter(family).find_map(|range| range.any(|ip| state.is_free(ip)))?;
        state.held.insert(ip);
        Some(ip)
    }

    /// A Service has it already.
    pub fn adopt(&self, ip: IpAddr) {
        self.lock().held.insert(ip);
    }

    /// A Service gives it back.
    pub fn release(&self, ip: IpAddr) {
        self.lock().held.remove(&ip);
    }

    /// Somebody has made an object for it, or has taken it away.
    pub fn reserve(&self, ip: IpAddr, reserved: bool) {
        let mut state = self.lock();
        if reserved { state.reserved.insert(ip) } else { state.reserved.remove(&ip) };
    }

    /// The ranges of a ServiceCIDR: none, if no addresses are given out of it.
    pub fn ranges(&self, name: &str, nets: &[IpNet]) {
        let mut state = self.lock();
        match nets {
            [] => drop(state.more.remove(name)),
            nets => drop(state.more.insert(name.to_owned(), nets.iter().copied().map(Range::new).collect())),
        }
    }

    /// Whether addresses are given out of the cluster's own range.
    pub fn own_ends(&self, ends: bool) {
        self.lock().own_ends = ends;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_given_once_and_the_upper_ones_first() {
        let addresses = Addresses::new("10.96.0.0/27".parse().expect("a range"));
        let got: Vec<IpAddr> = std::iter::from_fn(|| addresses.any()).collect();
        let last = |ip: &IpAddr| if let IpAddr::V4(ip) = ip { ip.octets()[3] } else { 0 };
        assert!(got[..14].iter().all(|ip| last(ip) > 16) && got[14..].iter().all(|ip| last(ip) <= 16), "{got:?}");
        let mut all: Vec<u8> = got.iter().map(last).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=30).collect::<Vec<u8>>());
        addresses.release(got[3]);
        assert_eq!((addresses.any(), addresses.any()), (Some(got[3]), None));
    }

    #[test]
    fn ranges_come_and_go_and_reserved_ones_are_nobodys() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let net = |text: &str| text.parse::<IpNet>().expect("a range");
        let addresses = Addresses::new(net("10.96.0.0/30"));
        assert_eq!(addresses.take(ip("203.0.113.10")), Err(Refused::Outside));
        addresses.ranges("more", &[net("203.0.113.0/30"), net("fd00::/126")]);
        assert_eq!((addresses.take(ip("203.0.113.1")), addresses.take(ip("203.0.113.1"))), (Ok(()), Err(Refused::Taken)));
        assert_eq!(addresses.take(ip("203.0.113.0")), Err(Refused::Outside), "that of the network");
        addresses.reserve(ip("10.96.0.1"), true);
        assert_eq!(addresses.take(ip("10.96.0.1")), Err(Refused::Taken));
        let got: Vec<IpAddr> = std::iter::from_fn(|| addresses.any()).collect();
        assert_eq!(got, [ip("10.96.0.2"), ip("203.0.113.2")], "of one family, and the cluster's own first");
        addresses.reserve(ip("10.96.0.1"), false);
        addresses.own_ends(true);
        assert_eq!(addresses.any(), None);
        addresses.own_ends(false);
        assert_eq!(addresses.any(), Some(ip("10.96.0.1")));
        addresses.ranges("more", &[]);
        addresses.release(ip("203.0.113.2"));
        assert_eq!(addresses.take(ip("203.0.113.2")), Err(Refused::Outside));
    }
}
