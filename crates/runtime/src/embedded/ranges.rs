//! Which ids of the node belong to which pod's user namespace.
//!
//! The pods' records are the truth; this is what they say, so that no two pods that start at the same time get the
//! same. Upstream: `kubelet/userns`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::users::{IdRange, LENGTH};
use crate::{Error, Result};

/// No range goes beyond: greater ids are negative numbers to some programs and file systems.
const END: u64 = 1 << 31;
/// The user whose subordinate ids are for pods, if it has any (upstream: `kubeletUser`).
const OWNER: &str = "kubelet";
/// Largest file of accounts that is read, bytes.
const MAX_ACCOUNTS: u64 = 8 << 20;

/// See the module.
pub(super) struct Ranges(Mutex<BTreeMap<String, IdRange>>);

impl Ranges {
    /// As the records have them.
    pub(super) fn in_use(all: impl Iterator<Item = (String, IdRange)>) -> Self {
        Self(Mutex::new(all.collect()))
    }

    /// The range of a pod, which is the same until it is freed.
    pub(super) fn take(&self, uid: &str) -> Result<IdRange> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(range) = all.get(uid) {
            return Ok(*range);
        }
        let (pool, foreign) = node()?;
        let used: Vec<IdRange> = all.values().copied().collect();
        let range = choose(pool, &used, &foreign)
            .ok_or_else(|| Error::System("could not find an empty slot to allocate a user namespace".into()))?;
        all.insert(uid.to_owned(), range);
        Ok(range)
    }

    /// Whoever comes next may have them.
    pub(super) fn free(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Ids from the first one, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    first: u64,
    count: u64,
}

/// The ids that pods may have, and those in use by the node's own users.
fn node() -> Result<(Ids, Vec<Ids>)> {
    let read = |path: &str| {
        let path = Path::new(path);
        match fs::metadata(path) {
            Ok(meta) if meta.len() <= MAX_ACCOUNTS => fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()),
            Ok(_) => Err(std::io::ErrorKind::FileTooLarge.into()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(e),
        }
        .map_err(super::system(path.display()))
    };
    let (users, groups) = (read("/etc/subuid")?, read("/etc/subgid")?);
    let pool = pool(&subordinate(&users), &subordinate(&groups)).map_err(Error::System)?;
    let named = [read("/etc/passwd")?, read("/etc/group")?];
    let mut foreign: Vec<Ids> = named.iter().flat_map(|text| accounts(text)).collect();
    for (_, ids) in subordinate(&users).iter().chain(&subordinate(&groups)).filter(|(owner, _)| owner != OWNER) {
        foreign.push(*ids);
    }
    Ok((pool, foreign))
}

/// All from the second range on, unless the node says otherwise: the checks and words are upstream's.
fn pool(users: &[(String, Ids)], groups: &[(String, Ids)]) -> std::result::Result<Ids, String> {
    let length = u64::from(LENGTH);
    let of = |all: &[(String, Ids)]| all.iter().filter(|(owner, _)| owner == OWNER).map(|(_, ids)| *ids).collect::<Vec<_>>();
    let (users, groups) = (of(users), of(groups));
    if users != groups {
        return Err(format!("mismatched subuids and subgids for user {OWNER:?}"));
    }
    match users.as_slice() {
        [] => Ok(Ids { first: length, count: END - length }),
        [ids] if ids.first % length != 0 => {
            Err(format!("kubelet user assigned ID {} is not a multiple of {length}", ids.first))
        }
        [ids] if ids.first < length => {
            Err(format!("kubelet user assigned ID {} must be greater or equal to {length}", ids.first))
        }
        [ids] if ids.count % length != 0 => {
            Err(format!("kubelet user assigned IDs length {} is not a multiple of {length}", ids.count))
        }
        [ids] => Ok(*ids),
        _ => Err(format!("user {OWNER:?} has more than one range of subordinate ids")),
    }
}

/// The lowest range of the pool that touches nobody's ids.
fn choose(pool: Ids, used: &[IdRange], foreign: &[Ids]) -> Option<IdRange> {
    let length = u64::from(LENGTH);
    let end = pool.first.saturating_add(pool.count).min(END);
    let mut taken: Vec<Ids> = used.iter().map(|range| Ids { first: range.first.into(), count: length }).collect();
    taken.extend_from_slice(foreign);
    taken.sort_unstable_by_key(|ids| ids.first);
    let mut at = pool.first;
    for ids in taken {
        if ids.first >= at.saturating_add(length) {
            break;
        }
        // The next one that begins behind these ids.
        at = at.max(ids.first.saturating_add(ids.count).div_ceil(length).saturating_mul(length));
    }
    if at.saturating_add(length) > end { None } else { u32::try_from(at).ok().map(|first| IdRange { first }) }
}

/// `name:x:id:…`, users and groups alike.
fn accounts(text: &str) -> impl Iterator<Item = Ids> {
    let id = |line: &str| line.split(':').nth(2).and_then(|id| id.parse().ok());
    text.lines().filter_map(id).map(|first| Ids { first, count: 1 })
}

/// `owner:first:count`.
fn subordinate(text: &str) -> Vec<(String, Ids)> {
    let entry = |line: &str| {
        let mut parts = line.split(':');
        let owner = parts.next()?.to_owned();
        let (first, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((owner, Ids { first, count }))
    };
    text.lines().filter_map(entry).collect()
}

/// Whether this kernel can do what a pod with a user namespace needs: overlays on mapped layers, from Linux 5.19, and a
/// user namespace at all. Whether a file system can be mapped is seen when it is.
pub(super) fn kernel_has_user_namespaces() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    is_new_enough(&release) && most.trim().parse::<u64>().is_ok_and(|most| most > 0)
}

fn is_new_enough(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 19)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Ids = Ids { first: 65536, count: END - 65536 };

    fn first(pool: Ids, used: &[u32], foreign: &[(u64, u64)]) -> Option<u32> {
        let used: Vec<IdRange> = used.iter().map(|first| IdRange { first: *first }).collect();
        let foreign: Vec<Ids> = foreign.iter().map(|(first, count)| Ids { first: *first, count: *count }).collect();
        choose(pool, &used, &foreign).map(|range| range.first)
    }

    #[test]
    fn ranges_touch_neither_each_other_nor_the_nodes_ids() {
        assert_eq!(first(ALL, &[], &[(0, 1), (65534, 1)]), Some(65536));
        assert_eq!(first(ALL, &[131_072, 65536], &[]), Some(196_608));
        assert_eq!(first(ALL, &[65536, 196_608], &[]), Some(131_072), "the freed one");
        assert_eq!(first(ALL, &[], &[(100_000, 65536)]), Some(196_608), "somebody's subordinate ids");
        assert_eq!(first(ALL, &[65536], &[(131_072, 1), (u64::MAX - 1, 9)]), Some(196_608));
        assert_eq!(first(ALL, &[], &[(60_000, 5537)]), Some(131_072), "the last id of a neighbour");
        let two = Ids { first: 131_072, count: 131_072 };
        assert_eq!(first(two, &[131_072], &[]), Some(196_608));
        assert_eq!(first(two, &[131_072, 196_608], &[]), None, "there are no more");
        assert_eq!(first(ALL, &[], &[(0, END)]), None);
    }

    #[test]
    fn a_pod_keeps_its_range_and_gives_it_back() {
        let ranges = Ranges::in_use([("old".to_owned(), IdRange { first: 65536 })].into_iter());
        let (one, two) = (ranges.take("one").unwrap(), ranges.take("two").unwrap());
        assert!(one != two && one.first > 65536 && ranges.take("one").unwrap() == one);
        assert_eq!(ranges.take("old").unwrap().first, 65536);
        ranges.free("one");
        assert_eq!(ranges.take("three").unwrap(), one);
    }

    #[test]
    fn the_node_says_which_ids_are_for_pods() {
        let of = |text: &str| subordinate(text);
        assert_eq!(pool(&[], &[]), Ok(ALL));
        let own = of("me:100000:65536\nkubelet:131072:7208960\n");
        assert_eq!(pool(&own, &own), Ok(Ids { first: 131_072, count: 7_208_960 }));
        assert_eq!(pool(&own, &[]).unwrap_err(), "mismatched subuids and subgids for user \"kubelet\"");
        for (line, why) in [
            ("kubelet:0:65536", "ID 0 must be greater"),
            ("kubelet:100000:65536", "ID 100000 is not a multiple"),
            ("kubelet:65536:100000", "length 100000 is not a multiple"),
            ("kubelet:65536:65536\nkubelet:131072:65536", "more than one range"),
        ] {
            assert!(pool(&of(line), &of(line)).unwrap_err().contains(why), "{line}");
        }
        assert_eq!(accounts("root:x:0:0::/:\n\nbad\nyou:x:70000:1::/:\n").map(|ids| ids.first).collect::<Vec<_>>(), [0, 70000]);
    }

    #[test]
    fn old_kernels_are_told_apart() {
        for (release, enough) in [("6.18.44-x\n", true), ("5.19.0", true), ("5.15.0-91-generic", false), ("4.20", false), ("", false)] {
            assert_eq!(is_new_enough(release), enough, "{release}");
        }
    }
}
