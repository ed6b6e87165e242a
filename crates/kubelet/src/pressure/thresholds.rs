//! How much the node keeps free (upstream: `eviction.ParseThresholdConfig`). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use meta::Quantity;

/// What can run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// `memory.available`: of the machine.
    Memory,
    /// `allocatableMemory.available`: of what all pods together may use.
    PodMemory,
    /// `nodefs.available`: bytes where the pods' files are.
    NodeDisk,
    /// `nodefs.inodesFree`: files there.
    NodeInodes,
    /// `imagefs.available`: bytes where images and the layers of containers are.
    ImageDisk,
    /// `imagefs.inodesFree`: files there.
    ImageInodes,
    /// `pid.available`: processes.
    Processes,
}

/// All that can be named. What all pods together may use follows from the machine's memory.
const NAMES: [(Signal, &str); 6] = [
    (Signal::Memory, "memory.available"),
    (Signal::NodeDisk, "nodefs.available"),
    (Signal::NodeInodes, "nodefs.inodesFree"),
    (Signal::ImageDisk, "imagefs.available"),
    (Signal::ImageInodes, "imagefs.inodesFree"),
    (Signal::Processes, "pid.available"),
];

/// What is kept free where nothing else is said. Upstream keeps 10 % of the disk of pods and 15 % of that of images, of
/// which a large disk has more than anybody misses; these are the shares that k3s keeps.
pub const HARD: &str =
    "memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%,imagefs.available<5%,imagefs.inodesFree<5%";

impl Signal {
    /// Reads its name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(signal, _)| *signal).ok_or_else(|| format!("unsupported eviction signal {name}"))
    }

    /// Its name; what follows from another has none.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(signal, _)| *signal == self).map(|(_, name)| *name)
    }

    /// The node's condition that it makes true.
    pub fn condition(self) -> &'static str {
        match self {
            Signal::Memory | Signal::PodMemory => "MemoryPressure",
            Signal::Processes => "PIDPressure",
            _ => "DiskPressure",
        }
    }

    /// What pods give back of it.
    pub fn resource(self) -> &'static str {
        match self {
            Signal::Memory | Signal::PodMemory => "memory",
            Signal::NodeDisk | Signal::ImageDisk => "ephemeral-storage",
            Signal::NodeInodes | Signal::ImageInodes => "inodes",
            Signal::Processes => "pids",
        }
    }
}

/// An amount, or a share of all that there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So much.
    Fixed(Quantity),
    /// Between 0 and 1.
    Share(f32),
}

impl Amount {
    /// What that is of so much.
    pub fn of(self, capacity: i64) -> i64 {
        match self {
            Amount::Fixed(quantity) => quantity.value(),
            Amount::Share(share) => (capacity as f64 * f64::from(share)) as i64,
        }
    }
}

/// When pods go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// What runs short.
    pub signal: Signal,
    /// When less than that is left.
    pub below: Amount,
    /// And has been for so long; not at all for a hard one.
    pub grace: Duration,
    /// So much more is to be free once it has come so far.
    pub reclaim: Option<Amount>,
}

impl Threshold {
    /// Whether pods go at once.
    pub fn is_hard(&self) -> bool {
        self.grace.is_zero()
    }
}

/// What the node's owner wrote, each as the kubelet's flag of that name takes it.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// `--eviction-hard`
    pub hard: &'a str,
    /// `--eviction-soft`
    pub soft: &'a str,
    /// `--eviction-soft-grace-period`
    pub soft_grace: &'a str,
    /// `--eviction-minimum-reclaim`
    pub reclaim: &'a str,
}

/// Reads it.
pub fn parse(wording: &Wording) -> Result<Vec<Threshold>, String> {
    let mut list = statements(wording.hard)?;
    let graces = pairs(wording.soft_grace, '=')?.into_iter().map(|(name, text)| Ok((Signal::parse(name)?, grace(text)?)));
    let graces = graces.collect::<Result<BTreeMap<_, _>, String>>()?;
    for mut threshold in statements(wording.soft)? {
        let name = threshold.signal.name().unwrap_or_default();
        let grace = graces.get(&threshold.signal);
        threshold.grace = *grace.ok_or_else(|| format!("grace period must be specified for the soft eviction threshold {name}"))?;
        list.push(threshold);
    }
    for (name, text) in pairs(wording.reclaim, '=')? {
        let (signal, amount) = (Signal::parse(name)?, reclaim(name, text)?);
        list.iter_mut().filter(|t| t.signal == signal).for_each(|t| t.reclaim = Some(amount));
    }
    // What all pods together may use is enforced: there, too, some is kept free.
    let memory = list.iter().find(|t| t.signal == Signal::Memory && t.is_hard()).copied();
    list.extend(memory.map(|t| Threshold { signal: Signal::PodMemory, ..t }));
    Ok(list)
}

/// The share of the pods' disk that a hard threshold keeps from them, of so many bytes.
pub fn kept(list: &[Threshold], signal: Signal, capacity: i64) -> i64 {
    let hard = list.iter().find(|t| t.signal == signal && t.is_hard());
    hard.map_or(0, |t| t.below.of(capacity))
}

fn pairs(text: &str, between: char) -> Result<Vec<(&str, &str)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| format!("malformed pair, expect string{between}string: {part}");
    parts.map(|part| part.split_once(between).ok_or_else(|| pair(part))).collect()
}

fn statements(text: &str) -> Result<Vec<Threshold>, String> {
    let mut list = Vec::new();
    for (name, text) in pairs(text, '<')? {
        let signal = Signal::parse(name)?;
        let below = match text.strip_suffix('%') {
            // Nothing, and everything, is never short.
            Some("0" | "100") => continue,
            Some(number) => Amount::Share(share(number).and_then(|share| match share {
                below if below < 0.0 => Err(format!("eviction percentage threshold {name} must be >= 0%: {text}")),
                above if above > 1.0 => Err(format!("eviction percentage threshold {name} must be <= 100%: {text}")),
                share => Ok(share),
            })?),
            None => Amount::Fixed(positive(text).map_err(|why| why.unwrap_or_else(|| format!("eviction threshold {name} must be positive: {text}")))?),
        };
        list.push(Threshold { signal, below, grace: Duration::ZERO, reclaim: None });
    }
    Ok(list)
}

fn share(number: &str) -> Result<f32, String> {
    let parsed = number.parse::<f32>().ok().filter(|share| share.is_finite());
    parsed.map(|percent| percent / 100.0).ok_or_else(|| format!("{number:?} is no percentage"))
}

/// A quantity above zero; `None` as the error where it is one and is not above.
fn positive(text: &str) -> Result<Quantity, Option<String>> {
    let quantity = Quantity::parse(text).map_err(|error| Some(error.to_string()))?;
    if quantity.milli_value() > 0 { Ok(quantity) } else { Err(None) }
}

fn grace(text: &str) -> Result<Duration, String> {
    let nanos = meta::duration::parse(text)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| format!("invalid eviction grace period specified: {text}, must be a positive value"))
}

fn reclaim(name: &str, text: &str) -> Result<Amount, String> {
    match text.strip_suffix('%') {
        Some(number) => match share(number)? {
            share if share > 0.0 => Ok(Amount::Share(share)),
            _ => Err(format!("eviction percentage minimum reclaim {name} must be positive: {text}")),
        },
        None => match Quantity::parse(text).map_err(|error| error.to_string())? {
            quantity if quantity.milli_value() < 0 => Err(format!("negative eviction minimum reclaim specified for {name}")),
            quantity => Ok(Amount::Fixed(quantity)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hard: &str, soft: &str, soft_grace: &str, reclaim: &str) -> Result<Vec<Threshold>, String> {
        parse(&Wording { hard, soft, soft_grace, reclaim })
    }

    #[test]
    fn flags_are_read_as_the_kubelet_reads_them() {
        let list = read("memory.available<100Mi,nodefs.available<0%", "nodefs.available<15%", "nodefs.available=1m30s", "memory.available=5%");
        let list = list.expect("good");
        let told: Vec<_> = list.iter().map(|t| (t.signal, t.below.of(1000 << 20) >> 20, t.grace.as_secs())).collect();
        assert_eq!(told, [(Signal::Memory, 100, 0), (Signal::NodeDisk, 150, 90), (Signal::PodMemory, 100, 0)]);
        assert_eq!(list[0].reclaim, Some(Amount::Share(0.05)));
        assert_eq!(read(HARD, "", "", "").map(|list| list.len()), Ok(6));
        assert_eq!(kept(&read(HARD, "", "", "").expect("good"), Signal::NodeDisk, 1000), 50);
    }

    #[test]
    fn mistakes_are_told_in_upstreams_words() {
        let wrong = |hard: &str| read(hard, "", "", "").expect_err("wrong");
        assert_eq!(wrong("mem<1"), "unsupported eviction signal mem");
        assert_eq!(wrong("memory.available"), "malformed pair, expect string<string: memory.available");
        assert_eq!(wrong("memory.available<-1Mi"), "eviction threshold memory.available must be positive: -1Mi");
        assert_eq!(wrong("nodefs.available<101%"), "eviction percentage threshold nodefs.available must be <= 100%: 101%");
        assert_eq!(wrong("nodefs.available<-1%"), "eviction percentage threshold nodefs.available must be >= 0%: -1%");
        let soft = read("", "memory.available<1Gi", "", "").expect_err("wrong");
        assert_eq!(soft, "grace period must be specified for the soft eviction threshold memory.available");
        let negative = read("", "memory.available<1Gi", "memory.available=-1s", "").expect_err("wrong");
        assert_eq!(negative, "invalid eviction grace period specified: -1s, must be a positive value");
        let reclaim = read("memory.available<1Gi", "", "", "memory.available=0%").expect_err("wrong");
        assert_eq!(reclaim, "eviction percentage minimum reclaim memory.available must be positive: 0%");
    }
}
