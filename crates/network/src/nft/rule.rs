//! Rules: lists of expressions, built left to right as one reads them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::wire::Attributes;

/// An element of a list of attributes.
pub(super) const LIST_ELEMENT: u16 = 1;
/// The first 16-byte register; concatenations use the 4-byte registers that overlay it.
const REGISTER: u32 = 1;
const REGISTER_32: u32 = 8;
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
}

impl Verdict {
    pub(super) fn data(&self) -> Attributes {
        let (code, chain) = match self {
            Verdict::Jump(chain) => (-3i32, chain),
            Verdict::Goto(chain) => (-4, chain),
        };
        Attributes::new().nested(2, &Attributes::new().u32(1, code as u32).text(2, chain))
    }
}

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

    fn expression(mut self, name: &str, data: &Attributes) -> Self {
        let expression = Attributes::new().text(1, name).nested(2, data);
        self.0 = self.0.nested(LIST_ELEMENT, &expression);
        self
    }

    fn payload(self, base: u32, offset: u32, length: u32, register: u32) -> Self {
        self.expression("payload", &Attributes::new().u32(1, register).u32(2, base).u32(3, offset).u32(4, length))
    }

    fn meta(self, key: u32, register: u32) -> Self {
        self.expression("meta", &Attributes::new().u32(2, key).u32(1, register))
    }

    fn compare(self, equal: bool, value: &[u8]) -> Self {
        let data = Attributes::new().bytes(1, value);
        self.expression("cmp", &Attributes::new().u32(1, REGISTER).u32(2, u32::from(!equal)).nested(3, &data))
    }

    fn mask(self, mask: &[u8], xor: &[u8]) -> Self {
        let (mask_data, xor_data) = (Attributes::new().bytes(1, mask), Attributes::new().bytes(1, xor));
        let register = Attributes::new().u32(1, REGISTER).u32(2, REGISTER).u32(3, mask.len() as u32);
        self.expression("bitwise", &register.nested(4, &mask_data).nested(5, &xor_data))
    }

    fn load(self, register: u32, value: &[u8]) -> Self {
        let data = Attributes::new().bytes(1, value);
        self.expression("immediate", &Attributes::new().u32(1, register).nested(2, &data))
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
        let rule = self.payload(1, offset, 4, REGISTER);
        let rule = if range.prefix_len() == 32 { rule } else { rule.mask(&range.netmask().octets(), &[0; 4]) };
        rule.compare(inside, &range.network().octets())
    }

    /// The destination is an address of this machine.
    pub(crate) fn destination_is_local(self) -> Self {
        // Result 3: the address type; flag 2: of the destination. RTN_LOCAL is 2.
        self.expression("fib", &Attributes::new().u32(1, REGISTER).u32(2, 3).u32(3, 2)).compare(true, &2u32.to_ne_bytes())
    }

    /// The transport protocol.
    pub(crate) fn protocol(self, protocol: u8) -> Self {
        self.meta(16, REGISTER).compare(true, &[protocol])
    }

    /// The packet leaves (not) by this link.
    pub(crate) fn leaves_by(self, link: &str, equal: bool) -> Self {
        let mut name = [0u8; 16];
        name[..link.len()].copy_from_slice(link.as_bytes());
        self.meta(7, REGISTER).compare(equal, &name)
    }

    /// The first packet of a connection.
    pub(crate) fn is_new(self) -> Self {
        // NF_CT_STATE_BIT(IP_CT_NEW) is 8.
        let new = 8u32.to_ne_bytes();
        self.expression("ct", &Attributes::new().u32(1, REGISTER).u32(2, 0)).mask(&new, &[0; 4]).compare(false, &[0; 4])
    }

    /// The mark for translation of the source is set.
    pub(crate) fn is_marked(self) -> Self {
        self.meta(3, REGISTER).mask(&MASQUERADE_MARK.to_ne_bytes(), &[0; 4]).compare(false, &[0; 4])
    }

    /// Sets the mark.
    pub(crate) fn mark(self) -> Self {
        let (mask, xor) = (!MASQUERADE_MARK, MASQUERADE_MARK);
        let rule = self.meta(3, REGISTER).mask(&mask.to_ne_bytes(), &xor.to_ne_bytes());
        rule.expression("meta", &Attributes::new().u32(2, 3).u32(3, REGISTER))
    }

    /// One of `n` at random.
    pub(crate) fn one_in(self, n: u32) -> Self {
        self.expression("numgen", &Attributes::new().u32(1, REGISTER).u32(2, n).u32(3, 1).u32(4, 0))
            .compare(true, &0u32.to_ne_bytes())
    }

    /// The verdict that a map has for destination address, protocol and port.
    pub(crate) fn by_address(self, map: &str) -> Self {
        let rule = self.payload(1, 16, 4, REGISTER_32).meta(16, REGISTER_32 + 1).payload(2, 2, 2, REGISTER_32 + 2);
        rule.lookup(map, REGISTER_32, Some(VERDICT))
    }

    /// The verdict that a map has for protocol and port.
    pub(crate) fn by_port(self, map: &str) -> Self {
        self.meta(16, REGISTER_32).payload(2, 2, 2, REGISTER_32 + 1).lookup(map, REGISTER_32, Some(VERDICT))
    }

    /// The source address is in a set.
    pub(crate) fn source_in(self, set: &str) -> Self {
        self.payload(1, 12, 4, REGISTER).lookup(set, REGISTER, None)
    }

    fn lookup(self, set: &str, source: u32, verdict: Option<u32>) -> Self {
        let mut data = Attributes::new().text(1, set).u32(2, source);
        if let Some(register) = verdict {
            data = data.u32(3, register);
        }
        self.expression("lookup", &data)
    }

    /// Puts the source address into a set, or renews its time there.
    pub(crate) fn remember_source(self, set: &str) -> Self {
        let data = Attributes::new().text(1, set).u32(3, 1).u32(4, REGISTER);
        self.payload(1, 12, 4, REGISTER).expression("dynset", &data)
    }

    /// Sends the connection to another address and port.
    pub(crate) fn dnat(self, address: Ipv4Addr, port: u16) -> Self {
        let rule = self.load(REGISTER, &address.octets()).load(REGISTER + 1, &port.to_be_bytes());
        let data = Attributes::new().u32(1, 1).u32(2, u32::from(super::wire::FAMILY)).u32(3, REGISTER);
        // NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED.
        rule.expression("nat", &data.u32(5, REGISTER + 1).u32(7, 3))
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
