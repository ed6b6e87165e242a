//! `loadbalance [round_robin]`: addresses in another order each time.

use futures::future::{BoxFuture, FutureExt};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};
use rand::seq::SliceRandom;

use super::{Building, once};
use crate::corefile::{Directive, Fault};
use crate::message::Question;
use crate::step::{Asker, Outcome, Rest, Step};

struct Shuffle;

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    match &directive.args[..] {
        [] => {}
        [word] if word.text == "round_robin" => {}
        [word, ..] if word.text == "weighted" => return Err(Fault::unsupported(word)),
        [_, word, ..] => return Err(Fault::at(word.line, "unknown property for round_robin")),
        [word] => return Err(Fault::at(word.line, format!("unknown policy: {}", word.text))),
    }
    if let Some(word) = directive.lines.first().and_then(|line| line.first()) {
        return Err(if word.text == "prefer" { Fault::unsupported(word) } else { Fault::unknown(word) });
    }
    building.push(Shuffle);
    Ok(())
}

/// Whether records of the type are shuffled, and their place: aliases lead to addresses.
fn rank(record: &Record) -> (bool, u8) {
    match record.record_type() {
        RecordType::CNAME => (false, 0),
        RecordType::A | RecordType::AAAA => (true, 2),
        RecordType::MX => (true, 3),
        _ => (false, 1),
    }
}

/// Whether the order is another one next time.
fn shuffle(records: &mut [Record]) -> bool {
    if records.iter().filter(|r| rank(r).0).count() < 2 {
        return false;
    }
    records.sort_by_key(|r| rank(r).1);
    let mut rest = records;
    while let Some(first) = rest.first().map(rank) {
        let length = rest.iter().take_while(|r| rank(r) == first).count();
        let (same, after) = rest.split_at_mut(length);
        if first.0 {
            same.shuffle(&mut rand::rng());
        }
        rest = after;
    }
    true
}

impl Step for Shuffle {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let answer = rest.answer(asker, question).map(|outcome| {
            outcome.map(|mut said| {
                if said.code == ResponseCode::NoError {
                    let sections = [&mut said.answers, &mut said.authorities, &mut said.additionals];
                    if sections.into_iter().fold(false, |any, records| shuffle(records) || any) {
                        asker.changes();
                    }
                }
                said
            })
        });
        Box::pin(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::{A, CNAME};
    use hickory_proto::rr::{Name, RData};

    #[test]
    fn aliases_stay_first_and_every_order_comes() {
        let name = Name::from_ascii("a.example.").expect("a name");
        let address = |last| Record::from_rdata(name.clone(), 5, RData::A(A::new(10, 0, 0, last)));
        let alias = Record::from_rdata(name.clone(), 5, RData::CNAME(CNAME(name.clone())));
        let mut firsts = std::collections::HashSet::new();
        for _ in 0..200 {
            let mut records = vec![address(1), address(2), alias.clone(), address(3)];
            assert!(shuffle(&mut records));
            assert_eq!(records[0], alias);
            firsts.insert(records[1].data.to_string());
        }
        assert_eq!(firsts.len(), 3);
        assert!(!shuffle(&mut [alias.clone(), address(1)]), "one has no order");
    }
}
