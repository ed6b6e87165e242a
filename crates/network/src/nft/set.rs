//! Sets and maps: what their keys and values are made of.

use super::wire::Attributes;

/// A part of a key or value. It fills whole four-byte words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// An IPv4 address.
    Address,
    /// A protocol's number.
    Protocol,
    /// A port, in network order.
    Port,
    /// Any number, in the machine's order.
    Number,
    /// A link's name.
    Link,
}

impl Field {
    /// The type's number, for those who list the rules, and its bytes.
    fn kind(self) -> (u32, u32) {
        match self {
            Field::Address => (7, 4),
            Field::Protocol => (12, 4),
            Field::Port => (13, 4),
            Field::Number => (19, 4),
            Field::Link => (41, 16),
        }
    }
}

/// What a set says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// That it is there.
    Nothing,
    /// What becomes of the packet.
    Verdict,
    /// A value.
    Fields(&'static [Field]),
}

/// A set or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) key: &'static [Field],
    pub(crate) says: Says,
    /// Rules put elements in, which are forgotten after these seconds.
    pub(crate) forgets_after: Option<u32>,
    /// Its elements are the ends of ranges.
    pub(crate) ranges: bool,
}

impl Set {
    pub(crate) const fn new(key: &'static [Field], says: Says) -> Self {
        Set { key, says, forgets_after: None, ranges: false }
    }

    /// The rest of the message that makes it.
    pub(super) fn attributes(&self, named: Attributes, name: &str) -> Attributes {
        let map = if self.says == Says::Nothing { 0 } else { 8 };
        // With time-out, changed by rules.
        let dynamic = if self.forgets_after.is_some() { 0x30 } else { 0 };
        let (kind, length) = describe(self.key);
        let set = named.u32(3, map | dynamic | if self.ranges { 4 } else { 0 });
        let set = set.u32(4, kind).u32(5, length).u32(10, set_id(name));
        let set = match self.says {
            Says::Nothing => set,
            Says::Verdict => set.u32(6, 0xffff_ff00).u32(7, 16),
            Says::Fields(fields) => {
                let (kind, length) = describe(fields);
                set.u32(6, kind).u32(7, length)
            }
        };
        self.forgets_after.map_or(set.clone(), |seconds| set.u64(11, u64::from(seconds) * 1000))
    }
}

/// Types in the order of the key, six bits each, so that there may be five; bytes.
fn describe(fields: &[Field]) -> (u32, u32) {
    fields.iter().fold((0, 0), |(kinds, length), field| {
        let (kind, bytes) = field.kind();
        (kinds << 6 | kind, length + bytes)
    })
}

/// The kernel wants a number for every new set of a transaction; a hash of the name serves.
fn set_id(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193)) | 1
}
