//! `log [NAMES...]`: writes down what is asked and answered.

use std::time::Instant;

use futures::future::{BoxFuture, FutureExt};
use hickory_proto::op::ResponseCode;

use super::Building;
use crate::corefile::values::code_name;
use crate::corefile::{Directive, Fault, zones};
use crate::message::Question;
use crate::step::{Asker, Outcome, Rest, Step};

/// Which answers are written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    All,
    Success,
    Denial,
    Error,
}

struct Log(Vec<(Vec<String>, Vec<Class>)>);

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let rules = directives.iter().map(rule).collect::<Result<_, _>>()?;
    building.push(Log(rules));
    Ok(())
}

fn rule(directive: &Directive) -> Result<(Vec<String>, Vec<Class>), Fault> {
    if let Some(word) = directive.args.iter().find(|w| w.text.contains('{')) {
        return Err(Fault::at(word.line, "formats are not supported"));
    }
    let names = zones::origins(&directive.args, &[".".to_owned()])?;
    let mut classes = Vec::new();
    for line in &directive.lines {
        match &line[..] {
            [name, _, ..] if name.text == "class" => {
                classes.extend(line[1..].iter().map(class).collect::<Result<Vec<_>, _>>()?);
            }
            [name, ..] if name.text == "class" => return Err(Fault::arguments(name)),
            line => line.first().map_or(Ok(()), |name| Err(Fault::unknown(name)))?,
        }
    }
    if classes.is_empty() {
        classes.push(Class::All);
    }
    Ok((names, classes))
}

fn class(word: &crate::corefile::Word) -> Result<Class, Fault> {
    Ok(match word.text.as_str() {
        "all" => Class::All,
        "success" => Class::Success,
        "denial" => Class::Denial,
        "error" => Class::Error,
        other => return Err(Fault::at(word.line, format!("invalid Class: {other}"))),
    })
}

fn class_of(outcome: &Outcome) -> Class {
    match outcome {
        Ok(said) if said.code == ResponseCode::NXDomain => Class::Denial,
        Ok(said) if said.code != ResponseCode::NoError => Class::Error,
        Ok(said) if said.answers.is_empty() => Class::Denial,
        Ok(_) => Class::Success,
        Err(_) => Class::Error,
    }
}

impl Step for Log {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let Some((_, classes)) = self.0.iter().find(|(names, _)| names.iter().any(|n| zones::within(&question.name, n))) else {
            return rest.answer(asker, question);
        };
        asker.changes();
        let (name, kind, start) = (question.name.clone(), question.kind, Instant::now());
        let answer = rest.answer(asker, question).map(move |outcome| {
            if classes.contains(&Class::All) || classes.contains(&class_of(&outcome)) {
                let code = code_name(outcome.as_ref().map_or_else(|f| f.code, |said| said.code));
                let (client, transport) = (asker.asked.client, if asker.asked.tcp { "tcp" } else { "udp" });
                let seconds = start.elapsed().as_secs_f64();
                tracing::info!(%client, %name, %kind, transport, code, seconds, "cluster DNS");
            }
            outcome
        });
        Box::pin(answer)
    }
}
