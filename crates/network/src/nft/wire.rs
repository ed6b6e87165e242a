//! The bytes of nftables messages (`linux/netfilter/nf_tables.h`).
//!
//! Written here because the published crates model less than half of the expressions that a
//! service proxy needs (no nat, masquerade, fib, numgen, reject or dynamic sets).

/// `NFPROTO_IPV4`: the family of our table.
pub(crate) const FAMILY: u8 = 2;
const SUBSYSTEM: u16 = 10;
const NESTED: u16 = 0x8000;
const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
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

/// Several messages that take effect together or not at all.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut batch = Batch { bytes: Vec::new(), sequence: 0 };
        batch.message(BATCH_BEGIN, FLAG_REQUEST, 0, SUBSYSTEM, &Attributes::new());
        batch
    }

    /// Adds a message. Creations replace nothing and refuse nothing that exists.
    pub(crate) fn add(&mut self, message: Message, attributes: &Attributes) {
        let flags = match message {
            Message::NewRule => FLAG_REQUEST | FLAG_CREATE | FLAG_APPEND,
            Message::NewTable | Message::NewChain | Message::NewSet | Message::NewElement => FLAG_REQUEST | FLAG_CREATE,
            _ => FLAG_REQUEST,
        };
        // The answer to the first message tells that the whole batch was taken.
        let flags = if self.sequence == 1 { flags | FLAG_ACK } else { flags };
        self.message(SUBSYSTEM << 8 | message as u16, flags, FAMILY, 0, attributes);
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.sequence == 1
    }

    /// All bytes, for one send.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.message(BATCH_END, FLAG_REQUEST, 0, SUBSYSTEM, &Attributes::new());
        self.bytes
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
