//! The first format: the files name nobody, and a torn tail is told from damage by later frames alone. It is read
//! once and written anew in the present format.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::{self, damaged, io_error};
use super::frame::{u32_at, u64_at};
use super::medium::Medium;
use super::recover::Recovered;
use super::segment::{Segment, log_name};
use super::snapshot::{self, Snapshot, take_in};
use crate::{Entry, Error, Revision};

const MAGIC: &[u8; 8] = b"IRONLOG1";
const FRAME_MAGIC: u32 = 0x4952_4652;
/// Magic, length, checksum, flags, durable offset, ceiling.
const FRAME_HEADER: usize = 32;

struct Frame<'a> {
    clean: bool,
    durable: u64,
    ceiling: Revision,
    records: &'a [u8],
}

/// Reads a directory of the first format, if it is one, and rewrites it. A crash on the way leaves it as it was.
pub(super) fn recover(medium: &dyn Medium) -> Result<Option<Recovered>, Error> {
    let (mut snapshots, mut logs) = (files::revisions(medium, "snap")?, files::revisions(medium, "log")?);
    let mut names: Vec<String> = snapshots.iter().map(|at| snapshot::name(*at)).collect();
    names.extend(logs.iter().map(|after| log_name(*after)));
    let mut old = BTreeMap::new();
    for name in names {
        let bytes = files::read(medium, &name)?;
        if bytes.starts_with(MAGIC) {
            old.insert(name, bytes.len());
        }
    }
    if old.is_empty() {
        return Ok(None);
    }
    // A log that is cut within its first bytes is one that was just being made.
    snapshots.retain(|at| old.contains_key(&snapshot::name(*at)));
    logs.retain(|after| old.contains_key(&log_name(*after)));
    let mut entries = BTreeMap::new();
    let mut newest = 1;
    if let Some(at) = snapshots.last() {
        newest = *at;
        read_snapshot(medium, &snapshot::name(*at), &mut entries)?;
    }
    let (mut ceiling, after) = (0, newest);
    // The last log with anything in it is the one that was written to: a change of logs may have failed.
    let is_empty = |after: &Revision| old.get(&log_name(*after)).is_none_or(|length| *length <= MAGIC.len());
    let last = logs.iter().rposition(|after| !is_empty(after)).unwrap_or_default();
    for (i, log) in logs.iter().enumerate() {
        let found = read_log(medium, &log_name(*log), i >= last, after, &mut entries)?;
        newest = newest.max(found.newest);
        ceiling = ceiling.max(found.ceiling);
    }
    // That it was closed in good order is no reason to begin below it: this format did not say where that was.
    let revision = newest.max(ceiling);
    let names: Vec<String> = old.into_keys().collect();
    rewrite(medium, entries.into_values().collect(), revision, &names).map(Some)
}

/// Writes everything in the present format beside the old files, then removes those.
fn rewrite(medium: &dyn Medium, entries: Vec<Entry>, revision: Revision, old: &[String]) -> Result<Recovered, Error> {
    let io = |e| io_error("write in", medium, &e);
    // What an earlier try left, and names that no old file has.
    let mut strays: Vec<String> = files::revisions(medium, "log")?.into_iter().map(log_name).collect();
    strays.extend(files::revisions(medium, "snap")?.into_iter().map(snapshot::name));
    strays.retain(|name| !old.contains(name));
    strays.iter().try_for_each(|name| medium.remove(name)).map_err(io)?;
    let revision = revision + 1;
    let log = Segment::create(medium, revision, None, 0).map_err(io)?;
    // Nothing is older than this snapshot: the old files stay until the format is said.
    let about = Snapshot { revision, log: log.after, ceiling: revision };
    snapshot::write_beside(medium, &entries, &about).map_err(io)?;
    files::write_format(medium).map_err(io)?;
    old.iter().try_for_each(|name| medium.remove(name)).map_err(io)?;
    tracing::info!(files = old.len(), "the database has been rewritten in the present format");
    Ok(Recovered { entries, revision, log: Some((log.after, log.length)), log_bytes: log.length })
}

fn read_snapshot(medium: &dyn Medium, name: &str, entries: &mut BTreeMap<Arc<str>, Entry>) -> Result<(), Error> {
    let bytes = files::read(medium, name)?;
    let mut offset = MAGIC.len();
    loop {
        let frame = frame(&bytes[offset..]).ok_or_else(|| damaged(medium, name, offset))?;
        offset += FRAME_HEADER + frame.records.len();
        take_in(frame.records, 0, entries).ok_or_else(|| damaged(medium, name, offset))?;
        if frame.clean {
            return Ok(());
        }
    }
}

struct Found {
    newest: Revision,
    ceiling: Revision,
}

fn read_log(
    medium: &dyn Medium,
    name: &str,
    last: bool,
    after: Revision,
    entries: &mut BTreeMap<Arc<str>, Entry>,
) -> Result<Found, Error> {
    let bytes = files::read(medium, name)?;
    let mut found = Found { newest: 0, ceiling: 0 };
    let mut offset = MAGIC.len();
    while offset < bytes.len() {
        let Some(frame) = frame(&bytes[offset..]) else {
            if !last || was_durable(&bytes[offset..], offset as u64) {
                return Err(damaged(medium, name, offset));
            }
            tracing::warn!(file = name, offset, "left out a write that the last crash interrupted");
            break;
        };
        let newest = take_in(frame.records, after, entries).ok_or_else(|| damaged(medium, name, offset))?;
        found.newest = newest.max(found.newest);
        found.ceiling = found.ceiling.max(frame.ceiling);
        offset += FRAME_HEADER + frame.records.len();
    }
    Ok(found)
}

/// Whether any frame after the unreadable place says that the place had been durable.
fn was_durable(rest: &[u8], offset: u64) -> bool {
    let starts = rest.windows(4).enumerate().skip(1).filter(|(_, w)| *w == FRAME_MAGIC.to_le_bytes());
    starts.map(|(at, _)| at).any(|at| frame(&rest[at..]).is_some_and(|frame| frame.durable > offset))
}

fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let header = bytes.get(..FRAME_HEADER)?;
    let end = FRAME_HEADER + u32_at(header, 4)? as usize;
    let whole = bytes.get(..end).filter(|_| u32_at(header, 0) == Some(FRAME_MAGIC))?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&whole[..8]);
    hasher.update(&whole[12..]);
    let good = hasher.finalize() == u32_at(header, 8)?;
    let (durable, ceiling) = (u64_at(header, 16)?, u64_at(header, 24)?);
    good.then_some(Frame { clean: u32_at(header, 12)? == 1, durable, ceiling, records: &whole[FRAME_HEADER..] })
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{Crash, Faults, SimulatedDisk};
    use super::super::{FORMAT, Sizes, recover};
    use super::*;

    const LOG: &[u8] = include_bytes!("../../tests/data/format1/00000000000000000029.log");
    const SNAPSHOT: &[u8] = include_bytes!("../../tests/data/format1/00000000000000000029.snap");
    /// What that store had promised, in its last frame.
    const CEILING: Revision = 10_029;

    fn recorded(seed: u64) -> SimulatedDisk {
        let disk = SimulatedDisk::new(seed);
        disk.put("00000000000000000029.log", LOG.to_vec());
        disk.put("00000000000000000029.snap", SNAPSHOT.to_vec());
        disk
    }

    fn is_whole(disk: &SimulatedDisk) -> Revision {
        let found = recover::recover(disk).expect("reads");
        let rows: Vec<_> = found.entries.iter().map(|e| (&e.key[30..], e.created, e.modified)).collect();
        let wanted = [("0", 2, 37), ("1", 3, 38), ("2", 4, 39), ("4", 6, 41), ("5", 7, 35), ("6", 8, 36)];
        assert_eq!(rows, wanted.map(|(n, created, modified)| (n, created, modified)));
        for (entry, n) in found.entries.iter().zip([35, 36, 37, 39, 33, 34]) {
            assert_eq!(entry.value, format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(40)), "{}", entry.key);
        }
        assert!(found.revision > CEILING, "{}", found.revision);
        found.revision
    }

    #[test]
    fn a_recorded_store_of_the_first_format_is_rewritten_and_stays_whole_wherever_that_ends() {
        let disk = recorded(1);
        is_whole(&disk);
        let names: Vec<String> = disk.contents().into_keys().collect();
        assert_eq!(names, ["00000000000000010030.log", "00000000000000010030.snap", FORMAT]);
        for end in 0..60 {
            for crash in [Crash::Kill, Crash::PowerCut] {
                let disk = recorded(end);
                disk.set_faults(Faults { ends_after: Some(end), ..Faults::default() });
                let finished = recover::recover(&disk).is_ok();
                assert!(!finished || end > 20, "it takes more than {end} operations");
                disk.crash(crash);
                is_whole(&disk);
            }
        }
    }

    #[test]
    fn a_change_of_logs_that_had_failed_neither_hides_damage_nor_takes_revisions_back() {
        for empty in [&b""[..], b"IRON", MAGIC] {
            let disk = recorded(1);
            disk.put("00000000000000000042.log", empty.to_vec());
            is_whole(&disk);
            // What came after the change failed was torn by a crash.
            let disk = recorded(1);
            disk.put("00000000000000000029.log", [LOG, &LOG[8..100]].concat());
            disk.put("00000000000000000042.log", empty.to_vec());
            is_whole(&disk);
        }
        let mut damaged = LOG.to_vec();
        damaged[60] ^= 1;
        let disk = recorded(1);
        disk.put("00000000000000000029.log", damaged);
        assert!(matches!(recover::recover(&disk), Err(Error::Corrupt(_))));
        assert_eq!(disk.contents().len(), 2, "nothing was changed");
        assert!(Sizes::default().reserve >= 10_000);
    }
}
