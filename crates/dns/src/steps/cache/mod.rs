//! `cache [TTL] [ZONES...]`: what other name servers said is kept, and a question that is under way to them is asked once.
//!
//! The cluster's own names are answered from what is true now: they are never kept, whatever the zones.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Building;
use crate::corefile::{Directive, Fault, zones};
use crate::limits::CACHED_BYTES;
use crate::message::{Question, Said};
use crate::step::{Asker, Outcome, Rest, Step};
use read::Options;
use sort::Sort;
use store::{Hit, Key, Store};

mod read;
mod sort;
mod store;

struct Cache {
    options: Options,
    success: Mutex<Store>,
    denial: Mutex<Store>,
    /// What is being renewed aside.
    renewing: Arc<Mutex<HashSet<Key>>>,
    /// Questions under way, by whether they go by TCP. What is said to one is said to all who ask the same meanwhile.
    flights: Mutex<HashMap<(Key, bool), Waiting>>,
}

type Waiting = watch::Receiver<Option<Arc<Outcome>>>;

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let options = read::options(super::once(directives)?, building.zones)?;
    building.push(Cache::new(options));
    Ok(())
}

/// Codes that say what is so (RFC 8767).
const KNOWN: [ResponseCode; 2] = [ResponseCode::NoError, ResponseCode::NXDomain];

/// Takes a key off the list of those that are being renewed.
struct Renewing {
    all: Arc<Mutex<HashSet<Key>>>,
    key: Key,
}

impl Drop for Renewing {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.key);
    }
}

/// Takes a flight off the list, however it ends.
struct Flight<'a> {
    cache: &'a Cache,
    key: (Key, bool),
    done: watch::Sender<Option<Arc<Outcome>>>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        lock(&self.cache.flights).remove(&self.key);
    }
}

enum Place<'a> {
    First(Flight<'a>),
    Behind(Waiting),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    fn new(options: Options) -> Self {
        let store = |most| Mutex::new(Store::new(most, CACHED_BYTES, options.pause));
        let (success, denial) = (store(options.success.most), store(options.denial.most));
        Cache { options, success, denial, renewing: Arc::default(), flights: Mutex::default() }
    }

    /// What is kept. A failure is passed over when there is a good answer.
    fn kept(&self, key: &Key) -> Option<Hit> {
        let (now, stale) = (Instant::now(), self.options.stale);
        let denial = lock(&self.denial).get(key, now, stale);
        let failed = denial.as_ref().is_some_and(|hit| hit.said.code == ResponseCode::ServFail);
        let success = (denial.is_none() || failed).then(|| lock(&self.success).get(key, now, stale)).flatten();
        success.or(denial)
    }

    /// What is said of it.
    fn say(&self, hit: &Hit) -> Said {
        let mut said = Said::clone(&hit.said);
        if !self.options.keep_ttl {
            said.records_mut().for_each(|record| record.ttl = hit.left);
        }
        said
    }

    /// An answer that was kept, if it may be said as it is; what should be renewed is, aside.
    fn hit(&self, asker: &Asker, question: &Question, key: &Key) -> Option<Said> {
        let hit = self.kept(key).filter(|hit| hit.left > 0 || !self.options.verify)?;
        let soon = u64::from(hit.left) * 100 <= hit.ttl.as_secs() * u64::from(self.options.percentage);
        let often = self.options.prefetch > 0 && hit.hits >= self.options.prefetch;
        if hit.left == 0 || (soon && often) {
            self.renew(asker, question, key);
        }
        // Who counts must see each question.
        match hit.left {
            0 => asker.changes(),
            _ if self.options.prefetch > 0 => asker.changes(),
            _ => asker.ages(question, hit.until),
        }
        Some(self.say(&hit))
    }

    fn renew(&self, asker: &Asker, question: &Question, key: &Key) {
        if question.depth == 0 && lock(&self.renewing).insert(key.clone()) {
            asker.renew(Renewing { all: self.renewing.clone(), key: key.clone() });
        }
    }

    /// The answer that there was before, when the servers fail now.
    fn instead(&self, asker: &Asker, key: &Key, outcome: Outcome) -> Outcome {
        let failed = outcome.as_ref().map_or(true, |said| !KNOWN.contains(&said.code));
        if !failed || self.options.stale.is_zero() {
            return outcome;
        }
        let before = lock(&self.success).get(key, Instant::now(), self.options.stale);
        match before {
            Some(hit) => {
                asker.changes();
                Ok(self.say(&hit))
            }
            None => outcome,
        }
    }

    fn board(&self, key: &(Key, bool)) -> Place<'_> {
        let mut flights = lock(&self.flights);
        match flights.get(key) {
            Some(waiting) => Place::Behind(waiting.clone()),
            None => {
                let (done, waiting) = watch::channel(None);
                flights.insert(key.clone(), waiting);
                Place::First(Flight { cache: self, key: key.clone(), done })
            }
        }
    }

    /// Gives all records of an answer the time that it is kept, and keeps it if it is another server's.
    fn keep(&self, key: &Key, mut outcome: Outcome) -> Outcome {
        let now = Instant::now();
        let said = match &mut outcome {
            Ok(said) => said,
            Err(failure) => {
                if failure.lasting && !self.excepted(&self.options.denial.except, key) {
                    let said = Said::code(failure.code);
                    lock(&self.denial).put(key.clone(), said, self.options.failure, now);
                }
                return outcome;
            }
        };
        let sort = sort::sort(said, &key.name, key.kind);
        let (limits, store) = match sort {
            Sort::Success | Sort::Passing => (&self.options.success, &self.success),
            Sort::Denial | Sort::Failure => (&self.options.denial, &self.denial),
        };
        let ttl = match sort {
            Sort::Failure => self.options.failure,
            _ => Duration::from_secs(u64::from(sort::ttl(said))).max(limits.least).min(limits.longest),
        };
        let seconds = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
        said.records_mut().for_each(|record| record.ttl = seconds);
        if said.foreign && sort != Sort::Passing && !ttl.is_zero() && !self.excepted(&limits.except, key) {
            lock(store).put(key.clone(), said.clone(), ttl, now);
        }
        outcome
    }

    fn excepted(&self, zones: &[String], key: &Key) -> bool {
        zones.iter().any(|zone| zones::within(&key.name, zone))
    }
}

impl Step for Cache {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            // Our own question must not wait for itself (`loop`).
            let own = question.kind == RecordType::HINFO;
            if own || !self.options.zones.iter().any(|zone| zones::within(&question.name, zone)) {
                return rest.answer(asker, question).await;
            }
            let key = Key {
                name: question.name.clone(),
                kind: question.kind,
                dnssec_ok: asker.asked.dnssec_ok(),
                checking_disabled: asker.asked.checking_disabled,
            };
            let boarded = (key, asker.asked.tcp);
            loop {
                let fresh = question.fresh;
                if let Some(said) = Some(()).filter(|()| !fresh).and_then(|()| self.hit(asker, &question, &boarded.0)) {
                    return Ok(said);
                }
                // What another answer is completed with may be that answer itself, in a circle: it must not wait for it.
                if question.depth > 0 {
                    return self.keep(&boarded.0, rest.answer(asker, question).await);
                }
                match self.board(&boarded) {
                    Place::First(flight) => {
                        let outcome = self.keep(&flight.key.0, rest.answer(asker, question).await);
                        let outcome = self.instead(asker, &flight.key.0, outcome);
                        flight.done.send_replace(Some(Arc::new(outcome.clone())));
                        return outcome;
                    }
                    Place::Behind(mut waiting) => {
                        asker.waits()?;
                        // Whoever asked first may have gone without an answer: then it is this one's turn.
                        if let Ok(done) = waiting.wait_for(Option::is_some).await
                            && let Some(outcome) = &*done
                        {
                            return Outcome::clone(outcome);
                        }
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
