//! Addresses (upstream: Kubernetes' `ip.go`, Go's `net/netip`).

use std::any::Any;
use std::net::{IpAddr, Ipv6Addr};

use super::{Library, Row, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Opaque, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.net.ip",
    types: &["net.IP"],
    rows: &[
        function("ip", "string_to_ip", "string", "net.IP", Cost::Parsed, to_ip),
        method("family", "ip_family", "net.IP", "int", Cost::Fixed(1), family),
        function("ip.isCanonical", "ip_is_canonical", "string", "bool", Cost::ParsedTwice, is_canonical),
        is("isUnspecified", "ip_is_unspecified", |args| about(args, |ip| ip.is_unspecified())),
        is("isLoopback", "ip_is_loopback", |args| about(args, |ip| ip.is_loopback())),
        is("isLinkLocalMulticast", "ip_is_link_local_multicast", |args| about(args, is_link_local_multicast)),
        is("isLinkLocalUnicast", "ip_is_link_local_unicast", |args| about(args, is_link_local_unicast)),
        is("isGlobalUnicast", "ip_is_global_unicast", |args| about(args, is_global_unicast)),
        function("isIP", "is_ip", "string", "bool", Cost::Parsed, is_ip),
        function("string", "ip_to_string", "net.IP", "string", Cost::One, to_text),
    ],
};

const fn is(name: &'static str, overload: &'static str, run: super::Run) -> Row {
    method(name, overload, "net.IP", "bool", Cost::Fixed(1), run)
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ip(pub(super) IpAddr);

impl Opaque for Ip {
    fn type_name(&self) -> &'static str {
        "net.IP"
    }
    fn equals(&self, other: &dyn Opaque) -> Option<bool> {
        other.any().downcast_ref::<Ip>().map(|other| self == other)
    }
    fn size(&self) -> Option<u64> {
        Some(if self.0.is_ipv4() { 4 } else { 16 })
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Go's reader of addresses, with its words; a zone is cut off and told of.
pub(super) fn parse_address(text: &str) -> Result<(IpAddr, bool), String> {
    let refused = |why: String| Err(format!("ParseAddr({}): {why}", meta::text::quoted(text)));
    match text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]) {
        Some(b'.') => match ipv4(text) {
            Ok(address) => Ok((address, false)),
            Err(why) => refused(why),
        },
        Some(b':') => {
            let (plain, zone) = text.split_once('%').map_or((text, None), |(plain, zone)| (plain, Some(zone)));
            if zone == Some("") {
                return refused("zone must be a non-empty string".to_owned());
            }
            match plain.parse::<Ipv6Addr>() {
                Ok(address) => Ok((IpAddr::V6(address), zone.is_some())),
                Err(_) => refused(ipv6_fault(plain)),
            }
        }
        Some(_) => refused("missing IPv6 address".to_owned()),
        None => refused("unable to parse IP".to_owned()),
    }
}

fn ipv4(text: &str) -> Result<IpAddr, String> {
    let mut fields = [0u8; 4];
    let mut index = 0;
    let (mut value, mut digits) = (0u32, 0);
    let at_end = |at: usize| meta::text::quoted(&text[at..]);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err("IPv4 field has octet with leading zero".to_owned());
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err("IPv4 field has value >255".to_owned());
                }
            }
            b'.' => {
                // .1.2.3, 1.2.3., 1..2.3
                if digits == 0 || at == text.len() - 1 {
                    return Err(format!("IPv4 field must have at least one digit (at {})", at_end(at)));
                }
                if index == 3 {
                    return Err("IPv4 address too long".to_owned());
                }
                fields[index] = value as u8;
                index += 1;
                (value, digits) = (0, 0);
            }
            _ => return Err(format!("unexpected character (at {})", at_end(at))),
        }
    }
    if index < 3 {
        return Err("IPv4 address too short".to_owned());
    }
    fields[3] = value as u8;
    Ok(IpAddr::from(fields))
}

/// Why a text is no address of version 6, for the most common reasons.
fn ipv6_fault(text: &str) -> String {
    if let Some(at) = text.find(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.') {
        return match text[..at].chars().next_back() {
            None | Some(':') => format!("each colon-separated field must have at least one digit (at {})", meta::text::quoted(&text[at..])),
            Some(_) => format!("unexpected character, want colon (at {})", meta::text::quoted(&text[at..])),
        };
    }
    if text.starts_with(':') && !text.starts_with("::") {
        return format!("each colon-separated field must have at least one digit (at {})", meta::text::quoted(text));
    }
    let fields: Vec<&str> = text.split(':').collect();
    if let Some(long) = fields.iter().find(|field| field.len() > 4 && !field.contains('.')) {
        let at = text.find(long).unwrap_or(0);
        return format!("field has more than 4 digits (at {})", meta::text::quoted(&text[at..]));
    }
    if text.matches("::").count() > 1 {
        let at = text.rfind("::").unwrap_or(0);
        return format!("multiple :: in address (at {})", meta::text::quoted(&text[at + 1..]));
    }
    if fields.len() > 8 { "trailing garbage after address".to_owned() } else { "address string too short".to_owned() }
}

fn parse(text: &str) -> Result<Ip, Error> {
    let shown = meta::text::quoted(text);
    match parse_address(text) {
        Err(why) => Err(Error::made(format!("IP Address {shown} parse error during conversion from string: {why}"))),
        Ok((_, true)) => Err(Error::made(format!("IP address {shown} with zone value is not allowed"))),
        Ok((address, _)) if is_mapped(&address) => {
            Err(Error::made(format!("IPv4-mapped IPv6 address {shown} is not allowed")))
        }
        Ok((address, _)) => Ok(Ip(address)),
    }
}

/// An address of version 4 in one of version 6.
pub(super) fn is_mapped(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

pub(super) fn to_ip<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => parse(text).map(Value::opaque),
        _ => mismatch(),
    }
}

fn is_ip<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => Ok(Value::Bool(parse(text).is_ok())),
        _ => mismatch(),
    }
}

fn is_canonical<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => parse(text).map(|ip| Value::Bool(ip.0.to_string() == **text)),
        _ => mismatch(),
    }
}

fn address<'s>(args: &'s [Value<'_>]) -> Result<&'s IpAddr, Error> {
    args.first().and_then(Value::as_opaque::<Ip>).map(|ip| &ip.0).ok_or(Error::NO_OVERLOAD)
}

fn about<'a>(args: &[Value<'a>], is: fn(&IpAddr) -> bool) -> Outcome<'a> {
    address(args).map(|address| Value::Bool(is(address)))
}

fn family<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    address(args).map(|address| Value::Int(if address.is_ipv4() { 4 } else { 6 }))
}

fn to_text<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    address(args).map(|address| Value::text(address.to_string()))
}

fn is_link_local_multicast(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    }
}

fn is_link_local_unicast(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn is_global_unicast(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(broadcast || address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_link_local_unicast(address))
}
