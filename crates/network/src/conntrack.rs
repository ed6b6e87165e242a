//! Translations that the kernel remembers. A UDP client that keeps its port keeps its endpoint, too, for as long as
//! it sends; when that endpoint is gone, the kernel has to be told (upstream: `kube-proxy/conntrack`).

use std::io;
use std::net::Ipv4Addr;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// `NFNL_SUBSYS_CTNETLINK`.
const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const IPV4: u8 = 2;
const UDP: u8 = 17;
const NESTED: u16 = 0x8000;
/// `CTA_TUPLE_ORIG` and `CTA_TUPLE_REPLY`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
/// Header and the family part of a message.
const HEAD: usize = 20;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A remembered UDP flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where the client sends to.
    pub to: (Ipv4Addr, u16),
    /// Who answers.
    pub from: (Ipv4Addr, u16),
    /// The first tuple as the kernel wrote it: the flow's name.
    name: Vec<u8>,
}

/// Makes the kernel forget flows; how many. Blocks for a moment.
pub fn forget(stale: impl Fn(&Flow) -> bool) -> io::Result<usize> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    let mut count = 0;
    for flow in list(&socket)?.iter().filter(|flow| stale(flow)) {
        send(&socket, DELETE, REQUEST | ACK, &attribute(ORIGINAL | NESTED, &flow.name))?;
        match answers(&socket, |_, _| {}) {
            // It has ended by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map(|()| count += 1)?,
        }
    }
    Ok(count)
}

fn list(socket: &Socket) -> io::Result<Vec<Flow>> {
    send(socket, GET, REQUEST | DUMP, &[])?;
    let mut flows = Vec::new();
    answers(socket, |_, attributes| flows.extend(parse(attributes)))?;
    Ok(flows)
}

fn send(socket: &Socket, kind: u16, flags: u16, attributes: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEAD + attributes.len());
    bytes.extend_from_slice(&((HEAD + attributes.len()) as u32).to_ne_bytes());
    bytes.extend_from_slice(&(SUBSYSTEM << 8 | kind).to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[IPV4, 0, 0, 0]);
    bytes.extend_from_slice(attributes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map(drop)
}

/// Reads the answer to one request, to its end.
fn answers(socket: &Socket, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        if messages(&buffer, &mut each)? {
            return Ok(());
        }
    }
}

/// Reads some messages of an answer; whether they are its last.
fn messages(mut rest: &[u8], each: &mut impl FnMut(u16, &[u8])) -> io::Result<bool> {
    while let Some(head) = rest.first_chunk::<16>() {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = u16::from_ne_bytes([head[4], head[5]]);
        let Some(message) = rest.get(16..length) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message from the kernel ends early"));
        };
        match kind {
            ERROR => {
                let code = message.first_chunk::<4>().map_or(0, |c| i32::from_ne_bytes(*c));
                return if code == 0 { Ok(true) } else { Err(io::Error::from_raw_os_error(code.wrapping_neg())) };
            }
            DONE => return Ok(true),
            kind => each(kind, message.get(4..).unwrap_or_default()),
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads bytes as an answer (for [`crate::fuzzed`]).
pub(crate) fn decode(data: &[u8]) {
    drop(messages(data, &mut |_, attributes| drop(parse(attributes))));
    drop(parse(data));
}

/// A UDP flow of IPv4 from a message's attributes.
fn parse(attributes: &[u8]) -> Option<Flow> {
    let original = find(attributes, ORIGINAL)?;
    let (_, to) = ends(original)?;
    let (from, _) = ends(find(attributes, REPLY)?)?;
    Some(Flow { to, from, name: original.to_vec() })
}

/// Source and destination of a tuple.
fn ends(tuple: &[u8]) -> Option<((Ipv4Addr, u16), (Ipv4Addr, u16))> {
    let (ip, protocol) = (find(tuple, 1)?, find(tuple, 2)?);
    (*find(protocol, 1)? == [UDP]).then_some(())?;
    let address = |kind| find(ip, kind).and_then(<[u8]>::first_chunk::<4>).map(|a| Ipv4Addr::from(*a));
    let port = |kind| find(protocol, kind).and_then(<[u8]>::first_chunk::<2>).map(|p| u16::from_be_bytes(*p));
    Some(((address(1)?, port(2)?), (address(2)?, port(3)?)))
}

/// The value of the first attribute of that kind.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(head) = attributes.first_chunk::<4>() {
        let length = u16::from_ne_bytes([head[0], head[1]]) as usize;
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_read_and_other_protocols_left_alone() {
        let tuple = |kind: u16, protocol: u8, source: ([u8; 4], u16), destination: ([u8; 4], u16)| {
            let ip = [attribute(1, &source.0), attribute(2, &destination.0)].concat();
            let ports = [
                attribute(1, &[protocol]),
                attribute(2, &source.1.to_be_bytes()),
                attribute(3, &destination.1.to_be_bytes()),
            ];
            attribute(kind | NESTED, &[attribute(1 | NESTED, &ip), attribute(2 | NESTED, &ports.concat())].concat())
        };
        let flow = |protocol| {
            let original = tuple(ORIGINAL, protocol, ([10, 0, 0, 1], 5000), ([10, 96, 0, 9], 53));
            let reply = tuple(REPLY, protocol, ([10, 0, 0, 7], 5353), ([10, 0, 0, 1], 5000));
            [original, reply].concat()
        };
        let found = parse(&flow(UDP)).expect("a flow");
        assert_eq!(found.to, (Ipv4Addr::new(10, 96, 0, 9), 53));
        assert_eq!(found.from, (Ipv4Addr::new(10, 0, 0, 7), 5353));
        assert_eq!(parse(&flow(6)), None);
        assert_eq!(parse(&[1, 2, 3]), None);
    }
}
