//! `any`: who asks for everything gets next to nothing (RFC 8482).

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{RData, Record, RecordType};

use super::{Building, once};
use crate::corefile::{Directive, Fault, values};
use crate::names;
use crate::message::{Question, Said};
use crate::step::{Asker, Outcome, Rest, Step};

/// How long the answer may be kept (CoreDNS: 8482 s).
const TTL: u32 = 8482;

struct Any;

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    values::none(&directive.name, &directive.args)?;
    building.push(Any);
    Ok(())
}

impl Step for Any {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        if question.kind != RecordType::ANY {
            return rest.answer(asker, question);
        }
        let mut said = Said::code(ResponseCode::NoError);
        let info = RData::HINFO(HINFO::new("ANY obsoleted".to_owned(), "See RFC 8482".to_owned()));
        said.answers.extend(names::parse(&question.name).map(|name| Record::from_rdata(name, TTL, info)));
        Box::pin(async { Ok(said) })
    }
}
