//! From the files of a directory to the state that they hold: the newest snapshot, then one log after another, each
//! of which names the next. Only the last may have a torn tail.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::{self, damaged, io_error, missing};
use super::frame::{Frame, Sort, u64_at};
use super::header::{FILE_HEADER, Header, LOG_MAGIC};
use super::legacy;
use super::medium::Medium;
use super::segment::log_name;
use super::snapshot::{self, Snapshot};
use crate::{Entry, Error, Revision};

/// What was found in a directory.
#[derive(Debug)]
pub(super) struct Recovered {
    /// All live entries in key order.
    pub(super) entries: Vec<Entry>,
    /// The newest revision that may have been observed.
    pub(super) revision: Revision,
    /// The log to go on writing, and where its good part ends; `None` in an empty directory.
    pub(super) log: Option<(Revision, u64)>,
    /// Bytes in all logs.
    pub(super) log_bytes: u64,
}

/// Reads a directory. Removes what nobody needs any more; reports damage and gaps, and then changes nothing.
pub(super) fn recover(medium: &dyn Medium) -> Result<Recovered, Error> {
    let known = files::has_format(medium)?;
    if !known && let Some(found) = legacy::recover(medium)? {
        return Ok(found);
    }
    let (logs, snapshots) = (files::revisions(medium, "log")?, files::revisions(medium, "snap")?);
    let mut reading = Reading { medium, logs, entries: BTreeMap::new(), newest: 0, ceiling: 0, bytes: 0, clean: None, tail: None, strays: Vec::new() };
    let snapshot = match snapshots.last() {
        Some(at) => Some(snapshot::read(medium, *at, &mut reading.entries)?),
        None => None,
    };
    if !known && snapshot.is_none() && reading.with_writes(&reading.logs)?.is_none() {
        // Not even begun: a crash at the very first start.
        reading.logs.iter().try_for_each(|after| medium.remove(&log_name(*after))).map_err(|e| io_error("write in", medium, &e))?;
        return Ok(Recovered { entries: Vec::new(), revision: 1, log: None, log_bytes: 0 });
    }
    let log = reading.chain(snapshot.as_ref())?;
    reading.secure_tail()?;
    sweep(medium, snapshot.as_ref(), &reading.strays)?;
    let Reading { entries, newest, ceiling, bytes, clean, .. } = reading;
    let newest = newest.max(snapshot.as_ref().map_or(1, |s| s.revision));
    // After a crash revisions up to the highest ceiling may have been seen by somebody.
    let promised = clean.unwrap_or_else(|| ceiling.max(snapshot.as_ref().map_or(0, |s| s.ceiling)));
    let revision = newest.max(promised);
    Ok(Recovered { entries: entries.into_values().collect(), revision, log: Some(log), log_bytes: bytes })
}

struct Reading<'a> {
    medium: &'a dyn Medium,
    /// Those that are there.
    logs: Vec<Revision>,
    entries: BTreeMap<Arc<str>, Entry>,
    /// The newest revision in a log, the highest ceiling, bytes.
    newest: Revision,
    ceiling: Revision,
    bytes: u64,
    /// The newest revision, if the store was closed in good order.
    clean: Option<Revision>,
    /// The newest frame: its log, its place there, its bytes.
    tail: Option<(String, u64, Vec<u8>)>,
    /// Logs that are no part of the chain, and have nothing in them.
    strays: Vec<Revision>,
}

/// Where a log ends.
enum End {
    /// There: the next one is to be read.
    Next(Revision),
    /// At this length: it is the last one.
    Last(u64),
}

impl Reading<'_> {
    /// The first of these logs that has anything in it.
    fn with_writes(&self, logs: &[Revision]) -> Result<Option<Revision>, Error> {
        for after in logs {
            let bytes = files::read(self.medium, &log_name(*after))?;
            if bytes.get(FILE_HEADER..).is_some_and(|rest| rest.iter().any(|b| *b != 0)) {
                return Ok(Some(*after));
            }
        }
        Ok(None)
    }

    /// Reads one log after the other. Returns the last one, and its length.
    fn chain(&mut self, snapshot: Option<&Snapshot>) -> Result<(Revision, u64), Error> {
        let medium = self.medium;
        let (mut previous, mut chain) = (None, Vec::new());
        let (mut at, mut who) = match (snapshot, self.logs.first()) {
            (Some(snapshot), _) => (snapshot.log, format!("which {} names", snapshot::name(snapshot.revision))),
            (None, Some(first)) => (*first, String::new()),
            (None, None) => return Err(missing(medium, "*", "there is neither a snapshot nor a log")),
        };
        loop {
            let name = log_name(at);
            if !self.logs.contains(&at) {
                return Err(missing(medium, &name, &who));
            }
            chain.push(at);
            let bytes = files::read(medium, &name)?;
            let header = Header::read(&bytes, LOG_MAGIC).ok_or_else(|| damaged(medium, &name, 0))?;
            match (previous, header.other) {
                (None, Some(before)) if snapshot.is_none() => {
                    let who = format!("or the snapshot that replaced it: {name} goes on from there");
                    return Err(missing(medium, &log_name(before), &who));
                }
                (Some(previous), other) if other != Some(previous) => return Err(damaged(medium, &name, 8)),
                _ => {}
            }
            match self.log(&name, &bytes, snapshot.map_or(0, |s| s.revision))? {
                End::Last(length) => return self.set_strays_apart(&chain).map(|()| (at, length)),
                End::Next(next) => {
                    who = format!("which {name} names");
                    (previous, at) = (Some(at), next);
                }
            }
        }
    }

    fn log(&mut self, name: &str, bytes: &[u8], after: Revision) -> Result<End, Error> {
        let mut offset = FILE_HEADER;
        self.clean = None;
        while offset < bytes.len() {
            let Some((frame, records, length)) = Frame::read(&bytes[offset..]) else {
                if !Frame::is_torn(bytes, offset) {
                    return Err(damaged(self.medium, name, offset));
                }
                if bytes[offset..].iter().any(|b| *b != 0) {
                    tracing::warn!(file = name, offset, "cut off a write that the last crash interrupted");
                    self.clean = None;
                }
                break;
            };
            self.ceiling = self.ceiling.max(frame.ceiling);
            let is_newest = bytes.get(offset + length).is_none_or(|next| *next == 0);
            if is_newest {
                self.tail = Some((name.to_owned(), offset as u64, bytes[offset..offset + length].to_vec()));
            }
            if frame.sort == Sort::Continued {
                self.bytes += (offset + length) as u64;
                let next = u64_at(records, 0).ok_or_else(|| damaged(self.medium, name, offset))?;
                return Ok(End::Next(next));
            }
            let newest = snapshot::take_in(records, after, &mut self.entries);
            self.newest = newest.ok_or_else(|| damaged(self.medium, name, offset))?.max(self.newest);
            self.clean = (frame.sort == Sort::Clean).then_some(frame.ceiling);
            offset += length;
        }
        self.bytes += offset as u64;
        Ok(End::Last(offset as u64))
    }

    /// Writes the newest frame once more. After a sync that failed it may be in the memory of the machine alone, which
    /// forgot that it has to be written; all older ones were synced before it was begun.
    fn secure_tail(&self) -> Result<(), Error> {
        let Some((name, offset, bytes)) = &self.tail else { return Ok(()) };
        let secured = self.medium.open(name).and_then(|mut blob| blob.write_at(bytes, *offset).and_then(|()| blob.sync()));
        secured.map_err(|e| io_error("write in", self.medium, &e))
    }

    /// Logs that nothing leads to are what is left of a change of logs that failed: there can be nothing in them.
    fn set_strays_apart(&mut self, chain: &[Revision]) -> Result<(), Error> {
        let first = chain.first().copied().unwrap_or_default();
        // Older ones have been replaced by the snapshot, and go with whatever is in them.
        let strays = self.logs.iter().filter(|after| **after > first && !chain.contains(after));
        self.strays = strays.copied().collect();
        match self.with_writes(&self.strays)? {
            None => Ok(()),
            Some(stray) => Err(Error::Corrupt(format!(
                "the database file {}/{} holds writes, but no other file leads to it; restore the directory from a backup",
                self.medium.place(),
                log_name(stray)
            ))),
        }
    }
}

/// Removes what a crash has left: half a snapshot, logs without anything in them, and what a snapshot replaced.
fn sweep(medium: &dyn Medium, snapshot: Option<&Snapshot>, strays: &[Revision]) -> Result<(), Error> {
    let io = |e| io_error("write in", medium, &e);
    let stray = strays.iter().map(|after| log_name(*after));
    let temporary = medium.list().map_err(io)?.into_iter().filter(|name| name == snapshot::TEMPORARY);
    stray.chain(temporary).try_for_each(|name| medium.remove(&name)).map_err(io)?;
    let Some(about) = snapshot else { return Ok(()) };
    // The snapshot's name must be durable before what it replaces may go.
    medium.sync().and_then(|()| files::remove_superseded(medium, about)).map_err(io)
}
