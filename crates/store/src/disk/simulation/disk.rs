//! The simulated disk: files of sectors, of which those not synced may be lost one by one; names, of which the newest
//! may be lost; errors, short writes, a limit of space, and an end at any operation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::disk::frame::SECTOR;
use crate::disk::medium::{Blob, Medium};

/// What goes wrong, as probabilities from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A write ends after a part of its bytes with an error.
    pub write: f64,
    /// A sync fails: some of what it should have written is written, and the rest forgotten.
    pub sync: f64,
    /// Making, renaming or removing a file fails.
    pub name: f64,
    /// Bytes that fit on the disk in all.
    pub room: Option<usize>,
    /// Every operation after so many fails: the machine or the process has ended there.
    pub ends_after: Option<u64>,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process ends; what it wrote is there.
    Kill,
    /// The machine ends; of what was not synced any part is there.
    PowerCut,
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// As a process sees it.
    now: Vec<u8>,
    /// As it is on the disk.
    durable: Vec<u8>,
    /// Sectors that a sync would write.
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Debug)]
struct State {
    random: SmallRng,
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    changes: Vec<Change>,
    faults: Faults,
    operations: u64,
    next: u64,
}

/// A disk; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// An empty one.
    pub fn new(seed: u64) -> Self {
        SimulatedDisk(Arc::new(Mutex::new(State {
            random: SmallRng::seed_from_u64(seed),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            faults: Faults::default(),
            operations: 0,
            next: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.lock();
        state.faults = faults;
        state.operations = 0;
    }

    /// The process or the machine ends, and starts again without faults.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.lock();
        state.faults = Faults::default();
        if crash == Crash::PowerCut {
            state.power_cut();
        }
    }

    /// Another disk with the same contents.
    pub fn copy(&self) -> Self {
        SimulatedDisk(Arc::new(Mutex::new(self.lock().clone())))
    }

    /// The names of all files and what they hold.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        state.names.iter().map(|(name, file)| (name.clone(), state.files[file].now.clone())).collect()
    }

    /// Puts a file there as it is, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.lock();
        let file = state.next;
        state.next += 1;
        state.files.insert(file, Content { durable: bytes.clone(), now: bytes, dirty: BTreeSet::new() });
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }
}

impl State {
    /// Counts an operation; fails after the end.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.faults.ends_after {
            Some(end) if self.operations > end => Err(io::Error::other("the machine has ended")),
            _ => Ok(()),
        }
    }

    fn fails(&mut self, probability: fn(&Faults) -> f64) -> io::Result<()> {
        self.operate()?;
        let probability = probability(&self.faults);
        if probability > 0.0 && self.random.random_bool(probability) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[file].now.len()).sum()
    }

    /// Of each thing that was not synced, it is as a throw of the dice says.
    fn power_cut(&mut self) {
        let random = &mut self.random;
        for content in self.files.values_mut() {
            if random.random_bool(0.5) {
                content.durable.resize(content.now.len(), 0);
            }
            for sector in std::mem::take(&mut content.dirty) {
                if random.random_bool(0.5) {
                    content.persist(sector);
                }
            }
            content.now.clone_from(&content.durable);
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.truncate(random.random_range(0..=changes.len()));
        let mut names = std::mem::take(&mut self.durable_names);
        changes.into_iter().for_each(|change| change.apply(&mut names));
        self.names.clone_from(&names);
        self.durable_names = names;
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    fn content(&mut self, file: u64) -> &mut Content {
        self.files.entry(file).or_default()
    }

    fn write(&mut self, file: u64, bytes: &[u8], offset: usize) -> io::Result<()> {
        let failed = self.fails(|f| f.write);
        let mut whole = bytes.len();
        let mut result = Ok(());
        if let Err(error) = failed {
            // After the end, nothing reaches the file at all.
            let ended = self.faults.ends_after.is_some_and(|end| self.operations > end);
            whole = if ended { 0 } else { self.random.random_range(0..=bytes.len()) };
            result = Err(error);
        }
        let growth = (offset + whole).saturating_sub(self.content(file).now.len());
        let room = self.faults.room.map_or(usize::MAX, |room| room.saturating_sub(self.used()));
        if growth > room {
            whole = whole.saturating_sub(growth - room);
            result = Err(ErrorKind::StorageFull.into());
        }
        self.content(file).put(&bytes[..whole], offset);
        result
    }

    fn sync_file(&mut self, file: u64) -> io::Result<()> {
        let ended = self.operate();
        ended?;
        let fails = self.faults.sync > 0.0 && self.random.random_bool(self.faults.sync);
        let State { random, files, .. } = self;
        let content = files.entry(file).or_default();
        if !fails || random.random_bool(0.5) {
            content.durable.resize(content.now.len(), 0);
        }
        for sector in std::mem::take(&mut content.dirty) {
            if !fails || random.random_bool(0.5) {
                content.persist(sector);
            }
        }
        if fails { Err(io::Error::other("input/output error")) } else { Ok(()) }
    }
}

impl Content {
    fn put(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
    }

    fn persist(&mut self, sector: usize) {
        let from = (sector * SECTOR).min(self.now.len());
        let to = (from + SECTOR).min(self.now.len()).min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&self.now[from..to]);
        }
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, u64>) {
        match self {
            Change::Link(name, file) => drop(names.insert(name, file)),
            Change::Rename(from, to) => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
            Change::Remove(name) => drop(names.remove(&name)),
        }
    }
}

struct Open {
    disk: SimulatedDisk,
    file: u64,
}

impl Blob for Open {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.lock().write(self.file, bytes, offset as usize)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.fails(|f| f.write)?;
        let content = state.content(self.file);
        content.now.resize(length as usize, 0);
        let last = content.now.len().div_ceil(SECTOR);
        content.dirty.retain(|sector| *sector < last);
        // The rest of the last sector is zeros from now on.
        content.dirty.extend(last.checked_sub(1));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.lock().sync_file(self.file)
    }
}

impl Medium for SimulatedDisk {
    fn place(&self) -> String {
        "simulated".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.operate()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        state.operate()?;
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(state.content(file).now.clone())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        let mut state = self.lock();
        state.fails(|f| f.name)?;
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => {
                let file = state.next;
                state.next += 1;
                state.change(Change::Link(name.to_owned(), file));
                file
            }
        };
        let content = state.content(file);
        content.now.clear();
        content.dirty.clear();
        drop(state);
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        let mut state = self.lock();
        state.fails(|f| f.name)?;
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        drop(state);
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.fails(|f| f.name)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.fails(|f| f.name)?;
        state.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.fails(|f| f.sync)?;
        state.changes.clear();
        let names = state.names.clone();
        state.durable_names = names;
        Ok(())
    }
}
