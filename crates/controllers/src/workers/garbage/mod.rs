//! Garbage collection: what has lost its last owner goes, too (upstream: `pkg/controller/garbagecollector`).
//!
//! A graph of owners over all resources, from metadata alone, says what to look at. Nothing is deleted on
//! its word: object and owners are read from the API first, and the deletion holds for that uid and
//! resourceVersion only.

mod collect;
mod decide;
mod graph;
mod monitor;
#[cfg(test)]
mod sim;

use std::sync::Arc;
use std::time::Duration;

use client::Recorder;
use client::events::Form;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use meta::Key;

use super::rest::{Resource, Rest};
use super::{Context, Worker};
use crate::frame::clock::Clock;
use crate::frame::plan::Failure;
use crate::frame::queue::Outcome;
use crate::frame::Permission;
use crate::frame::world::Streams;
use collect::{CollectError, Collector, Live};
use monitor::{Monitors, Shared};

/// Objects looked at concurrently (upstream: `--concurrent-gc-syncs`).
const CONCURRENCY: usize = 20;
/// How long the first lists may take; a resource that cannot be listed does not hold up the rest for ever.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause at the start: what a starting cluster needs sooner goes first.
const HEAD_START: Duration = Duration::from_secs(1);
/// Pause after a change of the resources before they are discovered again.
const SETTLE: Duration = Duration::from_millis(500);

/// How events name it.
const EVENT_SOURCE: &str = "garbage-collector-controller";

/// The list entry.
pub static WORKER: Worker = Worker {
    name: "generic-garbage-collector",
    user: None,
    permissions: &[
        Permission { group: "*", resource: "*", verbs: &["delete", "get", "list", "patch", "update", "watch"] },
        Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
    ],
    run: |context| Box::pin(run(context)),
};

async fn run(context: Context) {
    let shared = Arc::new(Shared::default());
    let rest = Rest(context.client.clone());
    let mut monitors = Monitors::default();
    let recorder = Recorder::new(context.client.clone(), EVENT_SOURCE, "", Form::Core);
    let live = Live { rest: rest.clone(), recorder };
    let mut collector = Arc::new(Collector::new(live, shared.clone(), Vec::new()));
    // Nothing watches the queue's keys: they have no gate.
    let streams = Streams::empty(Timestamp::now());
    let mut working: FuturesUnordered<BoxFuture<'static, (Key, Outcome)>> = FuturesUnordered::new();
    let (mut refresh, mut clock) = (Some(HEAD_START), Clock::new());
    loop {
        if let Some(pause) = refresh.take() {
            tokio::time::sleep(pause).await;
            match discover(&rest).await {
                Ok(resources) => {
                    monitors.adjust(&resources, &context.client, &shared);
                    collector = Arc::new(collector.renewed(resources));
                    let synced = async {
                        while !monitors.synced(&shared) {
                            shared.changed.notified().await;
                        }
                    };
                    // Going on without: each deletion is verified all the same.
                    let _ = tokio::time::timeout(PATIENCE, synced).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "resources not discovered");
                    refresh = Some((pause * 2).clamp(Duration::from_millis(20), Duration::from_secs(10)));
                    continue;
                }
            }
        }
        let due = {
            let mut state = shared.lock();
            if std::mem::take(&mut state.stale) {
                refresh = Some(SETTLE);
            }
            if clock.was_set() {
                state.queue.wake_all();
            }
            while working.len() < CONCURRENCY
                && let Some((key, _)) = state.queue.next(Timestamp::now())
            {
                working.push(Box::pin(collect_one(collector.clone(), key)));
            }
            state.queue.due()
        };
        if refresh.is_some() {
            continue;
        }
        let wait = due.map(|at| at.duration_since(Timestamp::now()).max(jiff::SignedDuration::ZERO).unsigned_abs());
        let timer = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.changed.notified() => {}
            Some((key, outcome)) = working.next() => shared.lock().queue.done(&key, outcome, &streams, Timestamp::now()),
            () = timer, if working.len() < CONCURRENCY => {}
        }
    }
}

/// The resources whose objects can be collected. Events own nothing and are many.
async fn discover(rest: &Rest) -> kube::Result<Vec<Resource>> {
    let mut all = rest.discover().await?;
    all.retain(|resource| resource.name != "events" && resource.can(&["delete", "list", "watch"]));
    Ok(all)
}

async fn collect_one(collector: Arc<Collector<Live>>, key: Key) -> (Key, Outcome) {
    let done = match &*key.namespace {
        monitor::ORPHAN => collector.orphan(&key.name).await,
        _ => collector.examine(&key.name).await,
    };
    let failure = done.err().map(|error| {
        tracing::debug!(uid = %key.name, %error, "will be looked at again");
        failure(&key, &error)
    });
    (key, Outcome { failure, ..Outcome::default() })
}

fn failure(key: &Key, error: &CollectError) -> Failure {
    Failure {
        verb: "collect",
        resource: String::new(),
        key: key.clone(),
        reason: String::new(),
        message: error.to_string(),
        terminating: false,
    }
}
