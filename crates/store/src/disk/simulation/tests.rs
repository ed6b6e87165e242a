//! Thousands of lives of a store on a disk that fails, each from its seed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;

use super::model::Model;
use super::*;
use crate::disk::health::Health;
use crate::disk::medium::Medium;
use crate::disk::writer::{Job, Request, Writer};
use crate::{Durability, Expect, Op, Write};

/// Seeds tried by an ordinary run, other ones each time. `IRONCLAD_SIMULATIONS` asks for more, `IRONCLAD_SEED` for one.
const RUNS: u64 = 2000;

type Jobs = Arc<Mutex<VecDeque<Job>>>;

struct Life {
    random: SmallRng,
    disk: SimulatedDisk,
    model: Model,
    sizes: Sizes,
    jobs: Jobs,
}

/// How a life ended.
enum End {
    Clean,
    Crash,
    /// It could not even begin.
    Unborn,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let ahead = [0, 100, 1000, 4000][random.random_range(0..4)];
        let sizes = Sizes { log: random.random_range(500..4000), ahead, reserve: 16, pending: 1 << 20 };
        Life { disk: SimulatedDisk::new(seed), model: Model::default(), sizes, jobs: Jobs::default(), random }
    }

    fn open(&self) -> Result<Writer, Error> {
        let jobs = self.jobs.clone();
        let spawn = move |job| {
            jobs.lock().expect("lock").push_back(job);
            Ok(())
        };
        Writer::open(Arc::new(self.disk.clone()), Arc::new(Health::default()), self.sizes, Box::new(spawn), &|_| None)
    }

    fn faults(&mut self) -> Faults {
        let random = &mut self.random;
        let mut some = |p: f64, most: f64| if random.random_bool(p) { random.random_range(0.0..most) } else { 0.0 };
        let (write, sync, name) = (some(0.4, 0.2), some(0.4, 0.2), some(0.3, 0.4));
        let room = random.random_bool(0.2).then(|| random.random_range(1000..20_000));
        let ends_after = random.random_bool(0.4).then(|| random.random_range(0..200));
        Faults { write, sync, name, room, ends_after }
    }

    fn batch(&mut self) -> Vec<Write> {
        let state = self.model.state();
        let random = &mut self.random;
        let one = |_| {
            let key: Arc<str> = format!("/k/{}", random.random_range(0..6)).into();
            let expect = match state.get(&key) {
                Some((.., modified)) if random.random_bool(0.9) => Expect::Revision(*modified),
                _ => Expect::Absent,
            };
            let filling = [b'x', 0][random.random_range(0..2)];
            let mut value = vec![filling; random.random_range(0..1500)];
            value.iter_mut().step_by(700).for_each(|b| *b = b'y');
            let op = if random.random_bool(0.2) { Op::Delete } else { Op::Put(Bytes::from(value)) };
            let durability = if random.random_bool(0.7) { Durability::Sync } else { Durability::Lazy };
            Write { key, expect, op, durability, note: None }
        };
        (0..3).map(one).collect()
    }

    /// One start, some writes, one end.
    fn live(&mut self, faults: Faults, clean_before: bool) -> Result<End, String> {
        self.disk.set_faults(faults);
        let mut writer = match self.open() {
            Ok(writer) => writer,
            Err(Error::Corrupt(why)) => return Err(format!("called damaged: {why}")),
            Err(error) if faults.is_none() => return Err(format!("does not open: {error}")),
            Err(_) => return Ok(End::Unborn),
        };
        self.model.check(&writer.core(), clean_before)?;
        for _ in 0..self.random.random_range(0..25) {
            if self.random.random_bool(0.1) {
                match writer.flush_lazy() {
                    Ok(()) if writer.deadline().is_none() => self.model.all_durable(),
                    Ok(()) => {}
                    Err(_) => return Ok(End::Crash),
                }
            }
            if self.random.random_bool(0.5) && let Some(job) = self.jobs.lock().expect("lock").pop_front() {
                job();
            }
            if !self.step(&mut writer)? {
                return Ok(End::Crash);
            }
        }
        self.jobs.lock().expect("lock").drain(..).for_each(|job| job());
        if !self.random.random_bool(0.3) {
            return Ok(End::Crash);
        }
        writer.close();
        Ok(if faults.is_none() { End::Clean } else { End::Crash })
    }

    /// One batch; says whether the process goes on.
    fn step(&mut self, writer: &mut Writer) -> Result<bool, String> {
        let writes = self.batch();
        let expected = self.model.expect(&writes, writer.core().revision());
        let (requests, mut answers): (Vec<_>, Vec<_>) = writes
            .iter()
            .map(|write| {
                let (answer, answered) = oneshot::channel();
                (Request::Commit { write: write.clone(), answer }, answered)
            })
            .unzip();
        let served = writer.serve(requests.into_iter());
        let answers: Vec<_> = answers.iter_mut().map(|a| a.try_recv().ok()).collect();
        if answers.iter().all(Option::is_none) {
            self.model.unanswered(expected);
            return if served.is_err() { Ok(false) } else { Err("nobody was answered".to_owned()) };
        }
        let failed = answers.iter().any(|a| matches!(a, Some(Err(Error::Io(_)))));
        for (answer, revision) in answers.iter().zip(expected.revisions()) {
            match (answer, revision) {
                (Some(Ok((got, _))), Some(wanted)) if *got == wanted && !failed => {}
                (Some(Err(Error::Unexpected(_))), None) if !failed => {}
                (Some(Err(Error::Io(_))), _) if failed => {}
                other => return Err(format!("answered {other:?}")),
            }
        }
        if !failed {
            self.model.acknowledge(expected, &writes);
        }
        Ok(served.is_ok())
    }

    fn run(mut self) -> Result<(), String> {
        let mut clean = false;
        for life in 0..6 {
            let faults = if life == 5 || self.random.random_bool(0.3) { Faults::default() } else { self.faults() };
            let end = self.live(faults, clean)?;
            self.jobs.lock().expect("lock").clear();
            let crash = if self.random.random_bool(0.5) { Crash::Kill } else { Crash::PowerCut };
            self.disk.crash(crash);
            clean = match end {
                End::Clean => true,
                End::Crash => false,
                End::Unborn => clean && faults.is_none(),
            };
        }
        let writer = self.open().map_err(|e| format!("does not open at last: {e}"))?;
        self.model.check(&writer.core(), clean)?;
        writer.close();
        self.adversary()
    }

    /// Nothing that is taken away or changed goes unnoticed.
    fn adversary(&mut self) -> Result<(), String> {
        let files: Vec<(String, Vec<u8>)> = self.disk.contents().into_iter().filter(|(name, _)| name != "format").collect();
        let whole = self.disk.clone();
        let (name, bytes) = &files[self.random.random_range(0..files.len())];
        self.disk = whole.copy();
        self.disk.remove(name).map_err(|e| e.to_string())?;
        match self.open() {
            Err(Error::Corrupt(why)) if why.contains("missing") => {}
            other => return Err(format!("{name} is gone, and: {:?}", other.err())),
        }
        let used = bytes.iter().rposition(|b| *b != 0).unwrap_or(0);
        let mut changed = bytes.clone();
        changed[self.random.random_range(0..=used)] ^= 0x40;
        self.disk = whole.copy();
        self.disk.put(name, changed);
        match self.open() {
            Err(Error::Corrupt(why)) if why.contains("damaged") => Ok(()),
            other => Err(format!("a byte of {name} is another, and: {:?}", other.err())),
        }
    }
}

impl Faults {
    fn is_none(&self) -> bool {
        self.write + self.sync + self.name == 0.0 && self.room.is_none() && self.ends_after.is_none()
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_that_a_disk_does_breaks_a_promise() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let first = number("IRONCLAD_SEED").unwrap_or(now * 1_000_000);
    let runs = number("IRONCLAD_SIMULATIONS").unwrap_or(RUNS);
    for seed in first..first + runs {
        let result = catch_unwind(AssertUnwindSafe(|| Life::new(seed).run()));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(why)) => panic!("IRONCLAD_SEED={seed}: {why}"),
            Err(_) => panic!("IRONCLAD_SEED={seed}: panicked"),
        }
    }
    println!("{runs} runs from seed {first}");
}
