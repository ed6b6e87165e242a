//! Rules: lists of expressions, built left to right as one reads them.

use ipnet::Ipv4Net;

use super::wire::Attributes;

/// An element of a list of attributes.
pub(super) const LIST_ELEMENT: u16 = 1;
const VERDICT: u32 = 0;

/// The mark of packets whose source is to be translated (upstream's kube-proxy: bit 14).
pub(crate) const MASQUERADE_MARK: u32 = 0x4000;

/// IP protocol numbers.
pub(crate) const TCP: u8 = 6;
/// See [`TCP`].
pub(crate) const UDP: u8 = 17;
/// See [`TCP`].
pub(crate) const SCTP: u8 = 132;

/// What happens to a packet that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Jump(String),
    Goto(String),
    Accept,
    Drop,
}

impl Verdict {
    pub(super) fn data(&self) -> Attributes {
        let verdict = match self {
            Verdict::Jump(chain) => Attributes::new().u32(1, -3i32 as u32).text(2, chain),
            Verdict::Goto(chain) => Attributes::new().u32(1, -4i32 as u32).text(2, chain),
            Verdict::Accept => Attributes::new().u32(1, 1),
            Verdict::Drop => Attributes::new().u32(1, 0),
        };
        Attributes::new().nested(2, &verdict)
    }
}

/// A four-byte register, 0 to 15; what is longer goes on in the next ones.
#[derive(Clone, Copy)]
pub(super) struct Register(pub(super) u32);

impl Register {
    /// The kernel counts them after its five long ones and the verdict's.
    pub(super) fn number(self) -> u32 {
        self.0 + 8
    }
}

/// What a comparison uses.
const FIRST: Register = Register(0);

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule(Attributes);

impl Rule {
    pub(crate) fn new() -> Self {
        Rule::default()
    }

    pub(super) fn expressions(&self) -> &Attributes {
        &self.0
    }

    pub(super) fn expression(mut self, name: &str, data: &Attributes) -> Self {
        let expression = Attributes::new().text(1, name).nested(2, data);
        self.0 = self.0.nested(LIST_ELEMENT, &expression);
        self
    }

    /// Bytes of the packet, from its link (0), network (1) or transport (2) header on.
    pub(super) fn payload(self, base: u32, offset: u32, length: u32, to: Register) -> Self {
        self.expression("payload", &Attributes::new().u32(1, to.number()).u32(2, base).u32(3, offset).u32(4, length))
    }

    pub(super) fn meta(self, key: u32, to: Register) -> Self {
        self.expression("meta", &Attributes::new().u32(2, key).u32(1, to.number()))
    }

    pub(super) fn compare(self, equal: bool, value: &[u8]) -> Self {
        let data = Attributes::new().bytes(1, value);
        self.expression("cmp", &Attributes::new().u32(1, FIRST.number()).u32(2, u32::from(!equal)).nested(3, &data))
    }

    fn mask(self, mask: &[u8], xor: &[u8]) -> Self {
        let (mask_data, xor_data) = (Attributes::new().bytes(1, mask), Attributes::new().bytes(1, xor));
        let register = Attributes::new().u32(1, FIRST.number()).u32(2, FIRST.number()).u32(3, mask.len() as u32);
        self.expression("bitwise", &register.nested(4, &mask_data).nested(5, &xor_data))
    }

    pub(super) fn load(self, to: Register, value: &[u8]) -> Self {
        let data = Attributes::new().bytes(1, value);
        self.expression("immediate", &Attributes::new().u32(1, to.number()).nested(2, &data))
    }

    pub(super) fn lookup(self, set: &str, from: Register, to: Option<u32>) -> Self {
        let data = Attributes::new().text(1, set).u32(2, from.number());
        self.expression("lookup", &to.map_or(data.clone(), |register| data.u32(3, register)))
    }

    pub(super) fn lookup_verdict(self, set: &str, from: Register) -> Self {
        self.lookup(set, from, Some(VERDICT))
    }

    /// The source address is (not) in the range.
    pub(crate) fn source(self, range: Ipv4Net, inside: bool) -> Self {
        self.address(12, range, inside)
    }

    /// The destination address is (not) in the range.
    pub(crate) fn destination(self, range: Ipv4Net, inside: bool) -> Self {
        self.address(16, range, inside)
    }

    fn address(self, offset: u32, range: Ipv4Net, inside: bool) -> Self {
        let rule = self.payload(1, offset, 4, FIRST);
        let rule = if range.prefix_len() == 32 { rule } else { rule.mask(&range.netmask().octets(), &[0; 4]) };
        rule.compare(inside, &range.network().octets())
    }

    /// The destination is an address of this machine.
    pub(crate) fn destination_is_local(self) -> Self {
        self.end_is_local(2)
    }

    /// The source is an address of this machine.
    pub(crate) fn source_is_local(self) -> Self {
        self.end_is_local(1)
    }

    /// Flag 1: of the source; 2: of the destination.
    fn end_is_local(self, flag: u32) -> Self {
        // Result 3: the address type. RTN_LOCAL is 2.
        let rule = self.expression("fib", &Attributes::new().u32(1, FIRST.number()).u32(2, 3).u32(3, flag));
        rule.compare(true, &2u32.to_ne_bytes())
    }

    /// The packet leaves (not) by this link.
    pub(crate) fn leaves_by(self, link: &str, equal: bool) -> Self {
        let mut name = [0u8; libc::IFNAMSIZ];
        name[..link.len()].copy_from_slice(link.as_bytes());
        self.meta(7, FIRST).compare(equal, &name)
    }

    /// The packet came (not) by a link whose name begins so.
    pub(crate) fn came_by(self, prefix: &str, equal: bool) -> Self {
        self.meta(6, FIRST).compare(equal, prefix.as_bytes())
    }

    /// The first packet of a connection.
    pub(crate) fn is_new(self) -> Self {
        // NF_CT_STATE_BIT(IP_CT_NEW) is 8.
        let (new, none) = (8u32.to_ne_bytes(), [0; 4]);
        let state = Attributes::new().u32(1, FIRST.number()).u32(2, 0);
        self.expression("ct", &state).mask(&new, &none).compare(false, &none)
    }

    /// The mark for translation of the source is set.
    pub(crate) fn is_marked(self) -> Self {
        self.meta(3, FIRST).mask(&MASQUERADE_MARK.to_ne_bytes(), &[0; 4]).compare(false, &[0; 4])
    }

    /// Sets the mark.
    pub(crate) fn mark(self) -> Self {
        let (mask, xor) = (!MASQUERADE_MARK, MASQUERADE_MARK);
        let rule = self.meta(3, FIRST).mask(&mask.to_ne_bytes(), &xor.to_ne_bytes());
        rule.expression("meta", &Attributes::new().u32(2, 3).u32(3, FIRST.number()))
    }

    /// Sends the connection to the address and port in two registers, one after the other.
    pub(super) fn dnat(self, address: Register) -> Self {
        let port = Register(address.0 + 1);
        let data = Attributes::new().u32(1, 1).u32(2, u32::from(libc::AF_INET as u8)).u32(3, address.number());
        // NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED.
        self.expression("nat", &data.u32(5, port.number()).u32(7, 3))
    }

    /// Gives the connection an address of this machine as its source, and any free port.
    pub(crate) fn masquerade(self) -> Self {
        self.expression("masq", &Attributes::new().u32(1, 1 << 4))
    }

    /// Refuses with "port unreachable".
    pub(crate) fn reject(self) -> Self {
        self.expression("reject", &Attributes::new().u32(1, 0).bytes(2, &[3]))
    }

    /// The end.
    pub(crate) fn then(self, verdict: &Verdict) -> Self {
        self.expression("immediate", &Attributes::new().u32(1, VERDICT).nested(2, &verdict.data()))
    }
}
