//! Zones as they are written in a Corefile (upstream: `plugin/normalize.go`).

use std::net::IpAddr;

use super::{Fault, Word};

/// A server block's key: zones in lower case with their final dot, and the port if one is said.
pub(crate) struct Key {
    pub(crate) zones: Vec<String>,
    pub(crate) port: Option<u16>,
}

/// Reads a key: `example.org`, `.:53`, `dns://example.org:1053`, `10.0.0.0/24`.
pub(crate) fn key(word: &Word) -> Result<Key, Fault> {
    let text = match word.text.split_once("://") {
        Some(("dns", rest)) => rest,
        Some((scheme, _)) => return Err(Fault::at(word.line, format!("transport '{scheme}' is not supported"))),
        None => &word.text,
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((_, "")) => return Err(Fault::at(word.line, format!("expecting data after last colon: \"{text}\""))),
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (host, Some(port.ok_or_else(|| Fault::at(word.line, format!("invalid port in \"{text}\"")))?))
        }
        _ => (text, None),
    };
    Ok(Key { zones: expand(host).map_err(|why| Fault::at(word.line, why))?, port })
}

/// The zones that a directive's arguments name, or those of its server block if they name none.
pub(crate) fn origins(args: &[Word], block: &[String]) -> Result<Vec<String>, Fault> {
    if args.is_empty() {
        return Ok(block.to_vec());
    }
    let zones = args.iter().map(|word| Ok(key(word)?.zones));
    Ok(zones.collect::<Result<Vec<_>, Fault>>()?.concat())
}

/// A name in lower case with its final dot.
pub(crate) fn normal(name: &str) -> Result<String, String> {
    let name = name.to_ascii_lowercase();
    let name = if name.ends_with('.') { name } else { name + "." };
    match crate::names::parse(&name) {
        Some(_) => Ok(name),
        None => Err(format!("zone is not a valid domain name: {name}")),
    }
}

/// Whether a name is that zone, or in it. Both have their final dot.
pub(crate) fn within(name: &str, zone: &str) -> bool {
    crate::zone::within(name.strip_suffix('.').unwrap_or(name), zone.strip_suffix('.').unwrap_or(zone))
}

/// The reverse zones of a range of addresses, or the zone itself.
fn expand(host: &str) -> Result<Vec<String>, String> {
    let range = host.split_once('/').and_then(|(ip, bits)| Some((ip.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?)));
    match range {
        Some((IpAddr::V4(ip), bits)) if bits <= 32 => Ok(reverse(&ip.octets(), bits, 8)),
        Some((IpAddr::V6(ip), bits)) if bits <= 128 => {
            let nibbles: Vec<u8> = ip.octets().iter().flat_map(|octet| [octet >> 4, octet & 15]).collect();
            Ok(reverse(&nibbles, bits, 4))
        }
        _ => Ok(vec![normal(host)?]),
    }
}

/// Zones end at whole labels of `width` bits: another range is several of them.
fn reverse(labels: &[u8], bits: u8, width: u8) -> Vec<String> {
    let (whole, more) = (usize::from(bits / width), bits % width);
    let (base, tail) = if width == 8 { (10, "in-addr.arpa.") } else { (16, "ip6.arpa.") };
    let digit = |label: u8| if base == 10 { label.to_string() } else { format!("{label:x}") };
    let zone = |last: Option<u8>| {
        let labels = last.into_iter().chain(labels[..whole].iter().rev().copied());
        labels.map(|label| digit(label) + ".").collect::<String>() + tail
    };
    if more == 0 {
        return vec![zone(None)];
    }
    let size = 1u16 << (width - more);
    let first = u16::from(labels[whole]) / size * size;
    (first..first + size).filter_map(|label| u8::try_from(label).ok()).map(|label| zone(Some(label))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<String>, Option<u16>), String> {
        let word = Word { text: text.to_owned(), line: 1, row: 1, end: 1, quoted: false };
        key(&word).map(|key| (key.zones, key.port)).map_err(|fault| fault.why)
    }

    #[test]
    fn keys_are_zones_ports_and_ranges() {
        assert_eq!(read("Example.ORG:1053"), Ok((vec!["example.org.".into()], Some(1053))));
        assert_eq!(read("dns://."), Ok((vec![".".into()], None)));
        assert_eq!(read("10.0.0.0/16"), Ok((vec!["0.10.in-addr.arpa.".into()], None)));
        let (zones, _) = read("10.96.0.0/12").expect("a range");
        assert_eq!((zones.len(), &*zones[0], &*zones[15]), (16, "96.10.in-addr.arpa.", "111.10.in-addr.arpa."));
        assert_eq!(read("2001:db8::/32"), Ok((vec!["8.b.d.0.1.0.0.2.ip6.arpa.".into()], None)));
        for wrong in ["tls://.", ".:", ".:99999", ".:0", "a..b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
