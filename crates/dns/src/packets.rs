//! Answers that are the same for all who ask in the same words, as bytes, for as long as neither the cluster nor the
//! Corefile changes, or other name servers let them be kept: most questions are asked again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::ResponseCode;
use tokio::time::Instant;

use crate::limits::{PACKET, PACKETS};
use crate::metrics::Series;

/// The type of an OPT record.
const OPT: u16 = 41;

/// Messages without their first two bytes, the number by which a client knows its answer.
#[derive(Default)]
pub(crate) struct Packets(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The cluster's version that all answers are about.
    version: u64,
    answers: HashMap<Box<[u8]>, Packet>,
}

struct Packet {
    bytes: Box<[u8]>,
    counts: Option<(Arc<Series>, ResponseCode)>,
    age: Option<Age>,
}

/// An answer whose time is counted down.
struct Age {
    until: Instant,
    /// Where the times of its records are.
    times: Vec<usize>,
}

impl Packets {
    /// Puts the answer to a message over UDP into `answer`, if it is known.
    pub(crate) fn get(&self, version: u64, message: &[u8], answer: &mut Vec<u8>) -> bool {
        let Some((number, question)) = message.split_at_checked(2) else { return false };
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(packet) = kept.answers.get(question).filter(|_| kept.version == version) else { return false };
        answer.clear();
        answer.extend_from_slice(number);
        answer.extend_from_slice(&packet.bytes);
        if let Some(age) = &packet.age {
            let Some(left) = seconds(age.until) else { return false };
            age.times.iter().for_each(|at| answer[*at..at + 4].copy_from_slice(&left.to_be_bytes()));
        }
        if let Some((series, code)) = &packet.counts {
            series.count(*code, false, std::time::Duration::ZERO);
        }
        true
    }

    /// Keeps an answer that was found when the cluster had this version, and until then, if its time is counted down. When
    /// there is no place, all make place.
    pub(crate) fn put(
        &self,
        version: u64,
        message: &[u8],
        answer: &[u8],
        counts: Option<(Arc<Series>, ResponseCode)>,
        until: Option<Instant>,
    ) {
        if message.len() > PACKET || answer.len() > PACKET || message.len() < 2 || answer.len() < 2 {
            return;
        }
        let age = until.map(|until| Age { until, times: Vec::new() });
        let age = match age {
            None => None,
            Some(age) => match (seconds(age.until), times(answer)) {
                // If all have the same time, it is that of the answer.
                (Some(left), Some(times)) if times.iter().all(|(_, time)| *time == left) => {
                    Some(Age { times: times.into_iter().map(|(at, _)| at).collect(), ..age })
                }
                _ => return,
            },
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.version > version {
            return;
        }
        if kept.version < version || kept.answers.len() >= PACKETS {
            kept.answers.clear();
            kept.version = version;
        }
        kept.answers.insert(message[2..].into(), Packet { bytes: answer[2..].into(), counts, age });
    }
}

/// Whole seconds that are left, a begun one included, as [`crate::steps`] count them; `None`: it is over.
fn seconds(until: Instant) -> Option<u32> {
    let left = until.saturating_duration_since(Instant::now());
    let whole = u32::try_from(left.as_secs()).ok()? + u32::from(left.subsec_nanos() > 0);
    (whole > 0).then_some(whole)
}

/// Where in a message the times of its records are, and what they are. (The field of an OPT record is no time.)
fn times(message: &[u8]) -> Option<Vec<(usize, u32)>> {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..number(4)? {
        at = after_name(message, at)? + 4;
    }
    let mut times = Vec::new();
    for _ in 0..u32::from(number(6)?) + u32::from(number(8)?) + u32::from(number(10)?) {
        at = after_name(message, at)?;
        let time = u32::from_be_bytes(message.get(at + 4..at + 8)?.try_into().ok()?);
        if number(at)? != OPT {
            times.push((at + 4, time));
        }
        at += 10 + usize::from(number(at + 8)?);
    }
    Some(times)
}

fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            // The rest of the name is elsewhere.
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{extended, record};
    use hickory_proto::op::Message;
    use std::time::Duration;

    #[tokio::test]
    async fn the_time_is_counted_down_to_its_end() {
        tokio::time::pause();
        let mut message = extended("a.example.", "A", 1232);
        message.answers = vec![record("a.example. 20 CNAME b.example."), record("b.example. 20 A 192.0.2.1")];
        let bytes = message.to_vec().expect("a message");
        let (packets, mut answer) = (Packets::default(), Vec::new());
        packets.put(1, b"12question", &bytes, None, Some(Instant::now() + Duration::from_secs(20)));
        for (after, left) in [(0, 20), (500, 20), (500, 19), (18_000, 1)] {
            tokio::time::advance(Duration::from_millis(after)).await;
            assert!(packets.get(1, b"34question", &mut answer));
            let again = Message::from_vec(&answer).expect("a message");
            assert_eq!(again.answers.iter().map(|r| r.ttl).collect::<Vec<_>>(), [left, left]);
            assert_eq!((&again.edns, &again.queries), (&message.edns, &message.queries));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!packets.get(1, b"34question", &mut answer), "it is over");
        // Where each has a time of its own, there is no time of the answer.
        packets.put(1, b"12other", &bytes, None, Some(Instant::now() + Duration::from_secs(9)));
        assert!(!packets.get(1, b"34other", &mut answer));
        assert!((0..bytes.len()).all(|cut| times(&bytes[..cut]).is_none_or(|times| times.len() <= 2)));
    }

    #[test]
    fn answers_are_about_one_version() {
        let (packets, mut answer) = (Packets::default(), Vec::new());
        packets.put(1, b"12question", b"12answer", None, None);
        assert!(packets.get(1, b"34question", &mut answer) && answer == b"34answer");
        assert!(!packets.get(2, b"34question", &mut answer), "the cluster has changed");
        assert!(!packets.get(1, b"34Question", &mut answer) && !packets.get(1, b"3", &mut answer));
        packets.put(2, b"12other", b"12more", None, None);
        packets.put(1, b"12question", b"12late", None, None);
        assert!(packets.get(2, b"56other", &mut answer) && answer == b"56more");
        assert!(!packets.get(2, b"34question", &mut answer) && !packets.get(1, b"34question", &mut answer));
    }

    #[test]
    fn they_are_bounded() {
        let packets = Packets::default();
        (0..PACKETS * 2 + 5).for_each(|n| packets.put(1, format!("12{n}").as_bytes(), b"12answer", None, None));
        packets.put(1, &[b'x'; PACKET + 1], b"12answer", None, None);
        packets.put(1, b"12long", &[b'x'; PACKET + 1], None, None);
        assert_eq!(packets.0.lock().expect("no panic").answers.len(), 5);
    }
}
