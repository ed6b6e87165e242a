//! Who gets a connection. A pure decider, and the list that it decides upon.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::line::Line;

/// A connection as the decider sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Who it is, among all.
    pub id: u64,
    /// Where it comes from.
    pub address: IpAddr,
    /// Whether somebody has shown who they are on it.
    pub known: bool,
    /// Since when it has had no request; `None`: it has one.
    pub idle: Option<Instant>,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Enter,
    /// It is served, and this one is closed for it.
    Instead(u64),
    /// It is closed.
    Refuse,
}

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of all connections.
    pub all: usize,
}

impl Bounds {
    /// From one address: nobody has all of them.
    fn of_address(self) -> usize {
        (self.all * 3 / 4).max(1)
    }

    /// From one address, of those who have not shown who they are.
    fn unknown(self) -> usize {
        (self.all / 4).max(4)
    }

    /// Decides on a connection from that address, given all others. Whoever is unknown and idle gives way first, then
    /// who is known and idle; who has a request never does.
    pub fn admit(self, address: IpAddr, others: &[Seen]) -> Verdict {
        let ours = |seen: &&Seen| seen.address == address;
        let unknown = others.iter().filter(ours).filter(|seen| !seen.known).count();
        if unknown >= self.unknown() {
            return instead(others.iter().filter(ours).filter(|seen| !seen.known));
        }
        if others.iter().filter(ours).count() >= self.of_address() {
            return instead(others.iter().filter(ours));
        }
        if others.len() >= self.all {
            return instead(others.iter());
        }
        Verdict::Enter
    }
}

/// The one that gives way: the unknown before the known, and the one that was idle the longest.
fn instead<'a>(candidates: impl Iterator<Item = &'a Seen>) -> Verdict {
    let idle = candidates.filter_map(|seen| Some((seen.known, seen.idle?, seen.id)));
    idle.min().map_or(Verdict::Refuse, |(_, _, id)| Verdict::Instead(id))
}

/// All connections of a listener.
#[derive(Debug)]
pub struct Slots {
    bounds: Bounds,
    lines: Mutex<(u64, HashMap<u64, Arc<Line>>)>,
}

/// One connection's place. Free again when it is dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    id: u64,
}

impl Slots {
    /// Nobody yet.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Slots { bounds, lines: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Arc<Line>>)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections.
    pub fn close(&self) {
        self.lock().1.values().for_each(|line| line.close());
    }

    /// A place for a connection from there, if it gets one.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<(Arc<Line>, Slot)> {
        let mut lines = self.lock();
        // As long as there is plenty of room nobody is looked at.
        if lines.1.len() >= self.bounds.unknown() {
            let open = lines.1.iter().filter(|(_, line)| !line.is_closing());
            let others: Vec<Seen> = open.map(|(id, line)| line.seen(*id)).collect();
            match self.bounds.admit(address, &others) {
                Verdict::Enter => {}
                Verdict::Instead(id) => {
                    if let Some(line) = lines.1.get(&id) {
                        line.close();
                    }
                }
                Verdict::Refuse => return None,
            }
        }
        let id = lines.0;
        lines.0 += 1;
        let line = Arc::new(Line::new(address));
        lines.1.insert(id, line.clone());
        Some((line, Slot { slots: self.clone(), id }))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().1.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    fn seen(id: u64, address: IpAddr, known: bool, idle: Option<u64>, now: Instant) -> Seen {
        Seen { id, address, known, idle: idle.map(|ago| now - Duration::from_secs(ago)) }
    }

    #[tokio::test(start_paused = true)]
    async fn the_unknown_and_idle_give_way_and_who_works_stays() {
        tokio::time::advance(Duration::from_secs(1000)).await;
        let (now, bounds) = (Instant::now(), Bounds { all: 20 });
        let crowd: Vec<Seen> = (0..5).map(|id| seen(id, HERE, false, Some(id), now)).collect();
        assert_eq!(bounds.admit(HERE, &crowd), Verdict::Instead(4), "five unknown of one address are enough");
        assert_eq!(bounds.admit(THERE, &crowd), Verdict::Enter);
        let working: Vec<Seen> = (0..5).map(|id| seen(id, HERE, false, None, now)).collect();
        assert_eq!(bounds.admit(HERE, &working), Verdict::Refuse);
        let mut full: Vec<Seen> = (0..14).map(|id| seen(id, HERE, true, Some(50 + id), now)).collect();
        full.extend((14..20).map(|id| seen(id, THERE, id % 2 == 0, Some(1), now)));
        assert_eq!(bounds.admit(THERE, &full), Verdict::Instead(15));
        full.iter_mut().for_each(|seen| seen.known = true);
        assert_eq!(bounds.admit(THERE, &full), Verdict::Instead(13));
        full.iter_mut().for_each(|seen| seen.idle = None);
        assert_eq!(bounds.admit(THERE, &full), Verdict::Refuse);
        let one_address: Vec<Seen> = (0..15).map(|id| seen(id, HERE, true, None, now)).collect();
        assert_eq!(bounds.admit(HERE, &one_address), Verdict::Refuse);
        assert_eq!(bounds.admit(THERE, &one_address), Verdict::Enter);
    }
}
