//! Fair queuing within one priority level (upstream: `fairqueuing/queueset`): who runs now, who waits in which queue, and
//! who is next. A pure decider: the executor in [`super::level`] tells it the time, and wakes whom it names.
//!
//! Every queue has a virtual clock: the seat time that it was given. The queue whose next request would be finished
//! first, had all queues been served at the same pace, is served next; so each queue that wants seats gets the same
//! share of them, however many requests it holds and however wide they are. A queue that wants nothing saves nothing up.

mod queue;

use std::collections::BTreeMap;
use std::time::Duration;

use super::deal::Hand;
use super::demand::Meter;
use super::timing::Timings;
use super::work::Work;
pub use queue::{ByTicket, Why};
pub(super) use queue::seconds;
use queue::{ESTIMATE, Gauges, Queue, Running, Waiting, seat_time, total};

/// Who is who among requests.
pub type Ticket = u64;

/// Seats × nanoseconds of virtual time.
pub type Virtual = i128;

/// What a level does with those who find no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// There is always a seat.
    Exempt,
    /// They are refused.
    Reject,
    /// They wait in one of so many queues, of which their flow may use `hand`; a queue takes `length` of them.
    Queue {
        /// How many there are.
        queues: u32,
        /// How many one flow may use.
        hand: u32,
        /// How many may wait in one.
        length: usize,
    },
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It runs, on behalf of this queue if there is one.
    Run(Option<u32>),
    /// It waits in this queue; the length of it, itself included.
    Wait(u32, usize),
    /// It is refused, because …
    Refuse(Why),
}

/// All of a level's queues and seats.
#[derive(Debug)]
pub struct Queues {
    response: Response,
    limit: u32,
    pub(super) queues: BTreeMap<u32, Queue>,
    running: ByTicket<Running>,
    /// Virtual time: how much seat time a queue that always wanted seats would have been given.
    virtual_now: Virtual,
    last: Duration,
    /// The queue served last: ties go to the ones after it.
    robin: u32,
    hands: usize,
    executing: usize,
    waiting: usize,
    seats_waiting: u32,
    seats: u32,
    /// What the level could use.
    pub(super) demand: Meter,
    pub(super) gauges: Gauges,
    /// How full it was for how long.
    pub(super) timings: Timings,
    /// Who found too few seats when its turn came, since somebody asked.
    pub(super) cramped: Option<Ticket>,
}

impl Queues {
    /// Without anybody in it.
    pub fn new(response: Response, limit: u32) -> Self {
        Queues {
            response,
            limit,
            queues: BTreeMap::new(),
            running: ByTicket::default(),
            virtual_now: 0,
            last: Duration::ZERO,
            robin: 0,
            hands: 0,
            executing: 0,
            waiting: 0,
            seats_waiting: 0,
            seats: 0,
            demand: Meter::default(),
            gauges: Gauges::default(),
            timings: Timings::default(),
            cramped: None,
        }
    }

    /// Other rules from now on. Who waits goes on waiting, also in queues that are no more dealt.
    pub fn configure(&mut self, now: Duration, response: Response, limit: u32, started: &mut Vec<Ticket>) {
        self.pass(now);
        (self.response, self.limit) = (response, limit);
        self.dispatch(now, started);
    }

    /// A request wants seats. `hash`: its flow's. `started` gets whom this lets run, itself not included.
    pub fn arrive(&mut self, now: Duration, ticket: Ticket, work: Work, hash: u64, started: &mut Vec<Ticket>) -> Arrival {
        self.pass(now);
        let Response::Queue { queues, hand, length } = self.response else {
            if !self.fits(work.seats()) {
                return Arrival::Refuse(Why::ConcurrencyLimit);
            }
            self.start(now, None, ticket, work);
            return Arrival::Run(None);
        };
        let place = self.choose(Hand::deal(hash, queues, hand));
        if self.waiting == 0 && self.fits(work.seats()) && self.seats < self.limit {
            self.enter(place);
            self.start(now, Some(place), ticket, work);
            return Arrival::Run(Some(place));
        }
        let there = self.queues.get(&place).map_or(0, |queue| queue.waiting.len());
        // Also where seats are free, but too few for those before it: a queue has an end.
        if there >= length {
            return Arrival::Refuse(Why::QueueFull);
        }
        self.enter(place);
        self.wait(place, Waiting { ticket, work, arrived: self.virtual_now }, false);
        self.settle(now, ticket, place, started)
    }

    /// A request that gave its seats back wants them again: it is the first of its queue, however long that is.
    pub fn resume(&mut self, now: Duration, ticket: Ticket, work: Work, place: Option<u32>, started: &mut Vec<Ticket>) -> Arrival {
        self.pass(now);
        let Some(place) = place else {
            if !self.fits(work.seats()) {
                return Arrival::Refuse(Why::ConcurrencyLimit);
            }
            self.start(now, None, ticket, work);
            return Arrival::Run(None);
        };
        self.enter(place);
        self.wait(place, Waiting { ticket, work, arrived: self.virtual_now }, true);
        self.settle(now, ticket, place, started)
    }

    fn settle(&mut self, now: Duration, ticket: Ticket, place: u32, started: &mut Vec<Ticket>) -> Arrival {
        self.dispatch(now, started);
        if let Some(at) = started.iter().position(|one| *one == ticket) {
            started.remove(at);
            return Arrival::Run(Some(place));
        }
        Arrival::Wait(place, self.queues.get(&place).map_or(0, |queue| queue.waiting.len()))
    }

    /// One who waits does so no longer. `false`: it does not wait (any more).
    pub fn cancel(&mut self, now: Duration, ticket: Ticket, place: u32, started: &mut Vec<Ticket>) -> bool {
        self.pass(now);
        let Some(queue) = self.queues.get_mut(&place) else { return false };
        let Some(at) = queue.waiting.iter().position(|one| one.ticket == ticket) else { return false };
        let Some(gone) = queue.take(at) else { return false };
        self.waiting -= 1;
        self.seats_waiting -= gone.work.seats();
        self.bound(place);
        self.leave(place);
        self.measure(now);
        self.dispatch(now, started);
        true
    }

    /// One who ran has ended. `Some`: its seats are to be [`Queues::release`]d after that time.
    pub fn finish(&mut self, now: Duration, ticket: Ticket, started: &mut Vec<Ticket>) -> Option<Duration> {
        self.end(now, ticket, true, started)
    }

    /// One who runs gives its seats back, to come again with [`Queues::resume`].
    pub fn lend(&mut self, now: Duration, ticket: Ticket, started: &mut Vec<Ticket>) {
        self.end(now, ticket, false, started);
    }

    fn end(&mut self, now: Duration, ticket: Ticket, lingers: bool, started: &mut Vec<Ticket>) -> Option<Duration> {
        self.pass(now);
        let running = self.running.get_mut(&ticket).filter(|running| !running.lingers)?;
        let (work, place, began) = (running.work, running.queue, running.started);
        let linger = (lingers && !work.linger.is_zero()).then_some(work.linger);
        running.lingers = linger.is_some();
        let took = now.saturating_sub(began);
        self.executing -= 1;
        if let Some(place) = place {
            if let Some(queue) = self.queues.get_mut(&place) {
                queue.ends(work.seats(), began);
                queue.next += seat_time(work.seats(), took) - seat_time(work.seats(), ESTIMATE);
            }
            self.bound(place);
        }
        if linger.is_none() {
            self.give_back(now, ticket, started);
        }
        linger
    }

    /// The seats of one who lingered are free.
    pub fn release(&mut self, now: Duration, ticket: Ticket, started: &mut Vec<Ticket>) {
        self.pass(now);
        self.give_back(now, ticket, started);
    }

    fn give_back(&mut self, now: Duration, ticket: Ticket, started: &mut Vec<Ticket>) {
        let Some(running) = self.running.remove(&ticket) else { return };
        let seats = running.work.seats();
        self.seats -= seats;
        if let Some(place) = running.queue {
            if let Some(queue) = self.queues.get_mut(&place) {
                queue.seats -= seats;
            }
            self.leave(place);
        }
        self.measure(now);
        self.dispatch(now, started);
    }

    /// Lets virtual time pass: it is as fast as what each queue that wants seats gets of them. Seats that are free because
    /// the next request is too wide for them count as little as they serve (unlike upstream's): else virtual time outruns
    /// the queues of the wide, and whoever comes new starts far behind them.
    fn pass(&mut self, now: Duration) {
        let time = now.saturating_sub(self.last);
        self.last = self.last.max(now);
        let active = self.queues.values().filter(|q| q.executing > 0 || !q.waiting.is_empty()).count();
        if active > 0 {
            self.virtual_now += seat_time(self.seats.min(self.limit), time) / active as Virtual;
        }
        self.gauges.now = seconds(self.virtual_now);
    }

    /// The queue of the hand in which the least work waits; ties go round.
    fn choose(&mut self, hand: Hand) -> u32 {
        let cards = hand.cards();
        let from = self.hands % cards.len();
        self.hands = self.hands.wrapping_add(1);
        let load = |card: &u32| self.queues.get(card).map_or(0, |queue| queue.work_waiting);
        let order = cards[from..].iter().chain(&cards[..from]);
        order.min_by_key(|card| load(card)).copied().unwrap_or_default()
    }

    /// Makes the queue be there; one that wanted nothing starts at the present.
    fn enter(&mut self, place: u32) {
        let virtual_now = self.virtual_now;
        let queue = self.queues.entry(place).or_default();
        if queue.executing == 0 && queue.waiting.is_empty() {
            queue.next = virtual_now;
        }
    }

    fn leave(&mut self, place: u32) {
        let empty = |q: &Queue| q.executing == 0 && q.seats == 0 && q.waiting.is_empty();
        if self.queues.get(&place).is_some_and(empty) {
            self.queues.remove(&place);
        }
    }

    fn wait(&mut self, place: u32, one: Waiting, first: bool) {
        self.waiting += 1;
        self.seats_waiting += one.work.seats();
        let Some(queue) = self.queues.get_mut(&place) else { return };
        queue.waits(one, first);
        self.bound(place);
        self.measure(self.last);
    }

    /// A queue does not save up time from before its first request came.
    fn bound(&mut self, place: u32) {
        if let Some(queue) = self.queues.get_mut(&place) {
            let arrived = queue.waiting.front().map(|one| one.arrived);
            queue.next = arrived.map_or(queue.next, |arrived| queue.next.max(arrived));
        }
    }

    fn fits(&self, seats: u32) -> bool {
        match self.response {
            Response::Exempt => true,
            // Who is wider than all seats runs alone.
            _ if seats > self.limit => self.executing == 0,
            _ => self.seats + seats <= self.limit,
        }
    }

    fn start(&mut self, now: Duration, queue: Option<u32>, ticket: Ticket, mut work: Work) {
        if self.response != Response::Exempt && work.last > self.limit && self.limit > 0 {
            // The same work on fewer seats takes longer.
            work.linger = work.linger * work.last / self.limit;
            work.last = self.limit;
        }
        self.running.insert(ticket, Running { queue, work, started: now, lingers: false });
        self.executing += 1;
        self.seats += work.seats();
        if let Some(queue) = queue.and_then(|place| self.queues.get_mut(&place)) {
            self.gauges.start = seconds(queue.next);
            queue.starts(work.seats(), now);
            queue.seats += work.seats();
            queue.next += total(work);
        }
        self.gauges.dispatched = seconds(self.virtual_now);
        self.measure(now);
    }

    fn measure(&mut self, now: Duration) {
        let (wanted, limit) = (f64::from(self.seats + self.seats_waiting), f64::from(self.limit));
        self.demand.set(now, wanted);
        let room = if let Response::Queue { queues, length, .. } = self.response { f64::from(queues) * length as f64 } else { 1.0 };
        self.timings.seats.set(now, f64::from(self.seats), limit);
        self.timings.demand.set(now, wanted, limit);
        self.timings.waiting.set(now, self.waiting as f64, room);
        self.timings.executing.set(now, self.executing as f64, limit);
    }

    fn dispatch(&mut self, now: Duration, started: &mut Vec<Ticket>) {
        while self.waiting > 0 && self.seats < self.limit {
            let Some(place) = self.next(now) else { return };
            let Some(queue) = self.queues.get_mut(&place) else { return };
            let Some(one) = queue.waiting.front().copied() else { return };
            if !self.fits(one.work.seats()) {
                self.cramped = Some(one.ticket);
                return;
            }
            if let Some(queue) = self.queues.get_mut(&place) {
                queue.take(0);
            }
            self.robin = place;
            self.waiting -= 1;
            self.seats_waiting -= one.work.seats();
            self.start(now, Some(place), one.ticket, one.work);
            self.bound(place);
            started.push(one.ticket);
        }
    }

    /// The queue whose first request would be finished first.
    fn next(&mut self, now: Duration) -> Option<u32> {
        let after = self.queues.range(self.robin.saturating_add(1)..).chain(self.queues.range(..=self.robin));
        let mut best: Option<(Virtual, u32)> = None;
        let (mut starts, mut discounted) = ((Virtual::MAX, Virtual::MIN), (Virtual::MAX, Virtual::MIN));
        for (place, queue) in after {
            let Some(first) = queue.waiting.front() else { continue };
            let start = queue.start(now);
            let less = start - seat_time(queue.seats, ESTIMATE);
            starts = (starts.0.min(start), starts.1.max(start));
            discounted = (discounted.0.min(less), discounted.1.max(less));
            let finish = start + total(first.work);
            if best.is_none_or(|(least, _)| finish < least) {
                best = Some((finish, *place));
            }
        }
        let (_, place) = best?;
        self.gauges.starts = (seconds(starts.0), seconds(starts.1));
        self.gauges.discounted = (seconds(discounted.0), seconds(discounted.1));
        Some(place)
    }

    /// Requests that run: lingering ones do not.
    pub fn executing(&self) -> usize {
        self.executing
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Seats in use.
    #[cfg(test)]
    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// Whether nobody is there.
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.executing == 0
    }

    /// All who run: who, on behalf of which queue, since when, and how wide.
    pub fn running(&self) -> impl Iterator<Item = (Ticket, Option<u32>, Duration, Work)> {
        let running = self.running.iter().filter(|(_, running)| !running.lingers);
        running.map(|(ticket, running)| (*ticket, running.queue, running.started, running.work))
    }
}

#[cfg(test)]
mod tests;
