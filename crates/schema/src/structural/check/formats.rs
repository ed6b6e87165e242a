//! Formats of texts, as upstream's library looks at them (`kube-openapi/pkg/validation/strfmt`).

use std::net::IpAddr;

use meta::{text, url};

use super::outcome::{Failure, Outcome};

/// A format: its name without dashes, and whether a text has it.
struct Format(&'static str, fn(&str) -> bool);

const ALL: &[Format] = &[
    Format("bsonobjectid", |s| s.len() == 24 && s.bytes().all(|b| b.is_ascii_hexdigit())),
    Format("uri", |s| url::parse_request(s).is_ok()),
    Format("email", is_email),
    Format("hostname", is_hostname),
    Format("ipv4", |s| s.contains('.') && text::loose_ip(s).is_some()),
    Format("ipv6", |s| s.contains(':') && s.parse::<IpAddr>().is_ok()),
    Format("cidr", is_cidr),
    Format("mac", is_mac),
    Format("uuid", text::is_uuid),
    Format("uuid3", |s| is_uuid_of(s, b'3', false)),
    Format("uuid4", |s| is_uuid_of(s, b'4', true)),
    Format("uuid5", |s| is_uuid_of(s, b'5', true)),
    Format("isbn", |s| is_isbn10(s) || is_isbn13(s)),
    Format("isbn10", is_isbn10),
    Format("isbn13", is_isbn13),
    Format("creditcard", is_credit_card),
    Format("ssn", |s| s.len() == 11 && matches_runs(s, &[3, 2, 4])),
    Format("hexcolor", |s| {
        let digits = s.strip_prefix('#').unwrap_or(s);
        matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    }),
    Format("rgbcolor", is_rgb_color),
    Format("byte", text::is_base64),
    Format("password", |_| true),
    Format("date", text::is_date),
    Format("duration", |s| duration(s).is_some()),
    Format("datetime", text::is_date_time),
    Format("k8sshortname", |s| text::dns1123_label(s, false).is_empty()),
    Format("k8slongname", |s| text::dns1123_subdomain(s, false).is_empty()),
];

fn find(name: &str) -> Option<&'static Format> {
    let name = name.replace('-', "");
    ALL.iter().find(|format| format.0 == name)
}

/// Whether texts are looked at for a format.
pub fn exists(name: &str) -> bool {
    !name.is_empty() && find(name).is_some()
}

/// Whether a format says something of values of a type (upstream: `apiextensions-apiserver/pkg/apiserver/validation/formats.go`).
/// Others are ignored.
pub fn is_known(types: &[String], name: &str) -> bool {
    match types {
        [] => exists(name),
        [one] => match &**one {
            "" | "string" => exists(name),
            "integer" => matches!(name, "int32" | "int64"),
            "number" => matches!(name, "float" | "double"),
            _ => false,
        },
        // A number or a text.
        _ => exists(name),
    }
}

/// Whether a text has a format.
pub fn check(name: &str, text: &str, at: &str) -> Outcome {
    match find(name) {
        Some(Format(_, holds)) if !holds(text) => Failure::of_type(at, name, text).into(),
        _ => Outcome::default(),
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match text::loose_ip(address) {
        Some(IpAddr::V4(_)) => 32,
        Some(IpAddr::V6(_)) => 128,
        None => return false,
    };
    length.bytes().all(|b| b.is_ascii_digit()) && length.parse::<u32>().is_ok_and(|length| length <= most)
}

/// Of 6, 8 or 20 bytes, in pairs or fours of digits (Go's `net.ParseMAC`).
fn is_mac(text: &str) -> bool {
    let of = |between: char, digits: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(between).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    of(':', 2, &[6, 8, 20]) || of('-', 2, &[6, 8, 20]) || of('.', 4, &[3, 4, 10])
}

/// Dashes may be missing; the variant counts from version 4 on.
fn is_uuid_of(text: &str, version: u8, variant: bool) -> bool {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    text::is_uuid(text) && digits[12] == version && (!variant || b"89abAB".contains(&digits[16]))
}

fn without_space_and_dashes(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | ' ' | '\t' | '\n' | '\r' | '\u{c}')).collect()
}

fn is_isbn10(text: &str) -> bool {
    let text = without_space_and_dashes(text);
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10 && bytes[..9].iter().all(u8::is_ascii_digit) && (bytes[9].is_ascii_digit() || bytes[9] == b'X');
    let digit = |b: u8| if b == b'X' { 10 } else { u32::from(b - b'0') };
    shaped && (1..).zip(bytes).map(|(weight, b)| weight * digit(*b)).sum::<u32>() % 11 == 0
}

fn is_isbn13(text: &str) -> bool {
    let text = without_space_and_dashes(text);
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 13 && bytes.iter().all(u8::is_ascii_digit);
    let sum = || bytes.iter().zip([1, 3].into_iter().cycle()).map(|(b, weight)| weight * u32::from(b - b'0')).sum::<u32>();
    shaped && sum() % 10 == 0
}

fn is_credit_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter(char::is_ascii_digit).filter_map(|c| c.to_digit(10)).collect();
    let begins = |from: &str| digits.iter().zip(from.chars()).all(|(digit, c)| c.to_digit(10) == Some(*digit));
    let any = |of: &[&str]| of.iter().any(|from| begins(from));
    let issued = match digits.len() {
        13 => begins("4"),
        14 => any(&["300", "301", "302", "303", "304", "305", "36", "38"]),
        15 => any(&["34", "37", "2131", "1800"]),
        16 => any(&["4", "51", "52", "53", "54", "55", "6011", "65", "35"]) || begins("65"),
        _ => false,
    };
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    issued && sum.is_multiple_of(10)
}

/// Runs of so many digits, with a dash or a space between them or nothing.
fn matches_runs(text: &str, runs: &[usize]) -> bool {
    let mut rest = text;
    for (index, length) in runs.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(['-', ' ']).unwrap_or(rest);
        }
        let Some((run, behind)) = rest.split_at_checked(*length) else { return false };
        if !run.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

fn is_rgb_color(text: &str) -> bool {
    let Some(inner) = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    let parts: Vec<&str> = inner.split(',').collect();
    let part = |part: &&str| {
        let digits = part.trim_matches(['\t', '\n', '\u{c}', '\r', ' ']);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        plain && digits.parse::<u8>().is_ok()
    };
    parts.len() == 3 && parts.iter().all(part)
}

/// A duration in nanoseconds: as Go's `time.ParseDuration`, or with a number and a word anywhere in it: `3 days`.
pub fn duration(text: &str) -> Option<i64> {
    if let Ok(nanos) = meta::duration::parse(text) {
        return Some(nanos);
    }
    let (mut found, mut rest) = (None, text);
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(end);
        let behind = behind.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
        let end = behind.find(|c: char| !c.is_ascii_alphabetic() && c != 'µ').unwrap_or(behind.len());
        let (word, next) = behind.split_at(end);
        if !word.is_empty() {
            let count = digits.parse::<i64>().ok()?;
            if let Some(unit) = unit(&word.to_lowercase()) {
                found = Some(found.unwrap_or(0i64).wrapping_add(count.wrapping_mul(unit)));
            }
        }
        rest = if word.is_empty() { behind } else { next };
    }
    found
}

/// What a unit is in nanoseconds. Its last word may go on: `secs`, `seconds`.
fn unit(word: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    const UNITS: [(&[&str], &str, i64); 8] = [
        (&["ns"], "nano", 1),
        (&["us", "µs"], "micro", 1_000),
        (&["ms"], "milli", 1_000_000),
        (&["s"], "sec", SECOND),
        (&["m"], "min", 60 * SECOND),
        (&["h", "hr"], "hour", 3600 * SECOND),
        (&["d"], "day", 86_400 * SECOND),
        (&["w", "wk"], "week", 604_800 * SECOND),
    ];
    UNITS.iter().find(|(exact, beginning, _)| exact.contains(&word) || word.starts_with(beginning)).map(|(_, _, nanos)| *nanos)
}

/// Labels of letters, digits and symbols of any script, of which the last has letters alone (upstream's `HostnamePattern`).
fn is_hostname(text: &str) -> bool {
    const PATTERN: &str = r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$";
    static COMPILED: std::sync::LazyLock<Result<regex::Regex, String>> = std::sync::LazyLock::new(|| meta::pattern::compile(PATTERN));
    let Ok(pattern) = &*COMPILED else { unreachable!("the pattern is right") };
    text.len() <= 255 && text.split('.').all(|label| label.len() <= 63) && pattern.is_match(text)
}

/// An address as Go's `net/mail` reads it: `a@b`, `<a@b>` or `Name <a@b>`.
fn is_email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    if is_address(text) {
        return true;
    }
    let Some((name, address)) = text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) else { return false };
    is_phrase(name.trim_matches([' ', '\t'])) && is_address(address)
}

fn is_atom_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b) || b >= 0x80
}

/// Words with dots between them.
fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(is_atom_byte))
}

fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut escaped = false;
    let plain = inner.bytes().all(|b| {
        let right = escaped || b != b'"';
        escaped = !escaped && b == b'\\';
        right && (b >= b' ' || b == b'\t') && b != 0x7f
    });
    text.len() >= 2 && plain && !escaped
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let literal = || {
        let inner = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.is_some_and(|inner| inner.strip_prefix("IPv6:").unwrap_or(inner).parse::<IpAddr>().is_ok())
    };
    (is_dot_atom(local) || is_quoted(local)) && (is_dot_atom(domain) || literal())
}

fn is_phrase(text: &str) -> bool {
    is_quoted(text) || text.split_ascii_whitespace().all(|word| is_quoted(word) || word.bytes().all(|b| is_atom_byte(b) || b == b'.'))
}
