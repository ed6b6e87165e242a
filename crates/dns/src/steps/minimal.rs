//! `minimal`: of what goes along with an answer only what must.

use futures::future::{BoxFuture, FutureExt};
use hickory_proto::op::ResponseCode;

use super::{Building, once};
use crate::corefile::{Directive, Fault, values};
use crate::message::Question;
use crate::step::{Asker, Outcome, Rest, Step};

struct Minimal;

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    values::none(&directive.name, &directive.args)?;
    building.push(Minimal);
    Ok(())
}

impl Step for Minimal {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let answer = rest.answer(asker, question).map(|outcome| {
            outcome.map(|mut said| {
                // A denial needs its SOA, a delegation its servers.
                if said.code == ResponseCode::NoError && !said.answers.is_empty() {
                    said.authorities.clear();
                    said.additionals.clear();
                }
                said
            })
        });
        Box::pin(answer)
    }
}
