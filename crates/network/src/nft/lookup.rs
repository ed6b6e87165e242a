//! Rules that ask maps and sets.
//!
//! A key or a value lies in four-byte registers one after the other, as the set's description has it.

use super::rule::{Register, Rule};
use super::wire::Attributes;

/// Where the key of a packet starts.
const KEY: Register = Register(0);
/// Where what a map says of the key starts.
const FOUND: Register = Register(4);
/// A key made of constants starts here.
const MADE: Register = Register(8);
/// Address and port of an endpoint, where the key was made.
const CHOSEN: Register = Register(12);

/// Bytes of a [`Pool`]'s name.
const POOL: u32 = 3;
/// Words before the pool's name in what the map of services says: the class.
const CLASS: u32 = 2;

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

/// Addresses, protocols and ports in a key: the pool's name or a client's word.
pub(crate) type Name = [u8; 12];

impl Rule {
    fn key(self, entry: Entry) -> Self {
        match entry {
            Entry::Address => self.payload(1, 16, 4, KEY).meta(16, Register(1)).payload(2, 2, 2, Register(2)),
            Entry::Port => self.meta(16, KEY).payload(2, 2, 2, Register(1)),
        }
    }

    /// The verdict that a map has for the packet.
    pub(crate) fn verdict_by(self, entry: Entry, map: &str) -> Self {
        self.key(entry).lookup_verdict(map, KEY)
    }

    /// The packet's name is in a set.
    pub(crate) fn named_in(self, entry: Entry, set: &str) -> Self {
        self.key(entry).lookup(set, KEY, None)
    }

    /// The verdict for the class that a map has for the packet.
    pub(crate) fn class_by(self, entry: Entry, services: &str, classes: &str) -> Self {
        self.key(entry).lookup(services, KEY, Some(FOUND.number())).lookup_verdict(classes, FOUND)
    }

    /// To the address and port that a map has for the packet.
    pub(crate) fn translate_by(self, entry: Entry, map: &str) -> Self {
        self.key(entry).lookup(map, KEY, Some(FOUND.number())).dnat(FOUND)
    }

    /// To one endpoint at random of the pool that the packet's destination itself names.
    pub(crate) fn choose(self, pool: Pool, endpoints: &str) -> Self {
        let rule = self.key(Entry::Address).random(pool, Register(KEY.0 + POOL));
        rule.lookup(endpoints, KEY, Some(FOUND.number())).dnat(FOUND)
    }

    /// To one endpoint at random of the pool whose name the map of services has for the packet.
    pub(crate) fn choose_by(self, entry: Entry, services: &str, pool: Pool, endpoints: &str) -> Self {
        let name = Register(FOUND.0 + CLASS);
        let number = Register(name.0 + POOL);
        let end = Register(number.0 + 1);
        let rule = self.key(entry).lookup(services, KEY, Some(FOUND.number())).random(pool, number);
        rule.lookup(endpoints, name, Some(end.number())).dnat(end)
    }

    /// To one endpoint at random of this pool.
    pub(crate) fn choose_of(self, name: &Name, pool: Pool, endpoints: &str) -> Self {
        self.chosen_of(name, pool, endpoints).dnat(CHOSEN)
    }

    /// The same, and the client keeps it.
    pub(crate) fn choose_and_keep(self, name: &Name, pool: Pool, endpoints: &str, clients: &str) -> Self {
        // What the client had before is not among the members any more.
        let rule = self.payload(1, 12, 4, KEY).chosen_of(name, pool, endpoints);
        rule.client(clients, 2).client(clients, 1).dnat(CHOSEN)
    }

    /// To the endpoint that the client has, if it is still one of the pool's.
    pub(crate) fn kept(self, name: &Name, pool: Pool, members: &str, clients: &str) -> Self {
        let made = [name.as_slice(), &pool.first.to_ne_bytes()].concat();
        let rule = self.payload(1, 12, 4, KEY).load(MADE, &made).lookup(clients, KEY, Some(CHOSEN.number()));
        rule.lookup(members, MADE, None).client(clients, 1).dnat(CHOSEN)
    }

    fn chosen_of(self, name: &Name, pool: Pool, endpoints: &str) -> Self {
        let rule = self.load(MADE, name).random(pool, Register(MADE.0 + POOL));
        rule.lookup(endpoints, MADE, Some(CHOSEN.number()))
    }

    /// Puts (1) client and endpoint into the map, or renews its time there, or takes (2) it out.
    fn client(self, clients: &str, operation: u32) -> Self {
        let data = Attributes::new().text(1, clients).u32(3, operation).u32(4, KEY.number());
        self.expression("dynset", &data.u32(5, CHOSEN.number()))
    }

    fn random(self, pool: Pool, to: Register) -> Self {
        let data = Attributes::new().u32(1, to.number()).u32(2, pool.count).u32(3, 1).u32(4, pool.first);
        self.expression("numgen", &data)
    }

    /// The source address is (not) in a set.
    pub(crate) fn source_in(self, set: &str, inside: bool) -> Self {
        let rule = self.payload(1, 12, 4, KEY);
        let data = Attributes::new().text(1, set).u32(2, KEY.number()).u32(5, u32::from(!inside));
        rule.expression("lookup", &data)
    }

    /// Source and destination are a pair in a set.
    pub(crate) fn pair_in(self, set: &str) -> Self {
        self.payload(1, 12, 4, KEY).payload(1, 16, 4, Register(1)).lookup(set, KEY, None)
    }
}
