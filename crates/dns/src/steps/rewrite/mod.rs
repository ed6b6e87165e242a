//! `rewrite [continue|stop] FIELD ...`: another question is asked, and its answer is told as one to the first.

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::Building;
use crate::corefile::{Directive, Fault};
use crate::limits::RULES;
use crate::message::{Question, Said};
use crate::names::{parse, text};
use crate::step::{Asker, Failure, Outcome, Rest, Step};

mod names;
mod read;

use names::Match;

/// One rule.
struct Rule {
    /// The rules after it are tried, too.
    continues: bool,
    change: Change,
}

/// What a rule does to a question, or to its answer.
enum Change {
    Name { from: Match, auto: bool, answers: Vec<Back> },
    Type(RecordType, RecordType),
    Ttl(Match, u32, u32),
    Code(Match, ResponseCode, ResponseCode),
    Target(Match),
}

/// What a rule does to an answer's records, or to its code.
#[derive(Clone)]
enum Back {
    /// Owners' names.
    Owner(Match),
    /// Names within records.
    Value(Match),
    Ttl(u32, u32),
    Code(ResponseCode, ResponseCode),
    /// Aliases lead elsewhere.
    Target(Match, Question),
}

struct Rewrite(Vec<Rule>);

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    if let Some(directive) = directives.get(RULES) {
        return Err(Fault::at(directive.name.line, format!("more than {RULES} rules")));
    }
    let rules = directives.iter().map(|directive| read::rule(building, directive)).collect::<Result<_, _>>()?;
    building.push(Rewrite(rules));
    Ok(())
}

impl Step for Rewrite {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (mut now, mut backs) = (question.clone(), Vec::new());
            for rule in &self.0 {
                let Some(more) = rule.apply(&mut now) else { continue };
                if parse(&now.name).is_none() {
                    let why = format!("invalid name after rewrite: {}", now.name);
                    return Err(Failure::new(ResponseCode::ServFail, why));
                }
                backs.extend(more);
                if !rule.continues {
                    break;
                }
            }
            let outcome = rest.answer(asker, now).await;
            if backs.is_empty() {
                return outcome;
            }
            // A code without an answer is told the same way.
            let mut said = outcome.unwrap_or_else(|failure| Said::code(failure.code));
            for back in backs.iter().rev() {
                back.apply(asker, &mut said).await;
            }
            Ok(said)
        })
    }
}

impl Rule {
    /// Changes the question; says what is to be done to the answer. `None`: the rule is not about this one.
    fn apply(&self, question: &mut Question) -> Option<Vec<Back>> {
        match &self.change {
            Change::Name { from, auto, answers } => {
                let name = from.replace(&question.name)?;
                let before = std::mem::replace(&mut question.name, name.to_ascii_lowercase());
                let mut backs = Vec::new();
                if *auto {
                    let back = from.reversed(&before, &question.name);
                    backs.extend([Back::Owner(back.clone()), Back::Value(back)]);
                }
                backs.extend(answers.iter().cloned());
                Some(backs)
            }
            Change::Type(from, to) => (question.kind == *from).then(|| {
                question.kind = *to;
                Vec::new()
            }),
            Change::Ttl(names, least, most) => names.matches(&question.name).then(|| vec![Back::Ttl(*least, *most)]),
            Change::Code(names, from, to) => names.matches(&question.name).then(|| vec![Back::Code(*from, *to)]),
            Change::Target(names) => Some(vec![Back::Target(names.clone(), question.clone())]),
        }
    }
}

impl Back {
    async fn apply(&self, asker: &Asker, said: &mut Said) {
        match self {
            Back::Owner(names) => said.records_mut().for_each(|record| change(&mut record.name, names)),
            Back::Value(names) => said.records_mut().filter_map(value).for_each(|name| change(name, names)),
            Back::Ttl(least, most) => said.records_mut().for_each(|r| r.ttl = r.ttl.clamp(*least, *most)),
            Back::Code(from, to) if said.code == *from => said.code = *to,
            Back::Code(..) => {}
            Back::Target(names, question) => target(asker, names, question, said).await,
        }
    }
}

fn change(name: &mut Name, names: &Match) {
    let new = names.replace(&text(name)).and_then(|new| parse(&new));
    if let Some(new) = new {
        *name = new;
    }
}

/// The name that a record says.
fn value(record: &mut Record) -> Option<&mut Name> {
    Some(match &mut record.data {
        RData::SRV(srv) => &mut srv.target,
        RData::MX(mx) => &mut mx.exchange,
        RData::CNAME(name) => &mut name.0,
        RData::NS(name) => &mut name.0,
        RData::PTR(name) => &mut name.0,
        RData::NAPTR(naptr) => &mut naptr.replacement,
        RData::SOA(soa) => &mut soa.mname,
        _ => return None,
    })
}

/// Has the first alias that a rule is about lead to another name, and looks that one up.
async fn target(asker: &Asker, names: &Match, question: &Question, said: &mut Said) {
    let wanted = |record: &Record| match &record.data {
        RData::CNAME(target) => names.replace(&text(&target.0).to_ascii_lowercase()),
        _ => None,
    };
    let found = said.answers.iter().enumerate().find_map(|(at, record)| Some((at, wanted(record)?)));
    let Some((at, new)) = found else { return };
    let Some(name) = parse(&new) else { return };
    let Some(more) = asker.lookup(question, &new, question.kind).await else { return };
    said.answers.truncate(at + 1);
    said.answers.retain(|record| record.record_type() == RecordType::CNAME);
    if let Some(RData::CNAME(target)) = said.answers.last_mut().map(|record| &mut record.data) {
        target.0 = name;
    }
    said.answers.extend(more.answers);
    said.truncated = more.truncated;
}

#[cfg(test)]
mod tests;
