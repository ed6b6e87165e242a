//! `template CLASS TYPE [ZONES...]`: records made from the question's name.

use std::str::FromStr;

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType};
use regex::Regex;

use super::Building;
use crate::corefile::values::{self, Through};
use crate::corefile::{Directive, Fault, zones};
use crate::limits::RULES;
use crate::message::{Question, Said};
use crate::names;
use crate::step::{Asker, Failure, Outcome, Rest, Step};
use text::{Facts, Text};

mod text;

struct Template {
    zones: Vec<String>,
    /// `None`: any.
    kind: Option<RecordType>,
    patterns: Vec<Regex>,
    answers: Vec<Text>,
    additionals: Vec<Text>,
    authorities: Vec<Text>,
    code: ResponseCode,
    through: Through,
}

struct Templates(Vec<Template>);

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    if let Some(directive) = directives.get(RULES) {
        return Err(Fault::at(directive.name.line, format!("more than {RULES} templates")));
    }
    let templates = directives.iter().map(|directive| read(building, directive)).collect::<Result<_, _>>()?;
    building.push(Templates(templates));
    Ok(())
}

fn read(building: &mut Building<'_>, directive: &Directive) -> Result<Template, Fault> {
    let [class, kind, rest @ ..] = &directive.args[..] else { return Err(Fault::arguments(&directive.name)) };
    if !["IN", "ANY"].contains(&class.text.as_str()) {
        return Err(Fault::at(class.line, format!("invalid query class {}", class.text)));
    }
    let mut template = Template {
        zones: zones::origins(rest, building.zones)?,
        kind: if kind.text == "ANY" { None } else { Some(values::record_type(kind)?) },
        patterns: Vec::new(),
        answers: Vec::new(),
        additionals: Vec::new(),
        authorities: Vec::new(),
        code: ResponseCode::NoError,
        through: Through::default(),
    };
    for line in &directive.lines {
        let Some((name, args)) = line.split_first() else { continue };
        let texts = || args.iter().map(Text::read).collect::<Result<Vec<_>, _>>();
        match name.text.as_str() {
            "match" | "answer" | "additional" | "authority" if args.is_empty() => return Err(Fault::arguments(name)),
            "match" => {
                for word in args {
                    template.patterns.push(building.pattern(word)?);
                }
            }
            "answer" => template.answers.extend(texts()?),
            "additional" => template.additionals.extend(texts()?),
            "authority" => template.authorities.extend(texts()?),
            "rcode" => template.code = values::response_code(values::one(name, args)?)?,
            "fallthrough" => template.through = Through::read(args)?,
            // What it asked for is always done.
            "upstream" => {}
            "ederror" | "var" | "expr" => return Err(Fault::unsupported(name)),
            _ => return Err(Fault::unknown(name)),
        }
        let records = template.answers.len() + template.additionals.len() + template.authorities.len();
        if records > RULES {
            return Err(Fault::at(name.line, format!("more than {RULES} records")));
        }
    }
    Ok(template)
}

/// Whether a template is about a question.
enum Found<'a> {
    Yes(Facts<'a>),
    /// It is about its zone and type, but the name does not fit; the next one is asked if it falls through.
    NoSuchName,
    No,
}

impl Template {
    fn find<'a>(&'a self, asker: &Asker, question: &'a Question) -> Found<'a> {
        let name = &question.name;
        let zone = self.zones.iter().filter(|zone| zones::within(name, zone)).max_by_key(|zone| zone.len());
        let kind = question.kind;
        let of_kind = self.kind.is_none_or(|wanted| wanted == kind || kind == RecordType::ANY);
        let Some(zone) = zone.filter(|_| of_kind) else { return Found::No };
        let kind = if kind == RecordType::ANY { self.kind.unwrap_or(kind) } else { kind };
        let facts = |pattern: Option<&'a Regex>| Facts::new(zone, name, kind, asker.asked.client, pattern);
        if self.patterns.is_empty() {
            return Found::Yes(facts(None));
        }
        match self.patterns.iter().find(|pattern| pattern.is_match(name)) {
            Some(pattern) => Found::Yes(facts(Some(pattern))),
            None => Found::NoSuchName,
        }
    }

    async fn say(&self, asker: &Asker, question: &Question, facts: &Facts<'_>) -> Outcome {
        if self.code == ResponseCode::ServFail {
            return Err(Failure::new(self.code, "a template says so"));
        }
        let mut said = Said::code(self.code);
        said.authoritative = true;
        for text in &self.answers {
            let record = record(text, facts)?;
            let alias = match &record.data {
                RData::CNAME(target) => Some(names::text(&target.0)),
                _ => None,
            };
            said.answers.push(record);
            let wanted = matches!(question.kind, RecordType::A | RecordType::AAAA);
            if let Some(target) = alias.filter(|_| wanted)
                && let Some(more) = asker.lookup(question, &target, question.kind).await
            {
                said.truncated = more.truncated;
                said.answers.extend(more.answers);
            }
        }
        said.additionals = self.additionals.iter().map(|text| record(text, facts)).collect::<Result<_, _>>()?;
        said.authorities = self.authorities.iter().map(|text| record(text, facts)).collect::<Result<_, _>>()?;
        Ok(said)
    }
}

impl Step for Templates {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            for template in &self.0 {
                match template.find(asker, &question) {
                    Found::Yes(facts) => {
                        asker.changes();
                        return template.say(asker, &question, &facts).await;
                    }
                    Found::NoSuchName if !template.through.passes(&question.name) => {
                        return Err(Failure::new(ResponseCode::ServFail, "no template matches, and no fallthrough"));
                    }
                    Found::NoSuchName | Found::No => {}
                }
            }
            rest.answer(asker, question).await
        })
    }
}

fn record(text: &Text, facts: &Facts<'_>) -> Result<Record, Failure> {
    let made = text.made(facts);
    made.and_then(|line| parse(&line)).ok_or_else(|| Failure::new(ResponseCode::ServFail, "a template makes no record"))
}

/// `NAME [TTL] [CLASS] TYPE DATA`, as in zone files.
fn parse(line: &str) -> Option<Record> {
    let (mut ttl, mut rest) = (3600, line.trim_start());
    let mut next = || {
        let (word, after) = rest.split_once(char::is_whitespace)?;
        rest = after.trim_start();
        Some(word)
    };
    let name = names::parse(next()?)?;
    loop {
        let word = next()?;
        if let Ok(seconds) = word.parse() {
            ttl = seconds;
        } else if !word.eq_ignore_ascii_case("IN") {
            let kind = RecordType::from_str(&word.to_ascii_uppercase()).ok()?;
            return Some(Record::from_rdata(name, ttl, RData::try_from_str(kind, rest).ok()?));
        }
    }
}

#[cfg(test)]
mod tests;
