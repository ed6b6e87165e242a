//! The wire form of questions and answers. Pure.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{DNSClass, Record, RecordType};

use crate::names;

/// The largest answer over UDP to a client that does not say what it can take.
const DATAGRAM: u16 = 512;
/// The head of a message, in bytes.
const HEAD: usize = 12;

/// A question on its way through the steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// In lower case, with its final dot; what is no letter is escaped as in zone files.
    pub(crate) name: String,
    pub(crate) kind: RecordType,
    /// How many answers ask this to be complete.
    pub(crate) depth: u8,
    /// What is kept does not count: it is to be renewed.
    pub(crate) fresh: bool,
}

impl Question {
    pub(crate) fn new(name: &str, kind: RecordType) -> Self {
        Question { name: name.to_ascii_lowercase(), kind, depth: 0, fresh: false }
    }

    /// The name without its final dot.
    pub(crate) fn bare(&self) -> &str {
        self.name.strip_suffix('.').unwrap_or(&self.name)
    }
}

/// What a client sent.
#[derive(Clone)]
pub(crate) struct Asked {
    id: u16,
    op_code: OpCode,
    recursion_desired: bool,
    pub(crate) authentic_data: bool,
    pub(crate) checking_disabled: bool,
    edns: Option<Extended>,
    query: Option<Query>,
    pub(crate) tcp: bool,
    pub(crate) client: IpAddr,
}

/// What a client says in its OPT record (RFC 6891).
#[derive(Clone)]
struct Extended {
    version: u8,
    payload: u16,
    dnssec_ok: bool,
    /// It asks which server answers.
    identify: bool,
    /// Which one does.
    identifier: Option<String>,
}

/// What is said to a question.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: ResponseCode,
    pub(crate) authoritative: bool,
    pub(crate) authentic: bool,
    pub(crate) truncated: bool,
    /// Another name server said it.
    pub(crate) foreign: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

impl Said {
    /// Nothing but a code.
    pub(crate) fn code(code: ResponseCode) -> Self {
        let (answers, authorities, additionals) = (Vec::new(), Vec::new(), Vec::new());
        let (authoritative, authentic, truncated, foreign) = (false, false, false, false);
        Said { code, authoritative, authentic, truncated, foreign, answers, authorities, additionals }
    }

    /// All records.
    pub(crate) fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.authorities.iter_mut().chain(&mut self.answers).chain(&mut self.additionals)
    }
}

/// What is done with a message.
pub(crate) enum Read {
    /// It is a question.
    Question(Asked, Question),
    /// It gets this answer.
    Refused(Vec<u8>),
    /// It is no question, and gets none.
    Silence,
}

/// Reads a message, as CoreDNS' library takes and refuses them.
pub(crate) fn read(bytes: &[u8], tcp: bool, client: IpAddr) -> Read {
    // Bit 7 of the third byte: it is an answer itself.
    if bytes.len() < HEAD || bytes[2] & 0x80 != 0 {
        return Read::Silence;
    }
    let Ok(message) = Message::from_vec(bytes) else { return refuse_head(bytes, ResponseCode::FormErr) };
    let (metadata, many) = (message.metadata, message.queries.len() != 1);
    let edns = message.edns.as_ref().map(|e| Extended {
        version: e.version(),
        payload: e.max_payload(),
        dnssec_ok: e.flags().dnssec_ok,
        identify: e.option(EdnsCode::NSID).is_some(),
        identifier: None,
    });
    let unknown = edns.as_ref().is_some_and(|e| e.version > 0);
    let asked = Asked {
        id: metadata.id,
        op_code: metadata.op_code,
        recursion_desired: metadata.recursion_desired,
        authentic_data: metadata.authentic_data,
        checking_disabled: metadata.checking_disabled,
        edns,
        query: message.queries.into_iter().next().filter(|_| !many),
        tcp,
        client,
    };
    let refuse = |code| Read::Refused(asked.encode(Said::code(code)));
    match &asked.query {
        _ if metadata.message_type != MessageType::Query => Read::Silence,
        _ if metadata.op_code != OpCode::Query => refuse(ResponseCode::NotImp),
        None => refuse(ResponseCode::FormErr),
        Some(_) if unknown => refuse(ResponseCode::BADVERS),
        Some(query) if query.query_class() != DNSClass::IN => refuse(ResponseCode::Refused),
        Some(query) => {
            let question = Question::new(&names::text(query.name()), query.query_type());
            Read::Question(asked, question)
        }
    }
}

fn refuse_head(bytes: &[u8], code: ResponseCode) -> Read {
    let op_code = OpCode::from_u8(bytes[2] >> 3 & 0xf);
    let id = u16::from_be_bytes([bytes[0], bytes[1]]);
    Message::error_msg(id, op_code, code).to_vec().map_or(Read::Silence, Read::Refused)
}

impl Asked {
    /// Whether the client wants signatures.
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|e| e.dnssec_ok)
    }

    /// Has the client take so many bytes at most over UDP.
    pub(crate) fn at_most(&mut self, payload: u16) {
        if let Some(edns) = &mut self.edns {
            edns.payload = edns.payload.min(payload);
        }
    }

    /// Tells the client which server answers, if it asks.
    pub(crate) fn identify(&mut self, identifier: &str) {
        if let Some(edns) = self.edns.as_mut().filter(|edns| edns.identify) {
            edns.identifier = Some(identifier.to_owned());
        }
    }

    /// How many bytes the client takes.
    pub(crate) fn limit(&self) -> u16 {
        if self.tcp { u16::MAX } else { self.edns.as_ref().map_or(DATAGRAM, |e| e.payload.max(DATAGRAM)) }
    }

    /// The question as it is sent to other name servers.
    pub(crate) fn forward(&self, question: &Question, id: u16) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.authentic_data = self.authentic_data;
        message.metadata.checking_disabled = self.checking_disabled;
        message.add_query(Query::query(names::parse(&question.name)?, question.kind));
        if let Some(edns) = &self.edns {
            message.set_edns(edns.record(edns.version));
        }
        message.to_vec().ok()
    }

    /// The answer's bytes. What the client cannot take is left out from the end, and the answer says so.
    pub(crate) fn encode(&self, mut said: Said) -> Vec<u8> {
        let mut message = Message::response(self.id, self.op_code);
        let head = &mut message.metadata;
        head.recursion_desired = self.recursion_desired;
        head.recursion_available = true;
        head.checking_disabled = self.checking_disabled;
        head.authoritative = said.authoritative;
        head.truncation = said.truncated;
        head.authentic_data = said.authentic && (self.authentic_data || self.dnssec_ok());
        head.response_code = said.code;
        if let Some(query) = &self.query {
            // Names come back as they were written: some clients compare the letters.
            said.records_mut().filter(|r| r.name == *query.name()).for_each(|r| r.name = query.name().clone());
            message.add_query(query.clone());
        }
        if let Some(edns) = &self.edns {
            let mut record = edns.record(0);
            let identifier = edns.identifier.as_deref().and_then(|text| NSIDPayload::new(text).ok());
            identifier.into_iter().for_each(|payload| record.options_mut().insert(EdnsOption::NSID(payload)));
            message.set_edns(record);
        } else if u16::from(said.code) > 0xf {
            // There is no place for it.
            message.metadata.response_code = ResponseCode::ServFail;
        }
        message.answers = said.answers;
        message.authorities = said.authorities;
        message.additionals = said.additionals;
        fit(message, usize::from(self.limit()))
    }
}

impl Extended {
    fn record(&self, version: u8) -> Edns {
        let mut edns = Edns::new();
        edns.set_version(version).set_max_payload(self.payload).set_dnssec_ok(self.dnssec_ok);
        edns
    }
}

/// As many records, in their order, as there is place for.
fn fit(mut message: Message, limit: usize) -> Vec<u8> {
    let bytes = message.to_vec().unwrap_or_default();
    if bytes.len() <= limit && !bytes.is_empty() {
        return bytes;
    }
    let (answers, authorities) = (std::mem::take(&mut message.answers), std::mem::take(&mut message.authorities));
    let additionals = std::mem::take(&mut message.additionals);
    message.metadata.truncation = true;
    let mut with = |count: usize| {
        let (of_answers, rest) = (count.min(answers.len()), count.saturating_sub(answers.len()));
        let (of_authorities, rest) = (rest.min(authorities.len()), rest.saturating_sub(authorities.len()));
        message.answers = answers[..of_answers].to_vec();
        message.authorities = authorities[..of_authorities].to_vec();
        message.additionals = additionals[..rest.min(additionals.len())].to_vec();
        message.to_vec().ok().filter(|bytes| bytes.len() <= limit)
    };
    // `fits` records have place, `not` have none.
    let (mut fits, mut not) = (0, answers.len() + authorities.len() + additionals.len());
    let mut best = with(0).unwrap_or_default();
    while fits + 1 < not {
        let middle = fits.midpoint(not);
        match with(middle) {
            Some(bytes) => (fits, best) = (middle, bytes),
            None => not = middle,
        }
    }
    best
}

#[cfg(test)]
mod tests;
