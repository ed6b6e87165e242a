//! `local`: names that mean the client's own machine are not asked for elsewhere (RFC 6761, RFC 6303).

use std::net::{Ipv4Addr, Ipv6Addr};

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, NS, PTR, SOA};
use hickory_proto::rr::{RData, Record, RecordType};

use super::{Building, once};
use crate::corefile::{Directive, Fault, values, zones};
use crate::message::{Question, Said};
use crate::names;
use crate::step::{Asker, Outcome, Rest, Step};

/// How long answers may be kept, in seconds: a week.
const TTL: u32 = 604_800;
/// The zones that are answered here.
const ZONES: &[&str] = &["localhost.", "0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa."];
/// The name of `127.0.0.1`.
const LOOPBACK: &str = "1.0.0.127.in-addr.arpa.";

struct Local {
    /// Whatever begins with `localhost.` is meant so, too: resolvers add their search path.
    prefix: bool,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    values::none(&directive.name, &directive.args)?;
    let mut local = Local { prefix: true };
    for line in &directive.lines {
        let Some((name, args)) = line.split_first() else { continue };
        match (name.text.as_str(), args) {
            ("localhost_prefix", [word]) => {
                local.prefix = match word.text.as_str() {
                    "on" => true,
                    "off" => false,
                    other => return Err(Fault::at(word.line, format!("localhost_prefix expects 'on' or 'off', got {other:?}"))),
                }
            }
            ("localhost_prefix", _) => return Err(Fault::arguments(name)),
            _ => return Err(Fault::unknown(name)),
        }
    }
    building.push(local);
    Ok(())
}

impl Local {
    /// `None`: it is no such name.
    fn say(&self, question: &Question) -> Option<Said> {
        let name = question.name.as_str();
        let zone = ZONES.iter().find(|zone| zones::within(name, zone)).copied();
        let host = zone == Some("localhost.") || (self.prefix && name.starts_with("localhost."));
        let apex = zone == Some(name);
        let data = match question.kind {
            RecordType::A if host => Some(RData::A(A(Ipv4Addr::LOCALHOST))),
            RecordType::AAAA if host => Some(RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))),
            RecordType::SOA if apex => soa(),
            RecordType::NS if apex => Some(RData::NS(NS(names::parse("localhost.")?))),
            RecordType::PTR if name == LOOPBACK => Some(RData::PTR(PTR(names::parse("localhost.")?))),
            _ if host || zone.is_some() => None,
            _ => return None,
        };
        let known = host || apex || name == LOOPBACK;
        let mut said = Said::code(if known { ResponseCode::NoError } else { ResponseCode::NXDomain });
        let owner = if host || apex { name } else { zone.unwrap_or(name) };
        match data {
            Some(data) => said.answers.push(Record::from_rdata(names::parse(name)?, TTL, data)),
            None => said.authorities.push(Record::from_rdata(names::parse(owner)?, TTL, soa()?)),
        }
        Some(said)
    }
}

fn soa() -> Option<RData> {
    let (server, mail) = (names::parse("localhost.")?, names::parse("root.localhost.")?);
    Some(RData::SOA(SOA::new(server, mail, 1, 0, 0, 0, TTL)))
}

impl Step for Local {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        match self.say(&question) {
            Some(said) => Box::pin(async { Ok(said) }),
            None => rest.answer(asker, question),
        }
    }
}
