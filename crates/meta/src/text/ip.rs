//! Addresses in texts.

use std::net::{IpAddr, Ipv4Addr};

/// Reads an address; leading zeros in IPv4 are tolerated.
pub fn loose_ip(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip);
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))?;
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then_some(IpAddr::V4(Ipv4Addr::from(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_tolerated() {
        let read = |text: &str| loose_ip(text).map(|ip| ip.to_string());
        assert_eq!(read("010.0.000.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(read("fd00::1").as_deref(), Some("fd00::1"));
        for odd in ["", "10.0.0", "10.0.0.1.2", "10.0.0.256", "10..0.1", "a.b.c.d", "10.0.0.+1"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
