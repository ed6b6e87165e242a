//! Rules that ask maps and sets.
//!
//! A key or a value lies in four-byte registers one after the other, as the set's description has it. A key is made
//! of the packet and a random number alone: what a map says is never a part of another key, because the `nft` program
//! (1.0.6) ends in the middle of any listing when it meets that.

use super::rule::{Register, Rule};
use super::wire::Attributes;

/// Where the key of a packet starts.
const KEY: Register = Register(0);
/// Where what a map says of the key starts.
const FOUND: Register = Register(4);

/// How a packet names a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Entry {
    /// Destination address, protocol, port.
    Address,
    /// Protocol and port alone, at any address of the node.
    Port,
}

/// Which endpoints a choice is made among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Number of the first.
    pub(crate) first: u32,
    /// How many; at least one.
    pub(crate) count: u32,
}

impl Rule {
    /// The key, and the register after it.
    fn key(self, entry: Entry) -> (Self, Register) {
        match entry {
            Entry::Address => {
                (self.payload(1, 16, 4, KEY).meta(16, Register(1)).payload(2, 2, 2, Register(2)), Register(3))
            }
            Entry::Port => (self.meta(16, KEY).payload(2, 2, 2, Register(1)), Register(2)),
        }
    }

    /// The verdict that a map has for the packet.
    pub(crate) fn verdict_by(self, entry: Entry, map: &str) -> Self {
        self.key(entry).0.lookup_verdict(map, KEY)
    }

    /// The packet's name is in a set.
    pub(crate) fn named_in(self, entry: Entry, set: &str) -> Self {
        self.key(entry).0.lookup(set, KEY, None)
    }

    /// To the address and port that a map has for the packet.
    pub(crate) fn translate_by(self, entry: Entry, map: &str) -> Self {
        self.key(entry).0.lookup(map, KEY, Some(FOUND.number())).dnat(FOUND)
    }

    /// To one endpoint at random of those that a map has for the packet.
    pub(crate) fn choose(self, entry: Entry, pool: Pool, endpoints: &str) -> Self {
        let (rule, number) = self.key(entry);
        let data = Attributes::new().u32(1, number.number()).u32(2, pool.count).u32(3, 1).u32(4, pool.first);
        rule.expression("numgen", &data).lookup(endpoints, KEY, Some(FOUND.number())).dnat(FOUND)
    }

    /// One of `n` at random.
    pub(crate) fn one_in(self, n: u32) -> Self {
        let data = Attributes::new().u32(1, KEY.number()).u32(2, n).u32(3, 1).u32(4, 0);
        self.expression("numgen", &data).compare(true, &0u32.to_ne_bytes())
    }

    /// To this address and port.
    pub(crate) fn translate(self, end: &[u8; 8]) -> Self {
        let (address, port) = end.split_at(4);
        self.load(KEY, address).load(Register(1), &port[..2]).dnat(KEY)
    }

    /// The source address is (not) in a set.
    pub(crate) fn source_in(self, set: &str, inside: bool) -> Self {
        let rule = self.payload(1, 12, 4, KEY);
        let data = Attributes::new().text(1, set).u32(2, KEY.number()).u32(5, u32::from(!inside));
        rule.expression("lookup", &data)
    }

    /// Puts the source address into a set, or renews its time there.
    pub(crate) fn remember_source(self, set: &str) -> Self {
        let data = Attributes::new().text(1, set).u32(3, 1).u32(4, KEY.number());
        self.payload(1, 12, 4, KEY).expression("dynset", &data)
    }

    /// Source and destination are a pair in a set.
    pub(crate) fn pair_in(self, set: &str) -> Self {
        self.payload(1, 12, 4, KEY).payload(1, 16, 4, Register(1)).lookup(set, KEY, None)
    }

    /// The link that the packet came by and the sender's address, which stands there in it, are in a set.
    pub(crate) fn sender_in(self, set: &str, offset: u32) -> Self {
        self.meta(6, KEY).payload(1, offset, 4, FOUND).lookup(set, KEY, None)
    }
}
