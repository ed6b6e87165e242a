//! IP addresses and ranges of them (upstream: `apimachinery/pkg/util/validation/ip.go`, strict since 1.36).

use std::net::IpAddr;

use ipnet::IpNet;
use meta::field::Errors;
use meta::text;

use crate::view::View;

fn mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// An address; in fields that once allowed everything, its form need not be canonical. `None` is reported.
pub fn address(field: &View<'_>, canonical: bool, errors: &mut Errors) -> Option<IpAddr> {
    let text = field.str();
    let Some(ip) = text::loose_ip(text) else {
        errors.push(field.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
        return None;
    };
    let before = errors.len();
    if text.parse::<IpAddr>().is_err() {
        errors.push(field.invalid("must not have leading 0s"));
    }
    if mapped(ip) {
        errors.push(field.invalid("must not be an IPv4-mapped IPv6 address"));
    }
    if canonical && errors.len() == before && text != ip.to_string() {
        errors.push(field.invalid(format!("must be in canonical form ({:?})", ip.to_string())));
    }
    (errors.len() == before).then_some(ip)
}

/// A range of addresses. `None` is reported.
pub fn range(field: &View<'_>, canonical: bool, errors: &mut Errors) -> Option<IpNet> {
    let text = field.str();
    let parsed = text.split_once('/').and_then(|(ip, length)| {
        let length = length.parse::<u8>().ok().filter(|_| length.bytes().all(|b| b.is_ascii_digit()))?;
        IpNet::new(text::loose_ip(ip)?, length).ok()
    });
    let Some(net) = parsed else {
        errors.push(field.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
        return None;
    };
    let detail = if text.parse::<IpNet>().is_err() || text.rsplit('/').next().is_some_and(|l| l.len() > 1 && l.starts_with('0')) {
        "must not have leading 0s in IP or prefix length".to_owned()
    } else if mapped(net.addr()) {
        "must not have an IPv4-mapped IPv6 address".to_owned()
    } else if net.addr() != net.network() {
        "must not have bits set beyond the prefix length".to_owned()
    } else if canonical && text != net.trunc().to_string() {
        format!("must be in canonical form ({:?})", net.trunc().to_string())
    } else {
        return Some(net);
    };
    errors.push(field.invalid(detail));
    None
}

/// An address at which a pod can be reached from other nodes.
pub fn endpoint(field: &View<'_>, errors: &mut Errors) {
    let Some(ip) = text::loose_ip(field.str()) else {
        errors.push(field.invalid("must be a valid IP address"));
        return;
    };
    if ip.is_unspecified() {
        errors.push(field.invalid(format!("may not be unspecified ({})", field.str())));
    }
    if ip.is_loopback() {
        errors.push(field.invalid("may not be in the loopback range (127.0.0.0/8, ::1/128)"));
    }
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if link_local {
        errors.push(field.invalid("may not be in the link-local range (169.254.0.0/16, fe80::/10)"));
    }
    if link_local_multicast {
        errors.push(field.invalid("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"));
    }
}

/// A warning about an address that is written in an unusual way.
pub fn warning(path: &str, text: &str) -> Option<String> {
    let ip = text::loose_ip(text)?;
    if text.parse::<IpAddr>().is_err() || mapped(ip) {
        return Some(format!("{path}: non-standard IP address {text:?} is invalid: use {:?}", ip.to_canonical().to_string()));
    }
    let shown = ip.to_string();
    (ip.is_ipv6() && shown != text)
        .then(|| format!("{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({shown:?})"))
}

/// A warning about a range whose address says more than its length uses.
pub fn range_warning(path: &str, text: &str) -> Option<String> {
    let net: IpNet = text.trim().parse().ok()?;
    let single = IpNet::new(net.addr(), net.max_prefix_len()).ok()?;
    let ambiguous = net.addr() != net.network();
    ambiguous.then(|| {
        let meant = format!("(should be {:?} or {:?}?)", net.trunc().to_string(), single.to_string());
        format!("{path}: CIDR value {text:?} is ambiguous in this context {meant}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::field::Path;
    use serde_json::Value;

    fn check(text: &str, f: impl Fn(&View<'_>, &mut Errors)) -> Vec<String> {
        let value = Value::from(text);
        let mut errors = Errors::new();
        f(&View::new(Some(&value), Path::new("ip")), &mut errors);
        errors.iter().map(|e| e.detail.clone()).collect()
    }

    #[test]
    fn addresses_and_ranges() {
        let ip = |t| check(t, |v, e| assert!(address(v, true, e).is_none() || e.is_empty()));
        assert!(ip("10.0.0.1").is_empty() && ip("fd00::1").is_empty());
        assert_eq!(ip("10.0.0.01"), ["must not have leading 0s"]);
        assert_eq!(ip("FD00::1"), ["must be in canonical form (\"fd00::1\")"]);
        assert_eq!(ip("x"), ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]);
        let cidr = |t| check(t, |v, e| assert!(range(v, false, e).is_none() || e.is_empty()));
        assert!(cidr("10.0.0.0/8").is_empty());
        assert_eq!(cidr("10.0.0.1/8"), ["must not have bits set beyond the prefix length"]);
        assert_eq!(check("127.0.0.1", endpoint), ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]);
    }
}
