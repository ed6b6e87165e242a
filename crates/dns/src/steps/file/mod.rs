//! `file FILE [ZONES...]`: zones as they are written in zone files (RFC 1035, 5), which are keys of the ConfigMap.

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::Building;
use crate::corefile::values::{self, Through};
use crate::corefile::{Directive, FOLDER, Fault, zones};
use crate::limits::RECORDS;
use crate::message::{Question, Said};
use crate::names;
use crate::step::{Asker, Failure, Outcome, Rest, Step};
use zone::{Answer, Found, Result as Is, Zone};

mod zone;

struct Zones {
    /// By name, with the final dot.
    zones: Vec<(String, Zone)>,
    through: Through,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let (mut all, mut through, mut records) = (Vec::new(), Through::default(), 0);
    for directive in directives {
        let Some((file, args)) = directive.args.split_first() else { return Err(Fault::arguments(&directive.name)) };
        let text = file.text.strip_prefix(FOLDER).and_then(|key| building.files.get(key));
        let why = || format!("'{}' is no key of the ConfigMap below {FOLDER}", file.text);
        let text = text.ok_or_else(|| Fault::at(file.line, why()))?;
        for origin in zones::origins(args, building.zones)? {
            let zone = Zone::read(text, &origin, &file.text).map_err(|why| Fault::at(file.line, why))?;
            records += zone.records();
            if records > RECORDS {
                return Err(Fault::at(file.line, format!("more than {RECORDS} records")));
            }
            all.push((origin, zone));
        }
        for line in &directive.lines {
            let Some((name, args)) = line.split_first() else { continue };
            match name.text.as_str() {
                "fallthrough" => through = Through::read(args)?,
                // What is a file to CoreDNS is taken anew as soon as it changes.
                "reload" => drop(values::duration(values::one(name, args)?)?),
                "reload_by_mtime" => values::none(name, args)?,
                // What it asked for is always done.
                "upstream" => {}
                _ => return Err(Fault::unknown(name)),
            }
        }
    }
    building.push(Zones { zones: all, through });
    Ok(())
}

impl Zones {
    /// The most special zone that a name is in; of several alike the last.
    fn zone(&self, name: &str) -> Option<&Zone> {
        let within = self.zones.iter().filter(|(origin, _)| zones::within(name, origin));
        within.max_by_key(|(origin, _)| origin.len()).map(|(_, zone)| zone)
    }
}

impl Step for Zones {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let Some(zone) = self.zone(&question.name) else {
            // Whoever has zones, and nothing else, is not asked for others.
            return match rest.0.is_empty() {
                true => Box::pin(async { Err(Failure::new(ResponseCode::Refused, "no zone has this name")) }),
                false => rest.answer(asker, question),
            };
        };
        Box::pin(async move {
            if matches!(question.kind, RecordType::AXFR | RecordType::IXFR) {
                return Err(Failure::new(ResponseCode::Refused, "zone transfers are not supported"));
            }
            let unreadable = || Failure::new(ResponseCode::ServFail, "the name cannot be read");
            let name = names::parse(&question.name).ok_or_else(unreadable)?;
            let answer = match zone.find(&name, question.kind) {
                Found::Here(answer) => answer,
                Found::Elsewhere(aliases, target) => {
                    let said = asker.lookup(&question, &names::text(&target), question.kind).await;
                    zone.complete(aliases, said)
                }
            };
            if answer.nothing() && self.through.passes(&question.name) {
                return rest.answer(asker, question).await;
            }
            said(answer)
        })
    }
}

fn said(answer: Answer) -> Outcome {
    let code = match answer.result {
        Is::Success | Is::NoData | Is::Empty | Is::Delegation => ResponseCode::NoError,
        Is::NoSuchName => ResponseCode::NXDomain,
        Is::Failure if answer.answers.is_empty() => {
            return Err(Failure::new(ResponseCode::ServFail, "aliases of the zone lead nowhere"));
        }
        Is::Failure => ResponseCode::ServFail,
    };
    let mut said = Said::code(code);
    // Who leads to other servers does not speak for them.
    said.authoritative = answer.result != Is::Delegation || !answer.answers.is_empty();
    (said.answers, said.authorities, said.additionals) = (answer.answers, answer.authorities, answer.additionals);
    Ok(said)
}
