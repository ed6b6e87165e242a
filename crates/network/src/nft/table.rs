//! One table as the kernel has it, and the way to what it shall be.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use super::difference::{self, Retired, Sharing, Step, difference};
use super::layout::{Elements, Layout, Part};
use super::socket::{Connection, Error};
use super::wire::{Batch, Index, Message, NOBODY, TableName};

/// Transactions that one call may need because of what the kernel refuses.
const PATIENCE: usize = 100;
/// A table that somebody else has changed is made anew at most this often.
const ANEW_AFTER: Duration = Duration::from_secs(10);

/// The table as the kernel has it.
pub(crate) struct Table<L: Layout> {
    layout: L,
    plans: HashMap<L::Owner, L::Plan>,
    /// How many owners use what is shared.
    shared: HashMap<L::Shared, usize>,
    retired: Retired,
    kernel: Option<Connection>,
    /// When the table was made; `None`: nobody knows what the kernel has.
    made: Option<Instant>,
}

/// One owner's new plan; `None` ends it.
pub(crate) type Change<L> = (<L as Layout>::Owner, Option<<L as Layout>::Plan>);

/// How many owners will use what is shared.
type Counts<L> = HashMap<<L as Layout>::Shared, usize>;

/// How a call went.
pub(crate) struct Outcome<L: Layout> {
    /// What the kernel did not take, and why: the owner keeps what it had.
    pub(crate) refused: Vec<(Change<L>, String)>,
}

/// Changes that the kernel did not take, with those who are to blame where it says so.
struct Refusal {
    guilty: BTreeSet<Index>,
    /// The kernel does not have what we think.
    confused: bool,
    text: String,
}

impl<L: Layout> Table<L> {
    /// A table that the kernel does not have yet.
    pub(crate) fn new(layout: L) -> Self {
        let (plans, shared) = (HashMap::new(), HashMap::new());
        Table { layout, plans, shared, retired: Retired::default(), kernel: None, made: None }
    }

    /// Puts plans in place of those of the same owners. What the kernel refuses of one owner stays out; the rest
    /// takes effect in one transaction. What an earlier process left is replaced by the first call. Blocks.
    ///
    /// An error: nothing was changed, for reasons that lie in nobody's plan.
    pub(crate) fn change(&mut self, changes: Vec<Change<L>>) -> io::Result<Outcome<L>> {
        let mut outcome = Outcome { refused: Vec::new() };
        let mut waiting = vec![changes];
        let mut left = PATIENCE;
        while let Some(changes) = waiting.pop() {
            let Some(rest) = left.checked_sub(1) else {
                let text = "the kernel refuses too much at once";
                outcome.refused.extend(changes.into_iter().map(|change| (change, text.to_owned())));
                continue;
            };
            left = rest;
            let Err((changes, refusal)) = self.attempt(changes)? else { continue };
            if refusal.confused && self.made.is_some_and(|at| at.elapsed() > ANEW_AFTER) {
                tracing::warn!(error = refusal.text, "somebody has changed the rules: they are made anew");
                self.made = None;
                waiting.push(changes);
                continue;
            }
            let (guilty, good) = split(changes, &refusal.guilty, self.made.is_some());
            match (self.made.is_some(), guilty.len(), good.len()) {
                (true, 1, 0) => outcome.refused.extend(guilty.into_iter().map(|c| (c, refusal.text.clone()))),
                (false, 0, 0) => return Err(io::Error::other(refusal.text)),
                // Nobody is to blame, or all: first a table that has nothing of theirs.
                (false, _, 0) => waiting.extend([guilty, Vec::new()]),
                // The good first: the others may wait for what these give up.
                _ => waiting.extend([guilty, good]),
            }
        }
        Ok(outcome)
    }

    /// All of it in one transaction, or nothing.
    #[expect(clippy::type_complexity, reason = "what was not taken comes back")]
    fn attempt(&mut self, changes: Vec<Change<L>>) -> io::Result<Result<(), (Vec<Change<L>>, Refusal)>> {
        let mut batch = Batch::new(self.layout.table());
        let mut retired = if self.made.is_some() { self.retired.clone() } else { Retired::default() };
        let (steps, counts) = self.steps(&changes);
        match self.made {
            Some(_) => difference(&mut batch, &steps, &self.sharing(&counts), &mut retired),
            None => self.whole(&mut batch, &changes, steps, &counts),
        }
        match self.send(&mut batch) {
            Ok(()) => {}
            Err(Error::Refused(messages)) => return Ok(Err((changes, refusal(&batch, &messages)))),
            Err(Error::System(error)) => {
                self.made = None;
                return Err(error);
            }
        }
        self.made.get_or_insert_with(Instant::now);
        counts.into_iter().for_each(|(shared, count)| match count {
            0 => drop(self.shared.remove(&shared)),
            count => drop(self.shared.insert(shared, count)),
        });
        for (owner, plan) in changes {
            match plan {
                Some(plan) => drop(self.plans.insert(owner, plan)),
                None => drop(self.plans.remove(&owner)),
            }
        }
        self.retired = retired;
        self.sweep();
        Ok(Ok(()))
    }

    /// The parts before and after, and how often what is shared will be used.
    fn steps(&self, changes: &[Change<L>]) -> (Vec<Step<L::Shared>>, Counts<L>) {
        let made = self.made.is_some();
        let mut counts: Counts<L> = HashMap::new();
        let mut steps = Vec::with_capacity(changes.len());
        for (index, (owner, plan)) in changes.iter().enumerate() {
            let old = self.plans.get(owner).map(|plan| self.layout.part(plan)).unwrap_or_default();
            let new = plan.as_ref().map(|plan| self.layout.part(plan)).unwrap_or_default();
            let known = |shared: &L::Shared| self.shared.get(shared).copied().unwrap_or_default();
            for shared in &old.shared {
                *counts.entry(shared.clone()).or_insert_with(|| known(shared)) -= 1;
            }
            for shared in &new.shared {
                *counts.entry(shared.clone()).or_insert_with(|| known(shared)) += 1;
            }
            let old = if made { old } else { Part::default() };
            steps.push(Step { owner: index as Index, old, new });
        }
        (steps, counts)
    }

    fn sharing(&self, counts: &Counts<L>) -> Sharing {
        let mut sharing = Sharing::default();
        for (shared, count) in counts {
            match (self.shared.contains_key(shared), *count > 0) {
                (false, true) => sharing.come.push(self.layout.shared(shared)),
                (true, false) => sharing.gone.push(self.layout.shared(shared)),
                _ => {}
            }
        }
        sharing
    }

    /// The whole table in place of whatever the kernel has: what we know of it, with the changes.
    fn whole(
        &self,
        batch: &mut Batch,
        changes: &[Change<L>],
        mut steps: Vec<Step<L::Shared>>,
        counts: &Counts<L>,
    ) {
        let table = batch.table();
        // Deleting needs something to delete.
        batch.add(Message::NewTable, &table);
        batch.add(Message::DeleteTable, &table);
        batch.add(Message::NewTable, &table);
        let base = self.layout.base();
        base.sets.iter().for_each(|(name, set)| difference::new_set(batch, name, set));
        base.chains.iter().for_each(|(name, hook, _)| difference::new_chain(batch, name, *hook));
        difference::added(batch, &Elements::new(), &base.elements);
        let changing: HashSet<&L::Owner> = changes.iter().map(|(owner, _)| owner).collect();
        let kept = self.plans.iter().filter(|(owner, _)| !changing.contains(owner));
        steps.extend(kept.map(|(_, plan)| Step { owner: NOBODY, old: Part::default(), new: self.layout.part(plan) }));
        let kept = self.shared.keys().filter(|shared| !counts.contains_key(*shared));
        let used = kept.chain(counts.iter().filter(|(_, count)| **count > 0).map(|(shared, _)| shared));
        let sharing = Sharing { come: used.map(|shared| self.layout.shared(shared)).collect(), gone: Vec::new() };
        difference(batch, &steps, &sharing, &mut Retired::default());
        batch.of(NOBODY);
        for (name, _, rules) in &base.chains {
            difference::rules(batch, name, rules);
        }
    }

    fn send(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => Connection::open()?,
        };
        let sent = kernel.send(batch);
        self.kernel = Some(kernel).filter(|_| !matches!(sent, Err(Error::System(_))));
        sent
    }

    /// Removes what nothing refers to; what the kernel still holds on to waits for the next time.
    fn sweep(&mut self) {
        let mut batch = Batch::new(self.layout.table());
        difference::sweep(&mut batch, &self.retired);
        match self.send(&mut batch) {
            Ok(()) => self.retired = Retired::default(),
            Err(error) => tracing::debug!(%error, "chains without a use are removed later"),
        }
    }
}

fn refusal(batch: &Batch, messages: &[(u32, io::Error)]) -> Refusal {
    let owners = messages.iter().map(|(sequence, _)| batch.owner(*sequence));
    let confusing = [libc::ENOENT, libc::EEXIST, libc::EBUSY];
    Refusal {
        guilty: owners.filter(|owner| *owner != NOBODY).collect(),
        confused: messages.iter().any(|(_, e)| e.raw_os_error().is_some_and(|code| confusing.contains(&code))),
        text: messages.first().map(|(_, error)| error.to_string()).unwrap_or_default(),
    }
}

/// Those to blame and the rest. All or none are to blame: two halves where the table is there, else all.
fn split<T>(mut changes: Vec<T>, guilty: &BTreeSet<Index>, made: bool) -> (Vec<T>, Vec<T>) {
    if guilty.is_empty() || guilty.len() >= changes.len() {
        let good = changes.drain(..if made { changes.len() / 2 } else { 0 }).collect();
        return (changes, good);
    }
    let (bad, good): (Vec<_>, Vec<_>) =
        changes.into_iter().enumerate().partition(|(index, _)| guilty.contains(&(*index as Index)));
    let only = |list: Vec<(usize, T)>| list.into_iter().map(|(_, change)| change).collect();
    (only(bad), only(good))
}

/// Removes a table; says whether it was there. Blocks.
pub(crate) fn remove(table: TableName) -> io::Result<bool> {
    let mut batch = Batch::new(table);
    batch.add(Message::DeleteTable, &batch.table());
    // What the kernel does not know is not there either.
    let absent = [libc::ENOENT, libc::EOPNOTSUPP, libc::EAFNOSUPPORT].map(Some);
    match Connection::open()?.send(&mut batch) {
        Ok(()) => Ok(true),
        Err(Error::Refused(all)) if all.iter().all(|(_, e)| absent.contains(&e.raw_os_error())) => Ok(false),
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests;
