//! `prometheus [ADDRESS]`: questions are counted, and the counts told over HTTP, at the server's own address.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Building, health, once};
use crate::corefile::{Directive, Fault, zones};
use crate::http::Tell;
use crate::message::Question;
use crate::metrics::Metrics;
use crate::step::{Asker, Outcome, Rest, Step};

struct Count {
    metrics: Arc<Metrics>,
    zones: Vec<String>,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    let port = health::port(building, directive, 9153)?;
    if let Some(word) = directive.lines.first().and_then(|line| line.first()) {
        return Err(Fault::unsupported(word));
    }
    building.site.tells.push((port, Tell::Metrics, directive.name.line));
    let count = Count { metrics: building.environment.metrics.clone(), zones: building.zones.to_vec() };
    building.push(count);
    Ok(())
}

impl Step for Count {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        // What is asked to complete an answer is no question of a client.
        if question.depth == 0 {
            let zone = self.zones.iter().filter(|zone| zones::within(&question.name, zone)).max_by_key(|zone| zone.len());
            asker.counted(self.metrics.series(zone.map_or(".", String::as_str), question.kind));
        }
        rest.answer(asker, question)
    }
}
