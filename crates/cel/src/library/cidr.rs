//! Networks (upstream: Kubernetes' `cidr.go`).

use std::any::Any;
use std::net::IpAddr;

use super::ip::{self, Ip};
use super::{Library, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Opaque, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.net.cidr",
    types: &["net.CIDR"],
    rows: &[
        function("cidr", "string_to_cidr", "string", "net.CIDR", Cost::Parsed, to_cidr),
        method("containsIP", "cidr_contains_ip_string", "net.CIDR, string", "bool", Cost::ContainsIp(true), contains_ip),
        method("containsIP", "cidr_contains_ip_ip", "net.CIDR, net.IP", "bool", Cost::ContainsIp(false), contains_ip),
        method("containsCIDR", "cidr_contains_cidr_string", "net.CIDR, string", "bool", Cost::ContainsCidr(true), contains_cidr),
        method("containsCIDR", "cidr_contains_cidr", "net.CIDR, net.CIDR", "bool", Cost::ContainsCidr(false), contains_cidr),
        method("ip", "cidr_ip", "net.CIDR", "net.IP", Cost::Fixed(1), address),
        method("prefixLength", "cidr_prefix_length", "net.CIDR", "int", Cost::Fixed(1), prefix_length),
        method("masked", "cidr_masked", "net.CIDR", "net.CIDR", Cost::Fixed(1), masked),
        function("isCIDR", "is_cidr", "string", "bool", Cost::Parsed, is_cidr),
        function("string", "cidr_to_string", "net.CIDR", "string", Cost::One, to_text),
    ],
};

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Opaque for Cidr {
    fn type_name(&self) -> &'static str {
        "net.CIDR"
    }
    fn equals(&self, other: &dyn Opaque) -> Option<bool> {
        other.any().downcast_ref::<Cidr>().map(|other| self == other)
    }
    fn size(&self) -> Option<u64> {
        Some(u64::from(self.bits).div_ceil(8))
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn show(&self) -> String {
        format!("{}/{}", self.address, self.bits)
    }
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The first bits of an address; the others are zero.
fn mask(address: &IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::from((u32::from(*address) & kept).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::from((u128::from(*address) & kept).to_be_bytes())
        }
    }
}

impl Cidr {
    fn contains(&self, address: &IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.bits) == mask(&self.address, self.bits)
    }
}

fn read(text: &str) -> Result<Cidr, String> {
    let shown = meta::text::quoted(text);
    let refused = |why: &str| Err(format!("network address parse error during conversion from string: netip.ParsePrefix({shown}): {why}"));
    let Some((address, bits)) = text.rsplit_once('/') else { return refused("no '/'") };
    let (address, zone) = match ip::parse_address(address) {
        Ok(read) => read,
        Err(why) => return refused(&why),
    };
    if zone {
        return refused("IPv6 zones cannot be present in a prefix");
    }
    let bits_shown = meta::text::quoted(bits);
    let odd = bits.len() > 1 && !matches!(bits.as_bytes()[0], b'1'..=b'9');
    let Some(length) = bits.parse::<i64>().ok().filter(|_| !odd) else {
        return refused(&format!("bad bits after slash: {bits_shown}"));
    };
    let most = octets(&address).len() as i64 * 8;
    if !(0..=most).contains(&length) {
        return refused("prefix length out of range");
    }
    if ip::is_mapped(&address) {
        return Err(format!("IPv4-mapped IPv6 address {shown} is not allowed"));
    }
    Ok(Cidr { address, bits: u8::try_from(length).unwrap_or(0) })
}

fn parse(text: &str) -> Result<Cidr, Error> {
    read(text).map_err(|why| Error::made(format!("network address parse error during conversion from string: {why}")))
}

fn to_cidr<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => parse(text).map(Value::opaque),
        _ => mismatch(),
    }
}

fn is_cidr<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => Ok(Value::Bool(read(text).is_ok())),
        _ => mismatch(),
    }
}

fn network<'s>(args: &'s [Value<'_>]) -> Result<&'s Cidr, Error> {
    args.first().and_then(Value::as_opaque::<Cidr>).ok_or(Error::NO_OVERLOAD)
}

fn contains_ip<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let network = network(args)?;
    match args {
        // Upstream loses the reason here.
        [_, text @ Value::String(_)] => {
            let ip = ip::to_ip(std::slice::from_ref(text)).map_err(|_| Error::NO_OVERLOAD)?;
            Ok(Value::Bool(ip.as_opaque::<Ip>().is_some_and(|ip| network.contains(&ip.0))))
        }
        [_, ip] => match ip.as_opaque::<Ip>() {
            Some(ip) => Ok(Value::Bool(network.contains(&ip.0))),
            None => mismatch(),
        },
        _ => mismatch(),
    }
}

fn contains_cidr<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let network = network(args)?;
    let other = match args {
        [_, Value::String(text)] => parse(text)?,
        [_, other] => *other.as_opaque::<Cidr>().ok_or(Error::NO_OVERLOAD)?,
        _ => return mismatch(),
    };
    Ok(Value::Bool(network.bits <= other.bits && network.contains(&other.address)))
}

fn address<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    network(args).map(|network| Value::opaque(Ip(network.address)))
}

fn prefix_length<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    network(args).map(|network| Value::Int(i64::from(network.bits)))
}

fn masked<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    network(args).map(|network| Value::opaque(Cidr { address: mask(&network.address, network.bits), bits: network.bits }))
}

fn to_text<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    network(args).map(|network| Value::text(network.show()))
}
