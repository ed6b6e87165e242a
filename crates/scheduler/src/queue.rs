//! Which pod is next, and which pods wait for what.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use meta::Key;

use crate::filters;

/// The first back-off after a failed attempt, and the longest (upstream: `podInitialBackoffSeconds`, `podMaxBackoffSeconds`).
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Events that can make an unschedulable pod fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A node appeared or changed in what filters look at.
    Node,
    /// A pod on a node ended, or asks for less.
    PodGone,
}

/// A pod in the queue.
#[derive(Clone, Debug)]
struct Waiting {
    priority: i32,
    /// Order of arrival.
    number: u64,
    attempts: u32,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Active,
    BackOff(Instant),
    /// Refused by these filters; after an event that helps it goes on, but not before the instant.
    Unschedulable(Vec<&'static str>, Instant),
    /// Taken out by [`Queue::pop`] and not yet put back; events that came meanwhile.
    InFlight(Vec<Hint>),
}

/// Pods that want a node. Pure: the clock is handed in.
#[derive(Debug, Default)]
pub struct Queue {
    pods: HashMap<Key, Waiting>,
    active: BTreeSet<(std::cmp::Reverse<i32>, u64, Key)>,
    timers: BTreeMap<(Instant, u64), Key>,
    /// Those that are refused, by the filters that refused them: an event costs what it helps.
    refused: BTreeMap<Vec<&'static str>, BTreeSet<Key>>,
    in_flight: HashSet<Key>,
    next_number: u64,
}

impl Queue {
    /// Adds a pod, or takes in that a waiting one changed: that may make it fit, so it is tried again.
    pub fn add(&mut self, key: Key, priority: i32) {
        if let Some(pod) = self.pods.get_mut(&key) {
            if let Place::InFlight(hints) = &mut pod.place {
                pod.priority = priority;
                hints.push(Hint::Node);
                return;
            }
            self.unlink(&key);
            self.pods.entry(key.clone()).and_modify(|pod| pod.priority = priority);
        } else {
            self.next_number += 1;
            let pod = Waiting { priority, number: self.next_number, attempts: 0, place: Place::Active };
            self.pods.insert(key.clone(), pod);
        }
        self.activate(&key);
    }

    /// Forgets a pod.
    pub fn remove(&mut self, key: &Key) {
        self.unlink(key);
        self.pods.remove(key);
    }

    /// The pod of the highest priority that has waited longest. It stays known until it is put back or removed.
    pub fn pop(&mut self) -> Option<Key> {
        let (_, _, key) = self.active.pop_first()?;
        let pod = self.pods.get_mut(&key)?;
        pod.attempts += 1;
        pod.place = Place::InFlight(Vec::new());
        self.in_flight.insert(key.clone());
        Some(key)
    }

    /// Puts a pod back that fits nowhere; it waits for an event that helps one of the filters that refused it.
    pub fn unschedulable(&mut self, key: &Key, refused_by: Vec<&'static str>, now: Instant) {
        let Some(pod) = self.pods.get_mut(key) else { return };
        let until = now + back_off(pod.attempts);
        let Place::InFlight(hints) = &pod.place else { return };
        if hints.iter().any(|h| helps(*h, &refused_by)) {
            return self.wait(key, until);
        }
        self.in_flight.remove(key);
        self.refused.entry(refused_by.clone()).or_default().insert(key.clone());
        pod.place = Place::Unschedulable(refused_by, until);
    }

    /// Puts a pod back whose attempt failed for another reason (the API refused the binding): again after back-off.
    pub fn failed(&mut self, key: &Key, now: Instant) {
        if let Some(pod) = self.pods.get(key) {
            let until = now + back_off(pod.attempts);
            self.wait(key, until);
        }
    }

    /// Takes in an event: pods that it can help are tried again, after their back-off.
    pub fn happened(&mut self, hint: Hint, now: Instant) {
        for key in &self.in_flight {
            match self.pods.get_mut(key).map(|pod| &mut pod.place) {
                Some(Place::InFlight(hints)) if !hints.contains(&hint) => hints.push(hint),
                _ => {}
            }
        }
        let helped: Vec<_> = self.refused.keys().filter(|by| helps(hint, by)).cloned().collect();
        for by in helped {
            for key in self.refused.remove(&by).into_iter().flatten() {
                match self.pods.get(&key).map(|pod| &pod.place) {
                    Some(Place::Unschedulable(_, until)) if *until > now => {
                        let until = *until;
                        self.wait(&key, until);
                    }
                    _ => self.activate(&key),
                }
            }
        }
    }

    /// Moves pods on whose back-off is over; returns when the next one will be.
    pub fn tick(&mut self, now: Instant) -> Option<Instant> {
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                return Some(entry.key().0);
            }
            let key = entry.remove();
            self.activate(&key);
        }
        None
    }

    /// How many pods wait in which place: (active, back-off, unschedulable), for metrics.
    pub fn counts(&self) -> (usize, usize, usize) {
        let stuck = self.refused.values().map(BTreeSet::len).sum();
        (self.active.len(), self.timers.len(), stuck)
    }

    fn activate(&mut self, key: &Key) {
        self.in_flight.remove(key);
        if let Some(pod) = self.pods.get_mut(key) {
            pod.place = Place::Active;
            self.active.insert((std::cmp::Reverse(pod.priority), pod.number, key.clone()));
        }
    }

    fn wait(&mut self, key: &Key, until: Instant) {
        self.in_flight.remove(key);
        if let Some(pod) = self.pods.get_mut(key) {
            pod.place = Place::BackOff(until);
            self.timers.insert((until, pod.number), key.clone());
        }
    }

    fn unlink(&mut self, key: &Key) {
        let Some(pod) = self.pods.get(key) else { return };
        self.active.remove(&(std::cmp::Reverse(pod.priority), pod.number, key.clone()));
        match &pod.place {
            Place::Active => {}
            Place::BackOff(until) => drop(self.timers.remove(&(*until, pod.number))),
            Place::Unschedulable(by, _) => {
                if let Some(keys) = self.refused.get_mut(by) {
                    keys.remove(key);
                    if keys.is_empty() {
                        self.refused.remove(by);
                    }
                }
            }
            Place::InFlight(_) => drop(self.in_flight.remove(key)),
        }
    }
}

/// Without a filter to blame (no node at all) a new node helps.
fn helps(hint: Hint, refused_by: &[&str]) -> bool {
    let blamed = filters::ALL.iter().filter(|f| refused_by.contains(&f.name));
    (refused_by.is_empty() && hint == Hint::Node) || blamed.into_iter().any(|f| f.helped_by.contains(&hint))
}

fn back_off(attempts: u32) -> Duration {
    BACKOFF.0.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_first_then_age() {
        let mut q = Queue::default();
        for (name, priority) in [("a", 0), ("b", 10), ("c", 0)] {
            q.add(Key::new("d", name), priority);
        }
        let order: Vec<_> = std::iter::from_fn(|| q.pop()).map(|k| k.name.to_string()).collect();
        assert_eq!(order, ["b", "a", "c"]);
    }

    #[test]
    fn only_an_event_that_helps_wakes_a_pod() {
        let (mut q, t0, key) = (Queue::default(), Instant::now(), Key::new("d", "a"));
        let later = t0 + Duration::from_secs(60);
        q.add(key.clone(), 0);
        assert_eq!(q.pop(), Some(key.clone()));
        q.unschedulable(&key, vec!["NodeAffinity"], t0);
        q.happened(Hint::PodGone, later);
        assert_eq!((q.tick(later), q.pop()), (None, None));
        q.happened(Hint::Node, later);
        assert_eq!(q.pop(), Some(key.clone()));
        // An event during the attempt counts, and the back-off is kept.
        q.happened(Hint::Node, later);
        q.unschedulable(&key, vec!["NodeAffinity"], later);
        assert_eq!(q.pop(), None);
        let next = q.tick(later).expect("a timer");
        assert_eq!(next - later, Duration::from_secs(2));
        assert_eq!((q.tick(next), q.pop()), (None, Some(key.clone())));
        q.remove(&key);
        q.unschedulable(&key, vec![], later);
        assert_eq!(q.counts(), (0, 0, 0));
    }
}
