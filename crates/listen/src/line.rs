//! What is known of one connection while it lasts, and how long it may.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::first::Cut;
use crate::limits::{HEAD, IDLE, STALL};
use crate::slots::Seen;

/// A connection.
#[derive(Debug)]
pub struct Line {
    address: IpAddr,
    known: AtomicBool,
    closing: CancellationToken,
    /// The client still sends what nobody reads.
    lingers: AtomicBool,
    state: Mutex<State>,
    /// An answer of several parts has begun.
    changed: Notify,
}

/// What changes.
#[derive(Debug)]
struct State {
    /// HTTP/2: what is read while there is no request is no request's beginning.
    streams: bool,
    /// Of the first request's line.
    cut: Option<Cut>,
    /// Requests that were not answered to the end.
    busy: usize,
    /// How many there were.
    served: u64,
    /// Since when there has been no request; when there never was one, since the beginning.
    idle: Instant,
    /// When the head of the next request began to come.
    head: Option<Instant>,
    /// Answers, and when the next part of each was asked for last: one, or as many as there are streams.
    answers: Vec<(u64, Instant)>,
}

impl State {
    /// When the connection has to be closed unless something changes; if there is no such time, when to look again.
    fn deadline(&self, now: Instant) -> (Instant, bool) {
        if let Some(oldest) = self.answers.iter().map(|(_, asked)| asked).min() {
            return (*oldest + STALL, true);
        }
        if self.busy > 0 {
            return (now + STALL, false);
        }
        let head = if self.served == 0 { Some(self.idle) } else { self.head };
        let idle = self.idle + IDLE;
        (head.map_or(idle, |began| idle.min(began + HEAD)), true)
    }
}

impl Line {
    /// A connection that begins now.
    pub(crate) fn new(address: IpAddr) -> Self {
        let (idle, answers) = (Instant::now(), Vec::new());
        let state = State { streams: false, cut: None, busy: 0, served: 0, idle, head: None, answers };
        Line {
            address,
            known: AtomicBool::new(false),
            closing: CancellationToken::new(),
            lingers: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has shown who they are: the connection is none of those that give way first.
    pub fn known(&self) {
        if !self.known.load(Ordering::Relaxed) {
            self.known.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the connection, and with it all that goes on on it.
    pub fn close(&self) {
        self.closing.cancel();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    pub(crate) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// The connection speaks HTTP/2.
    pub(crate) fn has_streams(&self) {
        self.lock().streams = true;
    }

    /// The first line is over, and this was kept back of it.
    pub(crate) fn cut(&self, cut: Option<Cut>) {
        if cut.is_some() {
            self.lock().cut = cut;
        }
    }

    /// What was kept back of the first request's line; once.
    pub(crate) fn take_cut(&self) -> Option<Cut> {
        self.lock().cut.take()
    }

    pub(crate) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    pub(crate) fn seen(&self, id: u64) -> Seen {
        let (state, known) = (self.lock(), self.known.load(Ordering::Relaxed));
        Seen { id, address: self.address, known, idle: (state.busy == 0).then_some(state.idle) }
    }

    /// Bytes came.
    pub(crate) fn heard(&self) {
        let mut state = self.lock();
        if state.busy == 0 && !state.streams && state.head.is_none() {
            state.head = Some(Instant::now());
        }
    }

    /// A request came; its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = self.lock();
        state.busy += 1;
        state.served += 1;
        state.head = None;
        state.served
    }

    /// The client is to take (more of) an answer.
    pub(crate) fn offer(&self, number: u64) {
        let (now, mut state) = (Instant::now(), self.lock());
        match state.answers.iter_mut().find(|(answer, _)| *answer == number) {
            Some((_, asked)) => *asked = now,
            None => state.answers.push((number, now)),
        }
    }

    /// An answer of several parts has begun: who takes it is watched more closely.
    pub(crate) fn watch(&self) {
        self.changed.notify_one();
    }

    /// An answer was taken, or given up.
    pub(crate) fn end(&self, number: u64) {
        let mut state = self.lock();
        state.answers.retain(|(answer, _)| *answer != number);
        state.busy -= 1;
        if state.busy == 0 {
            state.idle = Instant::now();
        }
    }

    /// Returns when the connection has lasted too long.
    pub(crate) async fn expired(&self) {
        loop {
            let now = Instant::now();
            let (at, last) = self.lock().deadline(now);
            if last && at <= now {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn line() -> Line {
        Line::new(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    async fn lasts(line: &Line) -> u64 {
        let began = Instant::now();
        line.expired().await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let silent = line();
        assert_eq!(lasts(&silent).await, 32);
        let idle = line();
        let number = idle.begin();
        idle.offer(number);
        idle.end(number);
        assert_eq!(lasts(&idle).await, 90);
        let half = line();
        let number = half.begin();
        half.end(number);
        half.heard();
        tokio::time::advance(Duration::from_secs(10)).await;
        half.heard();
        assert_eq!(lasts(&half).await, 22, "a byte now and then is no head");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_the_answer_is_not_waited_for() {
        let stalled = line();
        let number = stalled.begin();
        stalled.offer(number);
        assert_eq!(lasts(&stalled).await, 30);
        let slow = line();
        let number = slow.begin();
        for _ in 0..10 {
            slow.offer(number);
            let expired = tokio::time::timeout(Duration::from_secs(20), slow.expired()).await;
            assert!(expired.is_err(), "it takes a part every twenty seconds");
        }
        let works = line();
        works.begin();
        assert!(tokio::time::timeout(Duration::from_secs(3600), works.expired()).await.is_err());
    }
}
