//! `dns64 [PREFIX]`: who asks for IPv6 addresses of a name that has IPv4 addresses alone gets those behind a prefix, where a
//! translator stands (RFC 6147, RFC 6052).

use std::net::{Ipv4Addr, Ipv6Addr};

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::AAAA;
use hickory_proto::rr::{RData, Record, RecordType};

use super::Building;
use crate::corefile::{Directive, Fault, Word, values};
use crate::message::{Question, Said};
use crate::step::{Asker, Failure, Outcome, Rest, Step};

/// How long an address may be kept where nothing says for how long there is no other (RFC 6147, 5.1.7).
const TTL: u32 = 600;

struct Dns64 {
    prefix: Prefix,
    /// Names that have IPv6 addresses are translated, too.
    all: bool,
    /// For clients with IPv4 addresses, too.
    ipv4: bool,
}

/// Addresses that begin alike, and how many bytes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix([u8; 16], usize);

/// `64:ff9b::/96`.
const WELL_KNOWN: Prefix = Prefix([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 12);

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let mut dns64 = Dns64 { prefix: WELL_KNOWN, all: false, ipv4: false };
    for directive in directives {
        if !directive.args.is_empty() {
            dns64.prefix = Prefix::read(values::one(&directive.name, &directive.args)?)?;
        }
        for line in &directive.lines {
            let Some((name, args)) = line.split_first() else { continue };
            match name.text.as_str() {
                "prefix" => dns64.prefix = Prefix::read(values::one(name, args)?)?,
                "translate_all" => dns64.all = values::none(name, args).map(|()| true)?,
                "allow_ipv4" => dns64.ipv4 = values::none(name, args).map(|()| true)?,
                _ => return Err(Fault::unknown(name)),
            }
        }
    }
    building.push(dns64);
    Ok(())
}

impl Prefix {
    fn read(word: &Word) -> Result<Self, Fault> {
        let wrong = || Fault::at(word.line, format!("invalid CIDR address: {}", word.text));
        let (address, bits) = word.text.split_once('/').ok_or_else(wrong)?;
        let bits: usize = bits.parse().map_err(|_| wrong())?;
        if let Ok(address) = address.parse::<Ipv4Addr>() {
            return Err(Fault::at(word.line, format!("invalid netmask 32 IPv6 address: \"{address}/{bits}\"")));
        }
        let mut bytes = address.parse::<Ipv6Addr>().map_err(|_| wrong())?.octets();
        if !matches!(bits, 32 | 40 | 48 | 56 | 64 | 96) {
            return Err(Fault::at(word.line, format!("invalid prefix length \"{}\"", word.text)));
        }
        bytes[bits / 8..].fill(0);
        Ok(Prefix(bytes, bits / 8))
    }

    /// The address that an IPv4 address has behind it. Byte 8 is always 0.
    fn of(self, address: Ipv4Addr) -> Ipv6Addr {
        let Prefix(mut bytes, length) = self;
        for (at, byte) in (length..).filter(|at| *at != 8).zip(address.octets()) {
            bytes[at] = byte;
        }
        Ipv6Addr::from(bytes)
    }
}

impl Dns64 {
    /// Whether what was said to a question for IPv6 addresses is left as it is.
    fn leaves(&self, said: &Said) -> bool {
        let denied = said.code == ResponseCode::NXDomain && said.answers.is_empty();
        denied || (!self.all && said.answers.iter().any(|record| record.record_type() == RecordType::AAAA))
    }

    /// What is said instead, when that was said of IPv4 addresses.
    fn translated(&self, said: &Said, mut of_ipv4: Said) -> Said {
        let soa = said.authorities.iter().rfind(|record| record.record_type() == RecordType::SOA);
        let most = soa.map_or(TTL, |record| record.ttl);
        for record in &mut of_ipv4.answers {
            if let RData::A(address) = &record.data {
                let data = RData::AAAA(AAAA(self.prefix.of(address.0)));
                *record = Record::from_rdata(record.name.clone(), record.ttl.min(most), data);
            }
        }
        of_ipv4.authoritative = false;
        of_ipv4.authentic = false;
        of_ipv4
    }
}

impl Step for Dns64 {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        if question.kind != RecordType::AAAA || (asker.asked.client.is_ipv4() && !self.ipv4) {
            return rest.answer(asker, question);
        }
        Box::pin(async move {
            let said = rest.answer(asker, question.clone()).await?;
            if self.leaves(&said) {
                return Ok(said);
            }
            let none = || Failure::new(ResponseCode::ServFail, "names ask for each other in a circle");
            let of_ipv4 = asker.lookup(&question, &question.name, RecordType::A).await.ok_or_else(none)?;
            Ok(self.translated(&said, of_ipv4))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{self, Cluster};

    #[test]
    fn addresses_stand_behind_prefixes() {
        let word = |text: &str| Word { text: text.to_owned(), line: 1, row: 1, end: 1, quoted: false };
        // RFC 6052, 2.4.
        for (prefix, address) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::1/96", "64:ff9b::192.0.2.33"),
        ] {
            let made = Prefix::read(&word(prefix)).expect(prefix).of(Ipv4Addr::new(192, 0, 2, 33));
            assert_eq!(made, address.parse::<Ipv6Addr>().expect("an address"), "{prefix}");
        }
        let why = |text: &str| Prefix::read(&word(text)).expect_err(text).why;
        assert_eq!(why("64:ff9b::/95"), "invalid prefix length \"64:ff9b::/95\"");
        assert_eq!(why("10.0.0.0/8"), "invalid netmask 32 IPv6 address: \"10.0.0.0/8\"");
        assert_eq!(why("64:ff9b::"), "invalid CIDR address: 64:ff9b::");
    }

    #[tokio::test]
    async fn clients_with_ipv4_addresses_are_left_alone_unless_the_corefile_says_so() {
        let corefile = |options: &str| format!(". {{\n dns64 {{\n{options}\n }}\n hosts {{\n 192.0.2.1 one.test\n }}\n}}\n");
        let cluster = Cluster::new(&corefile(""));
        assert_eq!(cluster.ask("one.test.", "AAAA").await, "NOERROR aa");
        let asked = kit::question("one.test.", "AAAA").to_vec().expect("bytes");
        let said = cluster.send_from(&asked, false, "2001:db8::1".parse().expect("an address")).await.expect("an answer");
        let said = hickory_proto::op::Message::from_vec(&said).expect("a message");
        assert_eq!(kit::lines(&said), "NOERROR | one.test. 600 AAAA 64:ff9b::c000:201");
        assert!(Cluster::new(&corefile("allow_ipv4")).ask("one.test.", "AAAA").await.contains("64:ff9b::c000:201"));
    }
}
