//! The wire form of questions and answers. Pure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record as Wire, RecordType};

use crate::world::World;
use crate::zone::{self, Answer, Data, Kind, Record};

/// Seconds for which an answer may be kept (kubeadm's CoreDNS: 30).
const TTL: u32 = 30;
/// Seconds for which the absence of a name may be kept.
const NEGATIVE_TTL: u32 = 5;
/// The largest answer over UDP to a client that does not say what it can take.
const DATAGRAM: u16 = 512;

/// What is said to a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// These bytes.
    Answer(Vec<u8>),
    /// What the machine's name servers say; these bytes when they say nothing.
    Elsewhere(Vec<u8>),
    /// Nothing: it is no question.
    Silence,
}

/// Answers a message. What makes the parser panic is no question: it must not end the server.
pub(crate) fn reply(world: &World, domain: &str, message: &[u8], tcp: bool) -> Reply {
    let replied = catch_unwind(AssertUnwindSafe(|| try_reply(world, domain, message, tcp)));
    match replied {
        Ok(reply) => reply.unwrap_or(Reply::Silence),
        Err(_) => {
            tracing::error!("a question to the cluster DNS made it panic");
            Reply::Silence
        }
    }
}

fn try_reply(world: &World, domain: &str, message: &[u8], tcp: bool) -> Option<Reply> {
    let question = Message::from_vec(message).ok()?;
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.queries.clone_from(&question.queries);
    let mut ours = true;
    match question.queries.first() {
        _ if question.metadata.op_code != OpCode::Query => answer.metadata.response_code = ResponseCode::NotImp,
        None => answer.metadata.response_code = ResponseCode::FormErr,
        Some(query) => {
            let name = query.name().to_ascii().to_ascii_lowercase();
            let found = zone::answer(&world.lock(), domain, name.trim_end_matches('.'), kind(query.query_type()));
            ours = found != Answer::Elsewhere;
            // Names come back as they were written: some clients compare the letters.
            fill(&mut answer, domain, found, query.name());
        }
    }
    let limit = if tcp { u16::MAX } else { question.edns.as_ref().map_or(DATAGRAM, |e| e.max_payload().max(DATAGRAM)) };
    let mut bytes = answer.to_vec().ok()?;
    if bytes.len() > usize::from(limit) {
        bytes = answer.truncate().to_vec().ok()?;
    }
    Some(if ours { Reply::Answer(bytes) } else { Reply::Elsewhere(bytes) })
}

fn fill(answer: &mut Message, domain: &str, found: Answer, asked: &Name) {
    answer.metadata.authoritative = found != Answer::Elsewhere;
    match found {
        Answer::Found(records, more) => {
            answer.add_answers(records.iter().filter_map(|r| wire(r, Some(asked))));
            answer.add_additionals(more.iter().filter_map(|r| wire(r, None)));
        }
        Answer::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
        Answer::Elsewhere => answer.metadata.response_code = ResponseCode::ServFail,
    }
    if answer.answers.is_empty() && answer.metadata.authoritative {
        answer.add_authorities(authority(domain));
    }
}

/// Says for how long an absence may be kept.
fn authority(domain: &str) -> Option<Wire> {
    let zone = Name::from_str(&format!("{domain}.")).ok()?;
    let (server, person) = (zone.prepend_label("dns").ok()?, zone.prepend_label("hostmaster").ok()?);
    let soa = SOA::new(server.prepend_label("ns").ok()?, person, 1, 7200, 1800, 86400, NEGATIVE_TTL);
    Some(Wire::from_rdata(zone, NEGATIVE_TTL, RData::SOA(soa)))
}

fn kind(kind: RecordType) -> Kind {
    match kind {
        RecordType::A => Kind::A,
        RecordType::SRV => Kind::Srv,
        RecordType::PTR => Kind::Ptr,
        RecordType::TXT => Kind::Txt,
        RecordType::SOA => Kind::Soa,
        _ => Kind::Other,
    }
}

fn wire(record: &Record, name: Option<&Name>) -> Option<Wire> {
    let absolute = |name: &str| Name::from_str(&format!("{name}.")).ok();
    let data = match &record.data {
        Data::A(address) => RData::A(A(*address)),
        Data::Cname(target) => RData::CNAME(CNAME(absolute(target)?)),
        Data::Srv(port, target) => RData::SRV(SRV::new(0, 100, *port, absolute(target)?)),
        Data::Ptr(target) => RData::PTR(PTR(absolute(target)?)),
        Data::Txt(text) => RData::TXT(TXT::new(vec![text.clone()])),
    };
    let name = name.cloned().or_else(|| absolute(&record.name))?;
    Some(Wire::from_rdata(name, TTL, data))
}
