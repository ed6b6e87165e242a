//! One watch: what exists, what was missed, what happens, and bookmarks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use meta::{Encoded, Reason, Status};
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};

use super::select::Selection;
use crate::api::{WatchEvent, WatchOptions, WatchStream};
use crate::cache::{Change, Feed, Keys, Objects, Seat};
use crate::error::{parse_revision, too_large};
use crate::kind::Kind;

/// What a watch needs to know of its surroundings.
pub(crate) struct Pace {
    /// The revision of the newest acknowledged write.
    pub newest: u64,
    /// Between bookmarks.
    pub bookmark_period: Duration,
    /// A watch that is to last no longer ends without a bookmark.
    pub short: Duration,
    /// Changes that the watcher may be behind.
    pub room: usize,
}

/// Starts a watch.
pub(crate) async fn start(
    feed: &Feed,
    pace: Pace,
    kind: Arc<Kind>,
    selection: Selection,
    options: &WatchOptions,
) -> Result<WatchStream, Status> {
    // Upstream's answer carries no reason.
    let invalid = |why| Status::new(Reason::Unknown, why);
    let asked = parse_revision(&options.resource_version).map_err(invalid)?;
    kind.cache.loaded().await;
    // Those who start with the objects see at least what was acknowledged before, or what they name.
    let least = match options.resource_version.as_str() {
        "" => pace.newest,
        _ if options.send_initial_events => asked,
        _ => 0,
    };
    if !feed.reach(least).await {
        return Err(too_large(least, feed.revision()));
    }
    let initial = options.send_initial_events || (asked == 0 && !options.changes_only);
    let reached = feed.revision();
    // Without a revision they start with what happens next.
    let asked = if options.changes_only && asked == 0 { reached } else { asked };
    let start = kind.cache.subscribe((!initial).then_some(asked), &selection, pace.room);
    let start = start.map_err(|floor| Status::expired(format!("too old resource version: {asked} ({floor})")))?;
    let revision = if initial { reached.max(start.revision) } else { asked };
    let now = Instant::now();
    let keys = start.keys;
    let initial_objects = start.objects.map(|objects| select(&objects, keys, &selection, kind.descriptor.namespaced));
    let mut initial_objects = initial_objects.unwrap_or_default();
    if kind.converter().is_some() {
        initial_objects = kind.present_all(&initial_objects).await?;
        let missed: Vec<_> = start.backlog.iter().filter_map(|change| change.new.clone()).collect();
        // Those who cannot be told hear of it when their turn comes.
        drop(kind.present_all(&missed).await);
    }
    let watcher = Watcher {
        kind,
        selection: Arc::new(selection),
        converting: None,
        initial: initial_objects.into_iter(),
        initial_end: (options.send_initial_events && options.bookmarks).then_some(revision),
        backlog: start.backlog.into_iter(),
        changes: start.changes,
        progress: feed.progress(),
        sent: revision,
        bookmark: None,
        bookmark_period: pace.bookmark_period,
        next_bookmark: options.bookmarks.then(|| now + spread(pace.bookmark_period)),
        deadline: options.timeout.map(|timeout| now + timeout),
        farewell: options.timeout.is_none_or(|timeout| timeout > pace.short),
        timer: None,
        ended: false,
        _seat: start.seat,
    };
    Ok(watcher.boxed())
}

/// The stored objects that may be selected, in key order. Those of a kind in another form are looked at later.
fn select(objects: &Objects, keys: Option<Keys>, selection: &Selection, namespaced: bool) -> Vec<Arc<Encoded>> {
    if let Some(keys) = keys {
        return keys.iter().filter_map(|key| objects.get(key)).cloned().collect();
    }
    match selection.object(namespaced) {
        Some(key) => objects.get(&key).cloned().into_iter().collect(),
        None => match &selection.namespace {
            Some(namespace) => {
                let from = meta::Key { namespace: namespace.clone(), name: "".into() };
                let inside = objects.range(from..).take_while(|(key, _)| key.namespace == *namespace);
                inside.map(|(_, o)| o.clone()).collect()
            }
            None => objects.values().cloned().collect(),
        },
    }
}

/// A little more, so that not all come at once.
fn spread(period: Duration) -> Duration {
    period.mul_f64(1.0 + rand::rng().random_range(0.0..0.25))
}

struct Watcher {
    kind: Arc<Kind>,
    selection: Arc<Selection>,
    /// A change for which somebody else is asked.
    converting: Option<BoxFuture<'static, Result<Option<WatchEvent>, Status>>>,
    /// As readers get them, where somebody had to be asked.
    initial: std::vec::IntoIter<Arc<Encoded>>,
    /// The revision of the bookmark that ends the initial events.
    initial_end: Option<u64>,
    backlog: std::vec::IntoIter<Arc<Change>>,
    changes: mpsc::Receiver<Arc<Change>>,
    progress: watch::Receiver<u64>,
    /// Everything up to this revision was sent.
    sent: u64,
    /// A bookmark that is due when the backlog is sent.
    bookmark: Option<u64>,
    bookmark_period: Duration,
    next_bookmark: Option<Instant>,
    deadline: Option<Instant>,
    /// Whether a bookmark is the last that it sends.
    farewell: bool,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
    _seat: Seat,
}

/// Written by hand: a watch has thousands of twins, and all of them wake for the same change.
impl Stream for Watcher {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let watcher = self.get_mut();
        loop {
            if let Some(converting) = &mut watcher.converting {
                let judged = ready!(converting.as_mut().poll(context));
                watcher.converting = None;
                match judged {
                    Ok(None) => {}
                    Ok(Some(event)) => return Poll::Ready(Some(event)),
                    Err(status) => return Poll::Ready(Some(watcher.fail(status))),
                }
            }
            if let Some(event) = watcher.ready() {
                return Poll::Ready(Some(event));
            }
            if watcher.converting.is_some() {
                continue;
            }
            if watcher.ended {
                return Poll::Ready(None);
            }
            match watcher.changes.poll_recv(context) {
                Poll::Ready(Some(change)) => {
                    if let Some(event) = watcher.frame(&change) {
                        return Poll::Ready(Some(event));
                    }
                }
                // Too slow, or the cache was loaded anew: the client resumes by itself.
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(watcher.poll_timer(context));
                    watcher.ring();
                }
            }
        }
    }
}

impl Watcher {
    /// What can be sent without waiting.
    fn ready(&mut self) -> Option<WatchEvent> {
        while let Some(object) = self.initial.next() {
            let shown = if self.kind.converter().is_some() { Ok(object) } else { self.kind.present_now(&object) };
            match shown {
                Ok(shown) if self.selection.matches(&shown) => return Some(WatchEvent::Added(shown)),
                Ok(_) => {}
                Err(status) => return Some(self.fail(status)),
            }
        }
        if let Some(revision) = self.initial_end.take() {
            return Some(WatchEvent::Bookmark { revision, initial_end: true });
        }
        while let Some(change) = self.backlog.next() {
            if let Some(event) = self.frame(&change) {
                return Some(event);
            }
            if self.converting.is_some() {
                return None;
            }
        }
        let revision = self.bookmark.take()?;
        self.sent = self.sent.max(revision);
        Some(WatchEvent::Bookmark { revision: self.sent, initial_end: false })
    }

    /// Whether it is time for a bookmark or the end.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.arm();
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(context))
    }

    /// The timer stands at whatever comes first.
    fn arm(&mut self) {
        let at = self.next_bookmark.into_iter().chain(self.deadline).min();
        match (at, &mut self.timer) {
            (None, timer) => *timer = None,
            (Some(at), None) => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
            (Some(at), Some(timer)) if timer.deadline() != at => timer.as_mut().reset(at),
            _ => {}
        }
    }

    /// The timer has rung: everything that the feed had for us before now goes out, then a bookmark says so.
    fn ring(&mut self) {
        let now = Instant::now();
        self.ended = self.deadline.is_some_and(|deadline| deadline <= now);
        let Some(due) = self.next_bookmark else { return };
        if due > now && !(self.ended && self.farewell) {
            return;
        }
        self.next_bookmark = Some(now + spread(self.bookmark_period));
        self.bookmark = Some(*self.progress.borrow());
        let mut waiting = Vec::new();
        while let Ok(change) = self.changes.try_recv() {
            waiting.push(change);
        }
        self.backlog = waiting.into_iter();
    }

    fn fail(&mut self, status: Status) -> WatchEvent {
        self.initial = Vec::new().into_iter();
        self.backlog = Vec::new().into_iter();
        self.initial_end = None;
        self.bookmark = None;
        self.ended = true;
        WatchEvent::Error(status)
    }

    /// What a change means for this selection; `None` if nothing.
    fn frame(&mut self, change: &Arc<Change>) -> Option<WatchEvent> {
        if change.revision <= self.sent {
            return None;
        }
        self.sent = change.revision;
        if self.kind.converter().is_some() {
            self.converting = Some(judge_converted(self.kind.clone(), self.selection.clone(), change.clone()).boxed());
            return None;
        }
        match self.judge(change) {
            Ok(event) => event,
            Err(status) => Some(self.fail(status)),
        }
    }

    fn judge(&self, change: &Change) -> Result<Option<WatchEvent>, Status> {
        let selected = |side: &Option<Arc<Encoded>>| -> Result<Option<Arc<Encoded>>, Status> {
            let shown = side.as_ref().map(|o| self.kind.present_now(o)).transpose()?;
            Ok(shown.filter(|o| self.selection.matches(o)))
        };
        Ok(match (selected(&change.old)?, selected(&change.new)?) {
            (None, None) => None,
            (None, Some(new)) => Some(WatchEvent::Added(new)),
            (Some(_), Some(new)) => Some(WatchEvent::Modified(new)),
            (Some(_), None) => change.gone().map(|gone| self.kind.present_now(gone)).transpose()?.map(WatchEvent::Deleted),
        })
    }
}

/// What a change means where somebody is asked for the objects: no more of them than it takes.
async fn judge_converted(
    kind: Arc<Kind>,
    selection: Arc<Selection>,
    change: Arc<Change>,
) -> Result<Option<WatchEvent>, Status> {
    let was = is_selected(&kind, &selection, change.old.as_ref()).await?;
    let is = is_selected(&kind, &selection, change.new.as_ref()).await?;
    let Some(object) = (if is { change.new.as_ref() } else { change.gone().filter(|_| was) }) else { return Ok(None) };
    let shown = kind.present(object).await?;
    Ok(Some(match (was, is) {
        (false, _) => WatchEvent::Added(shown),
        (true, true) => WatchEvent::Modified(shown),
        (true, false) => WatchEvent::Deleted(shown),
    }))
}

async fn is_selected(kind: &Kind, selection: &Selection, side: Option<&Arc<Encoded>>) -> Result<bool, Status> {
    let Some(object) = side else { return Ok(false) };
    match selection.looks_inside() {
        true => Ok(selection.matches(&*kind.present(object).await?)),
        false => Ok(selection.matches(object)),
    }
}
