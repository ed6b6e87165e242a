//! `loadBalancerSourceRanges`: who comes from elsewhere does not reach the addresses of the load balancer.
//! Ports of the node are not guarded (upstream: `nftables/proxier.go`).

use std::borrow::Cow;

use super::base::GUARDED;
use super::layout::{Part, address_key, label, put};
use super::plan::PortPlan;
use crate::nft::{Field, Rule, Says, Set, Value, Verdict};

pub(super) fn part(port: &PortPlan, part: &mut Part) {
    let Some(guard) = &port.guarded else { return };
    // An address that somebody else has got is not guarded by this one.
    let addresses: Vec<_> = guard.addresses.iter().filter(|address| port.outside.contains(address)).collect();
    if addresses.is_empty() {
        return;
    }
    // Other ranges are another set: none is ever changed while packets ask it.
    let content = guard.sources.iter().flat_map(|(first, last)| [first.to_be_bytes(), last.to_be_bytes()]).flatten();
    let hash = content.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let (chain, sources) = (format!("guard-{}", label(port)), format!("sources-{}-{hash:016x}", label(port)));
    part.sets.insert(sources.clone(), Set { ranges: true, ..Set::new(&[Field::Address], Says::Nothing) });
    for (first, last) in &guard.sources {
        let mut put = |at: u32, end: bool| {
            part.elements.insert((Cow::Owned(sources.clone()), at.to_be_bytes().to_vec(), end), Value::Nothing);
        };
        put(*first, false);
        // A range to the end of all addresses is open.
        if let Some(after) = last.checked_add(1) {
            put(after, true);
        }
    }
    part.chains.insert(chain.clone(), vec![Rule::new().source_in(&sources, false).then(&Verdict::Drop)]);
    for address in addresses {
        let key = address_key(*address, port.protocol, port.port);
        put(&mut part.elements, GUARDED, key.to_vec(), Value::Verdict(Verdict::Goto(chain.clone())));
    }
}

/// Ranges in order, joined where they meet.
pub(super) fn join(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut().filter(|(_, end)| first <= end.saturating_add(1)) {
            Some((_, end)) => *end = last.max(*end),
            None => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_are_one() {
        assert_eq!(join(vec![(5, 9), (0, 3), (4, 4), (20, u32::MAX), (30, 40)]), [(0, 9), (20, u32::MAX)]);
        assert_eq!(join(vec![(0, u32::MAX), (7, 8)]), [(0, u32::MAX)]);
    }
}
