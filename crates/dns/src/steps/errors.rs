//! `errors`: writes down what went wrong, some lines a second at most.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};

use super::{Building, once};
use crate::corefile::{Directive, Fault, values};
use crate::message::Question;
use crate::step::{Asker, Outcome, Rest, Step};

/// Lines a second: who asks for what fails does not fill the disk.
const LINES: u32 = 10;

struct Errors {
    second: Mutex<Option<(Instant, u32)>>,
    /// Our own questions (`loop`) may fail.
    ourselves: IpAddr,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    match &directive.args[..] {
        [] => {}
        [word] if word.text == "stdout" => {}
        [word] => return Err(Fault::at(word.line, format!("invalid log file: {}", word.text))),
        args => values::none(&directive.name, args)?,
    }
    if let Some(word) = directive.lines.first().and_then(|line| line.first()) {
        let known = ["consolidate", "stacktrace"].contains(&word.text.as_str());
        return Err(if known { Fault::unsupported(word) } else { Fault::unknown(word) });
    }
    building.push(Errors { second: Mutex::default(), ourselves: building.environment.address });
    Ok(())
}

impl Errors {
    /// Whether there is place for one more line in this second.
    fn place(&self) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = second.filter(|(since, _)| since.elapsed() < Duration::from_secs(1)).unwrap_or((Instant::now(), 0));
        *second = Some((since, count.saturating_add(1)));
        count < LINES
    }
}

impl Step for Errors {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let (name, kind) = (question.name.clone(), question.kind);
        let answer = rest.answer(asker, question).map(move |outcome| {
            if let Err(failure) = &outcome {
                // The next one is to be seen, too.
                asker.changes();
                if asker.asked.client != self.ourselves && self.place() {
                    tracing::error!(code = u16::from(failure.code), %name, %kind, error = %failure.reason, "cluster DNS");
                }
            }
            outcome
        });
        Box::pin(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_place_for_some_lines_a_second() {
        let errors = Errors { second: Mutex::default(), ourselves: [127, 0, 0, 1].into() };
        assert_eq!((0..100).filter(|_| errors.place()).count(), usize::try_from(LINES).expect("a number"));
        let before = Instant::now().checked_sub(Duration::from_secs(2)).expect("a time");
        *errors.second.lock().expect("no panic") = Some((before, 1000));
        assert!(errors.place(), "the next second");
    }
}
