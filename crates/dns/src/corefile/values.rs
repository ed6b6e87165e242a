//! Values in a Corefile, as Go reads them.

use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use regex::{Regex, RegexBuilder};

use super::{Fault, Word};
use crate::limits::{PATTERN, PATTERN_COMPILED};

/// The only word after the first of a line, or of a directive's arguments.
pub(crate) fn one<'a>(name: &Word, args: &'a [Word]) -> Result<&'a Word, Fault> {
    match args {
        [only] => Ok(only),
        _ => Err(Fault::arguments(args.last().unwrap_or(name))),
    }
}

/// That nothing follows.
pub(crate) fn none(name: &Word, args: &[Word]) -> Result<(), Fault> {
    if args.is_empty() { Ok(()) } else { Err(Fault::arguments(name)) }
}

/// A number between two others.
pub(crate) fn number(word: &Word, least: u64, most: u64) -> Result<u64, Fault> {
    let number = word.text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| Fault::at(word.line, format!("'{}' is no number between {least} and {most}", word.text)))
}

/// A duration, as Go writes them: `30s`, `1m30s`, `1.5h`, `0`.
pub(crate) fn duration(word: &Word) -> Result<Duration, Fault> {
    go_duration(&word.text).ok_or_else(|| Fault::at(word.line, format!("invalid duration \"{}\"", word.text)))
}

fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |at| digits + at);
        seconds += number
            * match &rest[digits..unit] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

/// A regular expression of bounded size.
pub(crate) fn pattern(word: &Word) -> Result<Regex, Fault> {
    if word.text.len() > PATTERN {
        return Err(Fault::at(word.line, format!("regex pattern too long: {} > {PATTERN}", word.text.len())));
    }
    let built = RegexBuilder::new(&word.text).size_limit(PATTERN_COMPILED).dfa_size_limit(PATTERN_COMPILED).build();
    built.map_err(|error| {
        let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        Fault::at(word.line, format!("could not parse regex: {}, {why}", word.text))
    })
}

/// `NXDOMAIN`, in either case.
pub(crate) fn response_code(word: &Word) -> Result<ResponseCode, Fault> {
    let code = CODES.iter().find(|(name, _)| word.text.eq_ignore_ascii_case(name)).map(|(_, code)| *code);
    code.ok_or_else(|| Fault::at(word.line, format!("{} is not a valid rcode", word.text)))
}

/// The codes that fit into the head of a message, as CoreDNS calls them.
pub(crate) const CODES: &[(&str, ResponseCode)] = &[
    ("NOERROR", ResponseCode::NoError),
    ("FORMERR", ResponseCode::FormErr),
    ("SERVFAIL", ResponseCode::ServFail),
    ("NXDOMAIN", ResponseCode::NXDomain),
    ("NOTIMP", ResponseCode::NotImp),
    ("REFUSED", ResponseCode::Refused),
    ("YXDOMAIN", ResponseCode::YXDomain),
    ("YXRRSET", ResponseCode::YXRRSet),
    ("NXRRSET", ResponseCode::NXRRSet),
    ("NOTAUTH", ResponseCode::NotAuth),
    ("NOTZONE", ResponseCode::NotZone),
];

/// How a code is written.
pub(crate) fn code_name(code: ResponseCode) -> String {
    let name = CODES.iter().find(|(_, c)| *c == code).map(|(name, _)| (*name).to_owned());
    name.unwrap_or_else(|| u16::from(code).to_string())
}

/// `AAAA`.
pub(crate) fn record_type(word: &Word) -> Result<RecordType, Fault> {
    RecordType::from_str(&word.text.to_ascii_uppercase())
        .map_err(|_| Fault::at(word.line, format!("invalid type \"{}\"", word.text)))
}

/// The zones whose names go on to the next step (`fallthrough [ZONES...]`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Through(Vec<String>);

impl Through {
    pub(crate) fn read(args: &[Word]) -> Result<Self, Fault> {
        Ok(Through(super::zones::origins(args, &[".".to_owned()])?))
    }

    pub(crate) fn passes(&self, name: &str) -> bool {
        self.0.iter().any(|zone| super::zones::within(name, zone))
    }

    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word { text: text.to_owned(), line: 3, row: 3, end: 3, quoted: false }
    }

    #[test]
    fn durations_are_those_of_go() {
        let read = |text: &str| duration(&word(text)).ok().map(|d| d.as_millis());
        assert_eq!([read("30s"), read("1m30s"), read("1.5h"), read("0"), read("5ms")], [
            Some(30_000),
            Some(90_000),
            Some(5_400_000),
            Some(0),
            Some(5)
        ]);
        assert!(["", "5", "-1s", "s", "1d", "1s2"].iter().all(|text| read(text).is_none()));
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(pattern(&word(r"^(.*)\.example\.com\.$")).is_ok());
        let why = |text: &str| pattern(&word(text)).expect_err("refused").why;
        assert!(why("a(").contains("unclosed group"), "{}", why("a("));
        assert!(why(&"a".repeat(PATTERN + 1)).contains("too long"));
        assert!(why("((a{1000}){1000}){1000}").contains("size limit"), "{}", why("((a{1000}){1000}){1000}"));
    }
}
