//! On which node the least is lost (upstream: `pickOneNodeForPreemption`). Pure.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::Candidate;
use super::dry_run::started;

/// What is lost, the gravest first: the highest priority of a victim, the sum of priorities, the number of
/// victims, and how long the longest-running victim of the highest priority has run.
type Loss = (i32, i64, usize, Reverse<Timestamp>);

/// The candidate with the smallest loss; of equals the first.
pub(super) fn cheapest(candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.into_iter().min_by_key(loss)
}

fn loss(candidate: &Candidate) -> Loss {
    let pods = || candidate.victims.iter().map(|(_, pod)| pod);
    let highest = pods().map(|p| p.priority()).max().unwrap_or(i32::MIN);
    // Counted from the lowest priority there is: a victim more never makes the sum smaller.
    let sum = pods().map(|p| i64::from(p.priority()) - i64::from(i32::MIN)).sum();
    let longest = pods().filter(|p| p.priority() == highest).map(|p| started(p)).min();
    (highest, sum, candidate.victims.len(), Reverse(longest.unwrap_or(Timestamp::MAX)))
}
