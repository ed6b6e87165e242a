//! The bytes of nftables messages (`linux/netfilter/nf_tables.h`).
//!
//! Written here because the published crates model less than half of the expressions that a
//! service proxy needs (no nat, masquerade, fib, numgen, reject or dynamic sets).

/// A table: whose packets it sees, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) family: Family,
    pub(crate) name: String,
}

/// A family of packets. Addresses of another one get a list of rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `NFPROTO_IPV4`.
    Ipv4 = 2,
    /// `NFPROTO_ARP`.
    Arp = 3,
}

const SUBSYSTEM: u16 = 10;
const NESTED: u16 = 0x8000;
const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
const FLAG_EXCLUSIVE: u16 = 0x200;
const FLAG_CREATE: u16 = 0x400;
const FLAG_APPEND: u16 = 0x800;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// Message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    NewTable = 0,
    DeleteTable = 2,
    NewChain = 3,
    DeleteChain = 5,
    NewRule = 6,
    DeleteRule = 8,
    NewSet = 9,
    DeleteSet = 11,
    NewElement = 12,
    DeleteElement = 14,
}

/// Attributes in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn new() -> Self {
        Attributes::default()
    }

    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (value.len() + 4) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A string with its terminating zero.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Numbers go in network order.
    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// See [`Attributes::u32`].
    pub(crate) fn u64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(self, kind: u16, inner: &Attributes) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn append(&mut self, other: &Attributes) {
        self.0.extend_from_slice(&other.0);
    }
}

/// Whose a message is, by place in the list of those who change; `NOBODY`'s are those of the table itself.
pub(super) type Index = u32;
/// See [`Index`].
pub(super) const NOBODY: Index = u32::MAX;

/// Several messages that take effect together or not at all.
pub(super) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    table: TableName,
    /// From which message on they are whose.
    owners: Vec<(u32, Index)>,
}

impl Batch {
    pub(super) fn new(table: TableName) -> Self {
        let mut batch = Batch { bytes: Vec::new(), sequence: 0, table, owners: vec![(0, NOBODY)] };
        batch.message(BATCH_BEGIN, FLAG_REQUEST, 0, SUBSYSTEM, &Attributes::new());
        batch
    }

    /// From here on the messages are this one's.
    pub(super) fn of(&mut self, owner: Index) -> &mut Self {
        if self.owners.last().is_none_or(|(_, last)| *last != owner) {
            self.owners.push((self.sequence, owner));
        }
        self
    }

    /// Whose the message with this number is.
    pub(super) fn owner(&self, sequence: u32) -> Index {
        let after = self.owners.partition_point(|(first, _)| *first <= sequence);
        after.checked_sub(1).map_or(NOBODY, |at| self.owners[at].1)
    }

    /// The table that the messages are about, to be completed.
    pub(super) fn table(&self) -> Attributes {
        Attributes::new().text(1, &self.table.name)
    }

    /// Adds a message. Creations replace nothing and refuse nothing that exists.
    pub(super) fn add(&mut self, message: Message, attributes: &Attributes) {
        let flags = match message {
            Message::NewRule => FLAG_REQUEST | FLAG_CREATE | FLAG_APPEND,
            // The element that somebody else has is no element of ours.
            Message::NewElement => FLAG_REQUEST | FLAG_CREATE | FLAG_EXCLUSIVE,
            Message::NewTable | Message::NewChain | Message::NewSet => FLAG_REQUEST | FLAG_CREATE,
            _ => FLAG_REQUEST,
        };
        // The answer to the first message tells that the whole batch was taken.
        let flags = if self.sequence == 1 { flags | FLAG_ACK } else { flags };
        self.message(SUBSYSTEM << 8 | message as u16, flags, self.table.family as u8, 0, attributes);
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.sequence == 1
    }

    /// All bytes, for one send.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.message(BATCH_END, FLAG_REQUEST, 0, SUBSYSTEM, &Attributes::new());
        &self.bytes
    }

    fn message(&mut self, kind: u16, flags: u16, family: u8, resource: u16, attributes: &Attributes) {
        let length = 16 + 4 + attributes.0.len();
        self.bytes.extend_from_slice(&(length as u32).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        self.bytes.extend_from_slice(&attributes.0);
        self.sequence += 1;
    }
}
