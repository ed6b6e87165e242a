//! Which images go (upstream: `images/image_gc_manager.go`). Pure: what was seen is given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use runtime::Image;

/// When images go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From this use of the disk on, in hundredths, they do (`imageGCHighThresholdPercent`).
    pub high: u8,
    /// Until it is this (`imageGCLowThresholdPercent`).
    pub low: u8,
    /// None that was first seen later than so long ago (`imageMinimumGCAge`).
    pub min_age: Duration,
    /// All that were not used for so long; zero for never (`imageMaximumGCAge`).
    pub max_age: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { high: 85, low: 80, min_age: Duration::from_secs(120), max_age: Duration::ZERO }
    }
}

impl Policy {
    /// Whether it can be kept to.
    pub fn check(&self) -> Result<(), String> {
        let percent = |name: &str, value: u8| match value {
            0..=100 => Ok(()),
            _ => Err(format!("invalid {name} {value}, must be in range [0-100]")),
        };
        percent("HighThresholdPercent", self.high)?;
        percent("LowThresholdPercent", self.low)?;
        if self.low > self.high {
            return Err(format!("LowThresholdPercent {} can not be higher than HighThresholdPercent {}", self.low, self.high));
        }
        Ok(())
    }

    /// Whether anything ever goes.
    pub(super) fn collects(&self) -> bool {
        self.high < 100 || !self.max_age.is_zero()
    }
}

/// What is remembered of an image.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: Instant,
    used: Option<Instant>,
}

/// What is remembered of all images, by id.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<String, Seen>);

/// An image that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Idle {
    /// Which.
    pub id: String,
    /// Bytes.
    pub size: u64,
    first: Instant,
    used: Option<Instant>,
}

impl Memory {
    /// Takes a look: what is new is remembered, what is gone forgotten. Those that may go, least recently used first.
    pub(super) fn look(&mut self, images: &[Image], in_use: &BTreeSet<String>, now: Instant) -> Vec<Idle> {
        self.0.retain(|id, _| images.iter().any(|image| image.id == *id));
        let mut idle = Vec::new();
        for image in images {
            let seen = self.0.entry(image.id.clone()).or_insert(Seen { first: now, used: None });
            if in_use.contains(&image.id) {
                seen.used = Some(now);
            } else if !image.pinned {
                idle.push(Idle { id: image.id.clone(), size: image.size, first: seen.first, used: seen.used });
            }
        }
        idle.sort_by(|a, b| (a.used, a.first, &a.id).cmp(&(b.used, b.first, &b.id)));
        idle
    }
}

/// Those that nobody has used for too long, and the others. Only when the agent has looked for so long itself.
pub(super) fn old(policy: &Policy, idle: Vec<Idle>, began: Instant, now: Instant) -> (Vec<Idle>, Vec<Idle>) {
    if policy.max_age.is_zero() || now.duration_since(began) <= policy.max_age {
        return (Vec::new(), idle);
    }
    // One that was never used has been idle since before the agent began.
    idle.into_iter().partition(|image| image.used.is_none_or(|used| now.duration_since(used) > policy.max_age))
}

/// A disk in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    /// All of it.
    pub capacity: u64,
    /// What may still be taken.
    pub available: u64,
}

impl Disk {
    /// How full it is, in hundredths.
    pub(super) fn used(&self) -> u8 {
        let free = u128::from(self.available.min(self.capacity)) * 100 / u128::from(self.capacity.max(1));
        100 - u8::try_from(free).unwrap_or(100)
    }

    /// Bytes to free; `None` while it is not full.
    pub(super) fn lacks(&self, policy: &Policy) -> Option<u64> {
        if self.used() < policy.high {
            return None;
        }
        let wanted = u128::from(self.capacity) * u128::from(100 - policy.low) / 100;
        Some(u64::try_from(wanted).unwrap_or(u64::MAX).saturating_sub(self.available))
    }
}

/// Whether one was seen for long enough: it may have been fetched for a container that begins now.
pub(super) fn is_ripe(policy: &Policy, image: &Idle, now: Instant) -> bool {
    now.duration_since(image.first) >= policy.min_age
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn image(id: &str, size: u64) -> Image {
        Image { id: id.to_owned(), size, ..Image::default() }
    }

    fn names(idle: &[Idle]) -> Vec<&str> {
        idle.iter().map(|image| image.id.as_str()).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn least_recently_used_goes_first_and_what_is_used_or_pinned_never() {
        let (mut memory, begin) = (Memory::default(), Instant::now());
        let mut images = vec![image("a", 1), image("b", 1), image("c", 1), Image { pinned: true, ..image("d", 1) }];
        assert_eq!(names(&memory.look(&images, &set(&["b"]), begin)), ["a", "c"]);
        images.insert(0, image("0", 1));
        assert_eq!(names(&memory.look(&images, &set(&["c"]), begin + MINUTE)), ["a", "0", "b"]);
        assert_eq!(names(&memory.look(&images, &set(&[]), begin + 2 * MINUTE)), ["a", "0", "b", "c"]);
        images.retain(|image| image.id != "a");
        memory.look(&images, &set(&[]), begin + 2 * MINUTE);
        images.push(image("a", 1));
        let idle = memory.look(&images, &set(&[]), begin + 3 * MINUTE);
        assert_eq!(names(&idle), ["0", "a", "b", "c"], "what was gone is new");
        let ripe = |at: Instant| idle.iter().filter(|image| is_ripe(&Policy::default(), image, at)).count();
        assert_eq!((ripe(begin + 3 * MINUTE), ripe(begin + 5 * MINUTE)), (3, 4));
    }

    #[test]
    fn age_counts_from_the_agents_own_beginning() {
        let (mut memory, begin) = (Memory::default(), Instant::now());
        let policy = Policy { max_age: 10 * MINUTE, ..Policy::default() };
        let images = [image("a", 1), image("b", 1)];
        memory.look(&images, &set(&["b"]), begin + 5 * MINUTE);
        let mut at = |minutes: u32, policy: &Policy| {
            let now = begin + minutes * MINUTE;
            let (old, left) = old(policy, memory.look(&images, &set(&[]), now), begin, now);
            (old.len(), left.len())
        };
        assert_eq!(at(10, &policy), (0, 2));
        assert_eq!(at(11, &policy), (1, 1));
        assert_eq!(at(16, &policy), (2, 0));
        assert_eq!(at(99, &Policy::default()), (0, 2));
    }

    #[test]
    fn a_disk_is_freed_down_to_the_low_mark() {
        let policy = Policy::default();
        let disk = |available| Disk { capacity: 1000, available };
        assert_eq!((disk(151).used(), disk(151).lacks(&policy)), (85, Some(49)));
        assert_eq!((disk(160).used(), disk(160).lacks(&policy)), (84, None));
        assert_eq!((disk(0).used(), disk(0).lacks(&policy)), (100, Some(200)));
        assert_eq!((disk(2000).used(), disk(2000).lacks(&policy)), (0, None));
        assert!(!Policy { high: 100, low: 80, ..policy }.collects());
        let error = Policy { high: 50, ..policy }.check().unwrap_err();
        assert_eq!(error, "LowThresholdPercent 80 can not be higher than HighThresholdPercent 50");
    }
}
