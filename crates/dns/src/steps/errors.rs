//! `errors`: writes down what went wrong, some lines a second at most, or how often it did within a while.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use regex::Regex;
use tracing::Level;

use super::{Building, once};
use crate::corefile::{Directive, Fault, Word, values};
use crate::message::Question;
use crate::step::{Asker, Outcome, Rest, Step};

/// Lines a second: who asks for what fails does not fill the disk.
const LINES: u32 = 10;

struct Errors {
    second: Mutex<Option<(Instant, u32)>>,
    patterns: Vec<Arc<Pattern>>,
    /// Our own questions (`loop`) may fail.
    ourselves: IpAddr,
}

/// Errors of which only the number is written down.
struct Pattern {
    period: Duration,
    pattern: Regex,
    level: Level,
    /// The first of them is written down at once, too.
    show_first: bool,
    count: AtomicU32,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    match &directive.args[..] {
        [] => {}
        [word] if word.text == "stdout" => {}
        [word] => return Err(Fault::at(word.line, format!("invalid log file: {}", word.text))),
        args => values::none(&directive.name, args)?,
    }
    let mut patterns = Vec::new();
    for line in &directive.lines {
        let Some((name, args)) = line.split_first() else { continue };
        match name.text.as_str() {
            "consolidate" => patterns.push(Arc::new(consolidate(building, name, args)?)),
            // What panics is written down with its stack in any case.
            "stacktrace" => values::none(name, args)?,
            _ => return Err(Fault::at(name.line, format!("Unknown field {}", name.text))),
        }
    }
    building.push(Errors { second: Mutex::default(), patterns, ourselves: building.environment.address });
    Ok(())
}

/// `DURATION REGEXP [LEVEL] [show_first]`.
fn consolidate(building: &mut Building<'_>, name: &Word, args: &[Word]) -> Result<Pattern, Fault> {
    let ([period, pattern, options @ ..], true) = (args, args.len() <= 4) else {
        return Err(Fault::arguments(args.last().unwrap_or(name)));
    };
    let (period, pattern) = (values::duration(period)?, building.pattern(pattern)?);
    let (mut level, mut show_first) = (None, false);
    for word in options {
        let found = match word.text.as_str() {
            "warning" => Level::WARN,
            "error" => Level::ERROR,
            "info" => Level::INFO,
            "debug" => Level::DEBUG,
            "show_first" => {
                show_first = true;
                continue;
            }
            other => return Err(Fault::at(word.line, format!("unknown option in consolidate: {other}"))),
        };
        if level.is_some() {
            return Err(Fault::at(word.line, "multiple log levels specified in consolidate"));
        }
        if show_first {
            return Err(Fault::at(word.line, "log level must come before show_first in consolidate"));
        }
        level = Some(found);
    }
    Ok(Pattern { period, pattern, level: level.unwrap_or(Level::ERROR), show_first, count: AtomicU32::new(0) })
}

impl Pattern {
    /// One more. Whether it is to be written down by itself; the first has them counted until its time is over.
    fn seen(self: &Arc<Self>) -> bool {
        let first = self.count.fetch_add(1, Ordering::Relaxed) == 0;
        if first {
            let pattern = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(pattern.period).await;
                if let Some(text) = pattern.summary() {
                    write(pattern.level, format_args!("{text}"));
                }
            });
        }
        first && self.show_first
    }

    /// What is said of those that were counted, if it was not said before.
    fn summary(&self) -> Option<String> {
        let count = self.count.swap(0, Ordering::Relaxed);
        let said = count == 0 || (count == 1 && self.show_first);
        (!said).then(|| format!("{count} errors like '{}' occurred in last {}", self.pattern, shown(self.period)))
    }
}

fn write(level: Level, text: fmt::Arguments<'_>) {
    match level {
        Level::WARN => tracing::warn!("cluster DNS: {text}"),
        Level::INFO => tracing::info!("cluster DNS: {text}"),
        Level::DEBUG => tracing::debug!("cluster DNS: {text}"),
        _ => tracing::error!("cluster DNS: {text}"),
    }
}

/// A duration, as Go writes it: `30s`, `5m0s`.
fn shown(duration: Duration) -> String {
    let (seconds, rest) = (duration.as_secs(), duration.subsec_millis());
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{rest}ms"),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
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
                if asker.asked.client == self.ourselves {
                    return outcome;
                }
                let (code, reason) = (u16::from(failure.code), &failure.reason);
                match self.patterns.iter().find(|pattern| pattern.pattern.is_match(reason)) {
                    Some(pattern) if pattern.seen() => write(pattern.level, format_args!("{code} {name} {kind}: {reason}")),
                    Some(_) => {}
                    None if self.place() => tracing::error!(code, %name, %kind, error = %reason, "cluster DNS"),
                    None => {}
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

    #[tokio::test(start_paused = true)]
    async fn errors_alike_are_counted_for_a_while() {
        let (period, pattern) = (Duration::from_secs(300), Regex::new("^no answer").expect("a pattern"));
        let of = |show_first| {
            let pattern = pattern.clone();
            Arc::new(Pattern { period, pattern, level: Level::WARN, show_first, count: AtomicU32::new(0) })
        };
        let counted = of(false);
        assert!(!counted.seen() && !counted.seen());
        assert_eq!(counted.summary().as_deref(), Some("2 errors like '^no answer' occurred in last 5m0s"));
        assert_eq!(counted.summary(), None);
        let shown = of(true);
        assert!(shown.seen());
        assert_eq!(shown.summary(), None, "it was said");
        assert!(shown.seen() && !shown.seen());
        // When its time is over it is told, and counted from the beginning.
        tokio::time::sleep(period * 2).await;
        assert_eq!(shown.count.load(Ordering::Relaxed), 0);
        assert_eq!([super::shown(Duration::from_millis(500)), super::shown(Duration::from_secs(3661))], ["500ms", "1h1m1s"]);
    }

    #[test]
    fn there_is_place_for_some_lines_a_second() {
        let errors = Errors { second: Mutex::default(), patterns: Vec::new(), ourselves: [127, 0, 0, 1].into() };
        assert_eq!((0..100).filter(|_| errors.place()).count(), usize::try_from(LINES).expect("a number"));
        let before = Instant::now().checked_sub(Duration::from_secs(2)).expect("a time");
        *errors.second.lock().expect("no panic") = Some((before, 1000));
        assert!(errors.place(), "the next second");
    }
}
