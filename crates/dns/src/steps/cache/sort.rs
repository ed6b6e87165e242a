//! What sort of answer it is, and for how long it may be kept (upstream: `plugin/pkg/response`, `plugin/cache`).

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::message::Said;

/// How long what says nothing about itself may be kept.
const SHORTEST: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// There are records, or servers to ask for them.
    Success,
    /// There is no such name, or no such record; a SOA says for how long.
    Denial,
    /// The servers failed.
    Failure,
    /// It is not to be kept.
    Passing,
}

/// The sort of an answer to a question.
pub(super) fn sort(said: &Said, name: &str, kind: RecordType) -> Sort {
    let soa = said.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
    match said.code {
        _ if said.truncated => Sort::Passing,
        ResponseCode::NoError if !said.answers.is_empty() && !answers(said, name, kind) => {
            // The aliases lead to nothing.
            if soa { Sort::Denial } else { Sort::Passing }
        }
        ResponseCode::NoError if said.answers.is_empty() && soa => Sort::Denial,
        ResponseCode::NoError => Sort::Success,
        ResponseCode::NXDomain if said.answers.is_empty() && soa => Sort::Denial,
        ResponseCode::ServFail | ResponseCode::NotImp if said.answers.is_empty() => Sort::Failure,
        _ => Sort::Passing,
    }
}

/// The shortest time that a record of the answer may be kept, in seconds.
pub(super) fn ttl(said: &Said) -> u32 {
    let delegation = said.answers.is_empty() && said.authorities.iter().all(|r| r.record_type() == RecordType::NS);
    let records = said.answers.iter().chain(&said.authorities).chain(&said.additionals);
    let shortest = records.map(|record| record.ttl).min();
    if said.code == ResponseCode::NoError && delegation { SHORTEST } else { shortest.unwrap_or(SHORTEST) }
}

/// Whether the aliases lead from the name to a record of the type.
fn answers(said: &Said, name: &str, kind: RecordType) -> bool {
    let Some(mut name) = crate::names::parse(name) else { return false };
    let alias_of = |name: &Name| {
        let mut targets = said.answers.iter().filter(|r| r.name == *name).filter_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        let first = targets.next()?;
        targets.all(|target| target == first).then(|| first.clone())
    };
    if matches!(kind, RecordType::CNAME | RecordType::ANY) {
        return said.answers.iter().any(|r| r.name == name && (kind == RecordType::ANY || r.record_type() == kind));
    }
    // A circle ends, too: no alias is followed twice.
    for _ in 0..=said.answers.len() {
        match alias_of(&name) {
            Some(target) => name = target,
            None => return said.answers.iter().any(|r| r.name == name && r.record_type() == kind),
        }
    }
    false
}
