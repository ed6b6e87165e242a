//! One scheduling cycle: a pod and a snapshot give a decision.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::filters::{self, Refused};
use crate::preempt::{self, Outcome};
use crate::rank::Ranking;
use crate::scores;
use crate::signature::Signature;
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};

/// What is to be done with a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Bind it to this node.
    Node(Arc<str>),
    /// It fits nowhere now.
    Unschedulable {
        /// Upstream's text, for the event and the condition.
        message: String,
        /// Names of the filters that refused it: what an event must help.
        refused_by: Vec<&'static str>,
        /// What is done so that it fits later.
        preemption: Outcome,
    },
}

/// So many nodes at the least are looked for, where there are as many (upstream: `minFeasibleNodesToFind`).
const AT_LEAST: usize = 100;
/// Signatures that are remembered, and nodes in all rankings together: about a hundred bytes each.
const SIGNATURES: usize = 1024;
const RANKED: usize = 200_000;

/// Decides, and keeps what makes the next decision cheap.
///
/// A pod whose like has not come yet is given to the best of as many nodes as upstream would look at
/// (`percentageOfNodesToScore`, left to its default); when another comes, all nodes are ranked for their kind, and
/// from there on a decision costs what has changed since the last one.
#[derive(Default)]
pub(crate) struct Cycle {
    turn: usize,
    /// The last node that was looked at without a ranking: others come first the next time.
    last: Arc<str>,
    kinds: HashMap<Signature, Kind>,
}

/// Pods of one signature.
#[derive(Default)]
struct Kind {
    /// When one came last.
    turn: usize,
    ranking: Option<Ranking>,
    /// What was decided when none fitted and nothing could be done, and upon which version of the snapshot.
    refused: Option<(u64, Decision)>,
}

impl Cycle {
    /// Decides upon a pod.
    pub(crate) fn decide(&mut self, pod: &PodInfo, snapshot: &Snapshot) -> Decision {
        self.turn = self.turn.wrapping_add(1);
        // What is nominated is not like others.
        if snapshot.nomination(&pod.key()).is_some() {
            return schedule(pod, snapshot, self.turn);
        }
        let signature = Signature::of(pod);
        let Some(kind) = self.kinds.get_mut(&signature) else {
            self.forget_old();
            self.kinds.insert(signature, Kind { turn: self.turn, ..Kind::default() });
            let scan = scan(pod, snapshot.nodes_behind(&self.last), enough(snapshot.len()));
            self.last = scan.last.map_or_else(Arc::default, Arc::clone);
            return choose(pod, snapshot, &scan, self.turn);
        };
        kind.turn = self.turn;
        if kind.ranking.is_none() {
            self.make_room(snapshot.len());
        }
        let Some(kind) = self.kinds.get_mut(&signature) else { unreachable!("none was removed") };
        kind.decide(pod, snapshot)
    }

    /// Before a kind is added: those that came last stay.
    fn forget_old(&mut self) {
        if self.kinds.len() >= SIGNATURES {
            let mut turns: Vec<usize> = self.kinds.values().map(|kind| kind.turn).collect();
            let (_, median, _) = turns.select_nth_unstable(SIGNATURES / 2);
            let median = *median;
            self.kinds.retain(|_, kind| kind.turn > median);
        }
    }

    /// Before a ranking of so many nodes is made: those that were used last stay.
    fn make_room(&mut self, nodes: usize) {
        let ranked = |kind: &Kind| kind.ranking.as_ref().map_or(0, Ranking::len);
        while self.kinds.values().map(ranked).sum::<usize>() + nodes > RANKED {
            let with = self.kinds.values_mut().filter(|kind| kind.ranking.is_some());
            let Some(oldest) = with.min_by_key(|kind| kind.turn) else { return };
            oldest.ranking = None;
        }
    }
}

impl Kind {
    fn decide(&mut self, pod: &PodInfo, snapshot: &Snapshot) -> Decision {
        if let Some((version, decision)) = &self.refused
            && *version == snapshot.version()
        {
            return decision.clone();
        }
        match &mut self.ranking {
            Some(ranking) => drop(ranking.catch_up(pod, snapshot)),
            None => self.ranking = Some(Ranking::new(pod, snapshot)),
        }
        if let Some(best) = self.ranking.as_ref().and_then(|ranking| ranking.best(self.turn)) {
            return Decision::Node(best.clone());
        }
        let decision = schedule(pod, snapshot, self.turn);
        if let Decision::Unschedulable { message, refused_by, preemption: Outcome::Nowhere(_) } = &decision {
            // The reasons of each node are in the message.
            let preemption = Outcome::Nowhere(Vec::new());
            let again = Decision::Unschedulable { message: message.clone(), refused_by: refused_by.clone(), preemption };
            self.refused = Some((snapshot.version(), again));
        }
        decision
    }
}

/// How many fitting nodes are enough (upstream: `numFeasibleNodesToFind`).
fn enough(nodes: usize) -> usize {
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(AT_LEAST)
}

/// Decides by a look at every node. `turn` breaks ties between nodes of one score, so that equal nodes are used in turn.
pub fn schedule(pod: &PodInfo, snapshot: &Snapshot, turn: usize) -> Decision {
    let key = pod.key();
    // Where room was made for the pod it goes, if it can, without a look at other nodes.
    if let Some(name) = snapshot.nomination(&key) {
        let node = snapshot.node(name).filter(|node| node.node.is_some());
        if node.is_some_and(|node| filters::check(pod, &key, node).is_ok()) {
            return Decision::Node(name.clone());
        }
    }
    choose(pod, snapshot, &scan(pod, snapshot.nodes(), usize::MAX), turn)
}

/// What a look at nodes showed.
struct Scan<'a> {
    fitting: Vec<(&'a Arc<str>, &'a NodeInfo)>,
    refused: Vec<Refused<'a>>,
    last: Option<&'a Arc<str>>,
}

/// Looks at nodes until enough fit.
fn scan<'a>(pod: &PodInfo, nodes: impl Iterator<Item = (&'a Arc<str>, &'a Arc<NodeInfo>)>, enough: usize) -> Scan<'a> {
    let key = pod.key();
    let mut scan = Scan { fitting: Vec::new(), refused: Vec::new(), last: None };
    for (name, node) in nodes {
        scan.last = Some(name);
        match filters::check(pod, &key, node) {
            Ok(()) => scan.fitting.push((name, node.as_ref())),
            Err((by, rejection)) => scan.refused.push(Refused { name, node, by, rejection }),
        }
        if scan.fitting.len() >= enough {
            break;
        }
    }
    scan
}

fn choose(pod: &PodInfo, snapshot: &Snapshot, scan: &Scan<'_>, turn: usize) -> Decision {
    match scan.fitting[..] {
        [] => unschedulable(pod, snapshot, &scan.refused, turn),
        [(only, _)] => Decision::Node(only.clone()),
        ref fitting => {
            let ties = best(pod, fitting);
            Decision::Node(ties[turn % ties.len()].clone())
        }
    }
}

/// The nodes of the highest score.
fn best<'a>(pod: &PodInfo, fitting: &[(&'a Arc<str>, &NodeInfo)]) -> Vec<&'a Arc<str>> {
    let nodes: Vec<&NodeInfo> = fitting.iter().map(|(_, node)| *node).collect();
    let mut totals = vec![0; nodes.len()];
    for score in scores::ALL {
        totals.iter_mut().zip(score.of_all(pod, &nodes)).for_each(|(total, score)| *total += score);
    }
    let highest = totals.iter().copied().max().unwrap_or(0);
    fitting.iter().zip(&totals).filter(|(_, t)| **t == highest).map(|((n, _), _)| *n).collect()
}

/// Upstream: `FitError`, with what its PostFilter plug-ins add when they cannot help.
fn unschedulable(pod: &PodInfo, snapshot: &Snapshot, refused: &[Refused<'_>], turn: usize) -> Decision {
    let mut refused_by: Vec<&'static str> = refused.iter().map(|r| r.by).collect();
    refused_by.sort_unstable();
    refused_by.dedup();
    if refused.is_empty() {
        let message = "no nodes available to schedule pods".to_owned();
        return Decision::Unschedulable { message, refused_by, preemption: Outcome::Nowhere(Vec::new()) };
    }
    let reasons = refused.iter().flat_map(|r| r.rejection.reasons.iter().map(String::as_str));
    let message = available(refused.len(), reasons);
    let preemption = preempt::decide(pod, refused, snapshot, turn);
    let why = match &preemption {
        Outcome::Evict(_) => return Decision::Unschedulable { message, refused_by, preemption },
        Outcome::Wait(why) => (*why).to_owned(),
        Outcome::Nowhere(reasons) => available(refused.len(), reasons.iter().map(String::as_str)),
    };
    let message = format!("{message} no new claims to deallocate, preemption: {why}");
    Decision::Unschedulable { message, refused_by, preemption }
}

/// `0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.`
fn available<'a>(nodes: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
    let mut shown: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    shown.sort();
    format!("0/{nodes} nodes are available: {}.", shown.join(", "))
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
