//! The steps that a question goes through: each answers it, or changes it and what comes back, or hands it on.
//! (CoreDNS: plug-ins, in the order of `plugin.cfg`.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::time::Instant;

use crate::http::Tell;
use crate::limits::{DEPTH, LOOKUPS, Permit, Permits};
use crate::message::{Asked, Question, Said};
use crate::metrics::Series;
use crate::world::World;

/// What comes of a question: an answer, or a code without one.
pub(crate) type Outcome = Result<Said, Failure>;

/// A code without records, and the reason, for people.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: ResponseCode,
    pub(crate) reason: String,
    /// Who asks again at once fails again: other name servers do not answer.
    pub(crate) lasting: bool,
}

impl Failure {
    pub(crate) fn new(code: ResponseCode, reason: impl Into<String>) -> Self {
        Failure { code, reason: reason.into(), lasting: false }
    }
}

/// One step.
pub(crate) trait Step: Send + Sync {
    /// What comes of a question at this step and those after it.
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome>;
}

/// The steps that come after one.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'a>(pub(crate) &'a [Box<dyn Step>]);

impl<'a> Rest<'a> {
    /// Hands a question on.
    pub(crate) fn answer(self, asker: &'a Asker, question: Question) -> BoxFuture<'a, Outcome> {
        match self.0.split_first() {
            Some((next, rest)) => next.answer(asker, question, Rest(rest)),
            None => Box::pin(async { Err(Failure::new(ResponseCode::ServFail, "no next plugin found")) }),
        }
    }
}

/// What one port answers: steps by zone (lower case, with the final dot).
#[derive(Default)]
pub(crate) struct Plan {
    /// What the answers are about.
    pub(crate) world: World,
    pub(crate) sites: HashMap<String, Arc<Site>>,
}

/// One server block.
#[derive(Default)]
pub(crate) struct Site {
    /// The largest answer over UDP.
    pub(crate) payload: Option<u16>,
    /// What clients are told who ask which server answers.
    pub(crate) identifier: Option<String>,
    pub(crate) steps: Vec<Box<dyn Step>>,
    /// What the server asks itself as soon as it listens.
    pub(crate) probes: Vec<Probe>,
    /// What is told over HTTP at which port, and the line that says so.
    pub(crate) tells: Vec<(u16, Tell, usize)>,
}

/// A question to ourselves.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) name: String,
    pub(crate) kind: RecordType,
}

impl Plan {
    /// The site of the most special zone that a name is in.
    pub(crate) fn site(&self, name: &str) -> Option<&Arc<Site>> {
        let mut rest = name;
        loop {
            if let Some(site) = self.sites.get(rest) {
                return Some(site);
            }
            rest = match rest.split_once('.') {
                Some((_, "")) if rest != "." => ".",
                Some((_, parent)) if !parent.is_empty() => parent,
                _ => return None,
            };
        }
    }
}

/// Who asks, for as long as the question is under way.
pub(crate) struct Asker {
    pub(crate) asked: Asked,
    pub(crate) plan: Arc<Plan>,
    /// The client's question.
    first: Question,
    forwarded: Arc<Permits>,
    permit: Mutex<Option<Permit>>,
    lookups: AtomicUsize,
    /// The answer may be another one for the next who asks the same.
    changing: AtomicBool,
    /// There is to be no answer.
    dropped: AtomicBool,
    /// Until then it is the same, but for its time.
    until: Mutex<Option<Instant>>,
    /// Where the question is counted.
    counts: Mutex<Option<Arc<Series>>>,
}

impl Asker {
    pub(crate) fn new(asked: Asked, first: Question, plan: Arc<Plan>, forwarded: Arc<Permits>) -> Self {
        Asker { asked, first, plan, forwarded, permit: Mutex::default(), lookups: AtomicUsize::new(0), changing: AtomicBool::new(false), dropped: AtomicBool::new(false), until: Mutex::default(), counts: Mutex::default() }
    }

    /// Answers a question from the beginning.
    pub(crate) fn answer(&self, question: Question) -> BoxFuture<'_, Outcome> {
        match self.plan.site(&question.name) {
            Some(site) => Rest(&site.steps).answer(self, question),
            None => Box::pin(async { Err(Failure::new(ResponseCode::Refused, "no server block has this zone")) }),
        }
    }

    /// Asks the client's question once more, aside, so that what is kept is renewed. `done` is dropped when that is over.
    pub(crate) fn renew(&self, done: impl Send + 'static) {
        let question = Question { fresh: true, ..self.first.clone() };
        let asker = Asker::new(self.asked.clone(), self.first.clone(), self.plan.clone(), self.forwarded.clone());
        tokio::spawn(async move {
            let _ = asker.answer(question).await;
            drop(done);
        });
    }

    /// Looks up what another answer is completed with. `None` where answers ask each other in a circle.
    pub(crate) async fn lookup(&self, question: &Question, name: &str, kind: RecordType) -> Option<Said> {
        let depth = question.depth + 1;
        if depth > DEPTH || self.lookups.fetch_add(1, Ordering::Relaxed) >= LOOKUPS {
            return None;
        }
        let outcome = self.answer(Question { depth, ..Question::new(name, kind) }).await;
        Some(outcome.unwrap_or_else(|failure| Said::code(failure.code)))
    }

    /// Says that the question waits for another name server, for which there are so many places for each client.
    pub(crate) fn waits(&self) -> Result<(), Failure> {
        self.changes();
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        if permit.is_none() {
            *permit = self.forwarded.take(self.asked.client);
        }
        let none = || Failure::new(ResponseCode::ServFail, "too many questions wait for other name servers");
        permit.as_ref().map(|_| ()).ok_or_else(none)
    }

    /// Says where the question is counted.
    pub(crate) fn counted(&self, series: Arc<Series>) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = Some(series);
    }

    /// Where the question is counted.
    pub(crate) fn counts(&self) -> Option<Arc<Series>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that the answer may be another one for the next who asks.
    pub(crate) fn changes(&self) {
        self.changing.store(true, Ordering::Relaxed);
    }

    /// Says that there is to be no answer.
    pub(crate) fn drops(&self) {
        self.dropped.store(true, Ordering::Relaxed);
    }

    /// Whether there is to be none.
    pub(crate) fn dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Says that the answer to a question was kept, and may be until then.
    pub(crate) fn ages(&self, question: &Question, until: Instant) {
        // Of an answer that others are completed with, only a part has that time.
        if question.depth > 0 {
            self.changes();
        }
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Until when the answer is the same, if its time is counted down.
    pub(crate) fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the answer is the same for all who ask in the same words.
    pub(crate) fn constant(&self) -> bool {
        !self.changing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_special_zone_answers() {
        let site = |_: ()| Arc::new(Site::default());
        let zones = ["example.org.", "b.example.org."];
        let mut plan = Plan::default();
        plan.sites = zones.iter().map(|zone| ((*zone).to_owned(), site(()))).collect();
        let found = |plan: &Plan, name: &str| {
            let site = plan.site(name)?;
            plan.sites.iter().find(|(_, s)| Arc::ptr_eq(s, site)).map(|(zone, _)| zone.clone())
        };
        assert_eq!(found(&plan, "a.b.example.org.").as_deref(), Some("b.example.org."));
        assert_eq!(found(&plan, "b.example.org.").as_deref(), Some("b.example.org."));
        assert_eq!(found(&plan, "xb.example.org.").as_deref(), Some("example.org."));
        assert_eq!(found(&plan, "org."), None);
        plan.sites.insert(".".to_owned(), site(()));
        assert_eq!(found(&plan, "org.").as_deref(), Some("."));
        assert_eq!(found(&plan, ".").as_deref(), Some("."));
    }
}
