//! The loop that drives one controller: inbox → route → queue → reconcile → execute.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::Recorder;
use client::events::Note;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use meta::Key;

use super::Controller;
use super::clock::Clock;
use super::execute::execute;
use super::inbox::Inbox;
use super::live::Live;
use super::metrics::Counters;
use super::plan::{Failure, Plan, Report};
use super::queue::{Outcome, Queue};
use super::world::Streams;

/// Keys worked on at a time (upstream: 5 for most controllers).
const CONCURRENCY: usize = 5;

/// One controller with all it needs.
pub struct Driver {
    /// Its name, for logs.
    pub name: &'static str,
    /// What decides.
    pub controller: &'static dyn Controller,
    /// What it sees.
    pub streams: Streams,
    /// What writes, under its identity.
    pub api: Live,
    /// Where events go.
    pub recorder: Recorder,
    /// What it did.
    pub counters: Arc<Counters>,
}

type Work = BoxFuture<'static, (Key, Outcome)>;

impl Driver {
    /// Runs until dropped.
    pub async fn run(mut self) {
        let inbox = Arc::new(Inbox::default());
        self.streams.iter().for_each(|stream| stream.feed(inbox.clone()));
        for stream in self.streams.iter() {
            stream.synced().await;
        }
        let mut queue = Queue::default();
        let mut working: FuturesUnordered<Work> = FuturesUnordered::new();
        let mut clock = Clock::new();
        loop {
            self.take_in(&inbox, &mut queue);
            if clock.was_set() {
                self.begin_anew(&mut queue);
            }
            while working.len() < CONCURRENCY
                && let Some((key, failure)) = queue.next(Timestamp::now())
            {
                self.begin(key, failure, &mut queue, &working);
                // Changes may have come meanwhile: a key never acts on less than what was routed.
                self.take_in(&inbox, &mut queue);
            }
            self.counters.depth.store(queue.depth() as u64, Ordering::Relaxed);
            let due = queue.due().map(|at| Timestamp::now().until(at).map_or(Duration::ZERO, span));
            let timer = async {
                match due {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = inbox.ready() => {}
                Some((key, outcome)) = working.next() => self.finish(&key, outcome, &mut queue),
                () = timer, if working.len() < CONCURRENCY => {}
            }
        }
    }

    /// The machine's clock was set: nobody is late for what it says now, and everything is looked at again.
    fn begin_anew(&mut self, queue: &mut Queue) {
        tracing::info!(controller = self.name, "the machine's clock was set");
        self.streams.since(Timestamp::now());
        queue.wake_all();
        self.controller.keys(&self.streams.world()).iter().for_each(|key| queue.add(key));
    }

    fn take_in(&self, inbox: &Inbox, queue: &mut Queue) {
        let taken = inbox.take();
        if taken.progressed || !taken.changes.is_empty() {
            queue.recheck(&self.streams);
        }
        if taken.changes.is_empty() && !taken.overflowed {
            return;
        }
        let world = self.streams.world();
        if taken.overflowed {
            self.controller.keys(&world).iter().for_each(|key| queue.add(key));
        }
        for seen in taken.changes {
            // A change that cannot be routed must not stop those behind it.
            match catch_unwind(AssertUnwindSafe(|| self.controller.route(&seen, &world))) {
                Ok(keys) => keys.iter().for_each(|key| queue.add(key)),
                Err(_) => tracing::error!(controller = self.name, "the controller panicked over a change"),
            }
        }
    }

    fn begin(&self, key: Key, failure: Option<Failure>, queue: &mut Queue, working: &FuturesUnordered<Work>) {
        Counters::add(&self.counters.worked);
        let mut world = self.streams.world();
        world.failure = failure;
        let decided = catch_unwind(AssertUnwindSafe(|| self.controller.reconcile(&key, &world, Timestamp::now())));
        drop(world);
        match decided {
            Ok(plan) if plan.is_empty() => {
                self.finish(&key, Outcome { revisit: plan.revisit, ..Outcome::default() }, queue);
            }
            Ok(plan) => working.push(self.work(key, plan)),
            Err(_) => self.finish(&key, self.panicked(&key), queue),
        }
    }

    fn work(&self, key: Key, plan: Plan) -> Work {
        let (api, recorder, panicked) = (self.api.clone(), self.recorder.clone(), self.panicked(&key));
        Box::pin(async move {
            let report = |report: Report| recorder.record(note(report));
            let done = AssertUnwindSafe(execute(&api, plan, &report)).catch_unwind().await;
            (key, done.unwrap_or(panicked))
        })
    }

    fn panicked(&self, key: &Key) -> Outcome {
        let failure = Failure {
            verb: "reconcile",
            resource: String::new(),
            key: key.clone(),
            reason: PANIC.to_owned(),
            message: "the controller panicked".to_owned(),
            terminating: false,
        };
        Outcome { failure: Some(failure), ..Outcome::default() }
    }

    fn finish(&self, key: &Key, outcome: Outcome, queue: &mut Queue) {
        if let Some(failure) = &outcome.failure {
            Counters::add(&self.counters.retries);
            if failure.reason == PANIC {
                Counters::add(&self.counters.panics);
                tracing::error!(controller = self.name, key = %key, "panic caught, the key will be tried again");
            } else {
                tracing::debug!(controller = self.name, key = %key, error = %failure, "will be tried again");
            }
        }
        queue.done(key, outcome, &self.streams, Timestamp::now());
    }
}

const PANIC: &str = "Panic";

fn span(span: jiff::Span) -> Duration {
    // Only hours and below occur between two timestamps; the past is zero.
    Duration::try_from(span).unwrap_or(Duration::ZERO)
}

fn note(report: Report) -> Note {
    Note {
        regarding: report.about,
        related: None,
        type_: report.type_,
        reason: report.reason.to_owned(),
        action: String::new(),
        message: report.text,
        at: Timestamp::now(),
        annotations: Default::default(),
    }
}
