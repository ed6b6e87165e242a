//! A simulated server: the clock stands still until something happens.

use std::collections::{BTreeMap, BinaryHeap};
use std::cmp::Reverse;
use std::time::Duration;

use super::*;

const MS: Duration = Duration::from_millis(1);
const QUEUES: Response = Response::Queue { queues: 64, hand: 6, length: 50 };

/// A client who keeps so many requests of one kind in the system.
#[derive(Clone, Copy)]
struct Client {
    at_once: usize,
    work: Work,
    takes: Duration,
    /// Pause between an answer and the next request.
    pause: Duration,
}

/// What came of it, a client each.
#[derive(Clone, Debug, Default)]
struct Result {
    seat_time: Duration,
    answered: usize,
    refused: usize,
    longest_wait: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Finish(Ticket),
    Release(Ticket),
    Ask(usize),
}

struct Simulation {
    queues: Queues,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    clients: Vec<Client>,
    results: Vec<Result>,
    /// Owner and arrival.
    tickets: BTreeMap<Ticket, (usize, Duration)>,
    next: Ticket,
}

fn hash(flow: usize) -> u64 {
    // Any fixed mixing will do.
    (flow as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Simulation {
    fn run(response: Response, seats: u32, clients: &[Client], time: Duration) -> Vec<Result> {
        let mut simulation = Simulation {
            queues: Queues::new(response, seats),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            clients: clients.to_vec(),
            results: vec![Result::default(); clients.len()],
            tickets: BTreeMap::new(),
            next: 0,
        };
        for (owner, client) in clients.iter().enumerate() {
            (0..client.at_once).for_each(|_| simulation.events.push(Reverse((Duration::ZERO, Event::Ask(owner)))));
        }
        while let Some(Reverse((at, event))) = simulation.events.pop().filter(|Reverse((at, _))| *at <= time) {
            simulation.now = at;
            simulation.happen(event);
        }
        simulation.results
    }

    fn happen(&mut self, event: Event) {
        let mut started = Vec::new();
        match event {
            Event::Ask(owner) => {
                self.next += 1;
                let ticket = self.next;
                match self.queues.arrive(self.now, ticket, self.clients[owner].work, hash(owner), &mut started) {
                    Arrival::Run(_) => started.push(ticket),
                    Arrival::Wait(..) => {}
                    Arrival::Refuse(_) => {
                        self.results[owner].refused += 1;
                        self.events.push(Reverse((self.now + 1000 * MS, Event::Ask(owner))));
                        return;
                    }
                }
                self.tickets.insert(ticket, (owner, self.now));
            }
            Event::Finish(ticket) => {
                let linger = self.queues.finish(self.now, ticket, &mut started);
                let (owner, _) = self.tickets[&ticket];
                self.results[owner].answered += 1;
                self.events.push(Reverse((self.now + self.clients[owner].pause, Event::Ask(owner))));
                if let Some(linger) = linger {
                    self.events.push(Reverse((self.now + linger, Event::Release(ticket))));
                }
            }
            Event::Release(ticket) => self.queues.release(self.now, ticket, &mut started),
        }
        for ticket in started {
            let (owner, arrived) = self.tickets[&ticket];
            let (client, result) = (self.clients[owner], &mut self.results[owner]);
            result.longest_wait = result.longest_wait.max(self.now - arrived);
            result.seat_time += (client.takes + client.work.linger) * client.work.seats();
            self.events.push(Reverse((self.now + client.takes, Event::Finish(ticket))));
        }
        let bound = if self.queues.response == Response::Exempt { u32::MAX } else { self.queues.limit };
        assert!(self.queues.seats() <= bound, "never more seats than there are");
    }
}

fn flood() -> Client {
    Client { at_once: 400, work: Work { first: 10, last: 0, linger: Duration::ZERO }, takes: 50 * MS, pause: Duration::ZERO }
}

#[test]
fn a_light_client_hardly_notices_a_flood() {
    let light = Client { at_once: 1, work: Work::ONE, takes: MS, pause: 10 * MS };
    let results = Simulation::run(QUEUES, 49, &[flood(), light], Duration::from_secs(20));
    assert!(results[1].longest_wait < 110 * MS, "{results:?}");
    assert!(results[1].answered > 300, "{results:?}");
    assert!(results[0].refused > 0 && results[1].refused == 0, "{results:?}");
    // The flood has what nobody else wants: 4 of its requests fit at once.
    assert!(results[0].answered > 4 * 20 * 15, "{results:?}");
}

#[test]
fn seats_are_shared_alike_whatever_requests_are_like() {
    let wide = Client { at_once: 200, takes: 5 * MS, ..flood() };
    let narrow = Client { at_once: 200, work: Work::ONE, takes: 5 * MS, pause: Duration::ZERO };
    let telling = Client { at_once: 200, work: Work { first: 1, last: 10, linger: 5 * MS }, takes: 2 * MS, pause: Duration::ZERO };
    let results = Simulation::run(QUEUES, 20, &[wide, narrow, telling], Duration::from_secs(20));
    let times: Vec<f64> = results.iter().map(|r| r.seat_time.as_secs_f64()).collect();
    let (least, most) = (times.iter().copied().fold(f64::MAX, f64::min), times.iter().copied().fold(0.0, f64::max));
    // Each has six queues of its own: what differs comes from hands that share a queue, and from odd widths.
    assert!(most / least < 2.0, "{times:?}");
}

#[test]
fn nobody_starves() {
    let mut clients = vec![flood(); 20];
    clients.push(Client { at_once: 2, work: Work { first: 10, last: 0, linger: Duration::ZERO }, takes: 20 * MS, pause: 5 * MS });
    let results = Simulation::run(QUEUES, 20, &clients, Duration::from_secs(20));
    assert!(results.iter().all(|r| r.answered > 0), "{results:?}");
    assert!(results[20].longest_wait < Duration::from_secs(15), "{:?}", results[20]);
}

#[test]
fn exempt_requests_never_wait_and_others_without_queue_are_refused() {
    let results = Simulation::run(Response::Exempt, 0, &[flood()], Duration::from_secs(1));
    assert_eq!((results[0].refused, results[0].longest_wait), (0, Duration::ZERO));
    let results = Simulation::run(Response::Reject, 13, &[flood()], Duration::from_secs(1));
    assert!(results[0].refused > 200 && results[0].answered >= 19, "{results:?}");
}

#[test]
fn who_gives_seats_back_comes_first_when_it_returns() {
    let one = Response::Queue { queues: 1, hand: 1, length: 50 };
    let (mut queues, mut started) = (Queues::new(one, 1), Vec::new());
    assert_eq!(queues.arrive(MS, 1, Work::ONE, 0, &mut started), Arrival::Run(Some(0)));
    assert_eq!(queues.arrive(MS, 2, Work::ONE, 0, &mut started), Arrival::Wait(0, 1));
    assert_eq!(queues.arrive(MS, 3, Work::ONE, 0, &mut started), Arrival::Wait(0, 2));
    queues.lend(2 * MS, 1, &mut started);
    assert_eq!(std::mem::take(&mut started), [2]);
    assert_eq!(queues.resume(3 * MS, 1, Work::ONE, Some(0), &mut started), Arrival::Wait(0, 2));
    queues.finish(4 * MS, 2, &mut started);
    assert_eq!(std::mem::take(&mut started), [1]);
    assert!(queues.cancel(5 * MS, 3, 0, &mut started) && !queues.cancel(5 * MS, 3, 0, &mut started));
    queues.finish(6 * MS, 1, &mut started);
    assert!(queues.is_idle() && queues.seats() == 0 && queues.queues.is_empty());
}

#[test]
fn more_seats_let_more_run_and_fewer_are_waited_for() {
    let (mut queues, mut started) = (Queues::new(QUEUES, 1), Vec::new());
    for ticket in 1..=4 {
        queues.arrive(MS, ticket, Work::ONE, hash(0), &mut started);
    }
    queues.configure(MS, QUEUES, 3, &mut started);
    assert_eq!((started.len(), queues.executing(), queues.waiting()), (2, 3, 1));
    queues.configure(MS, QUEUES, 1, &mut started);
    started.clear();
    for ticket in 1..=2 {
        queues.finish(2 * MS, ticket, &mut started);
    }
    assert_eq!(started, [0; 0], "one still runs");
}
