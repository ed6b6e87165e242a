//! Scaling in the middle of a rollout, in proportion, and while paused.

use super::rollout::{Rollout, Set};
use super::{fence, revision};

/// Plans the sizes of the sets for the wanted number of replicas. Says whether it could: while pods of a
/// set that was made smaller may still be there, nothing grows.
pub fn resize(rollout: &mut Rollout) -> bool {
    let have: i32 = rollout.all().map(Set::replicas).sum();
    let grows = fence::replicas(rollout.deployment) + fence::surge(rollout.deployment) > have;
    if grows && rollout.all().any(|set| set.unsettled() || set.reach() > set.replicas()) {
        return false;
    }
    plan(rollout);
    true
}

fn plan(rollout: &mut Rollout) {
    let wanted = fence::replicas(rollout.deployment);
    if let Some(only) = only_or_latest(rollout) {
        // Also if it has that size by chance, amid a rollout: what it was scaled for must be noted, or the
        // Deployment would count as being scaled for ever (as it does upstream).
        return rollout.resize(only, wanted, true);
    }
    if rollout.new.as_ref().is_some_and(|new| is_saturated(new, wanted)) {
        for at in 0..rollout.old.len() {
            rollout.resize(Some(at), 0, false);
        }
        return;
    }
    if fence::is_rolling(rollout.deployment) {
        return proportionally(rollout, wanted);
    }
    // Recreate, begun as a rolling update: the rollout sets the sizes. Here the size is only noted, or the
    // Deployment would count as being scaled for ever.
    for at in 0..rollout.old.len() {
        let size = rollout.old[at].replicas();
        rollout.resize(Some(at), size, size > 0);
    }
    if let Some(size) = rollout.new.as_ref().map(Set::replicas) {
        rollout.resize(None, size, size > 0);
    }
}

/// The one set in use, or the newest if none is; `Some(None)` is the new set.
fn only_or_latest(rollout: &mut Rollout) -> Option<Option<usize>> {
    rollout.old.sort_by_key(|set| std::cmp::Reverse(set.age()));
    let mut active: Vec<Option<usize>> = Vec::new();
    active.extend(rollout.old.iter().enumerate().filter(|(_, set)| set.replicas() > 0).map(|(at, _)| Some(at)));
    active.extend(rollout.new.iter().filter(|set| set.replicas() > 0).map(|_| None));
    match (active.as_slice(), &rollout.new, rollout.old.is_empty()) {
        ([], Some(_), _) => Some(None),
        ([], None, false) => Some(Some(0)),
        ([one], ..) => Some(*one),
        _ => None,
    }
}

fn is_saturated(set: &Set, wanted: i32) -> bool {
    set.replicas() == wanted && revision::desired(&set.now) == Some(wanted) && set.available() == wanted
}

fn proportionally(rollout: &mut Rollout, wanted: i32) {
    let most = if wanted > 0 { wanted + fence::surge(rollout.deployment) } else { 0 };
    let mut active: Vec<(Option<usize>, &Set)> =
        rollout.old.iter().enumerate().map(|(at, set)| (Some(at), set)).chain(rollout.new.iter().map(|s| (None, s))).collect();
    active.retain(|(_, set)| set.replicas() > 0);
    let to_add = most - active.iter().map(|(_, set)| set.replicas()).sum::<i32>();
    // Large ones first; of equal ones the newer grow first, and the older shrink first.
    active.sort_by(|(_, a), (_, b)| {
        let by_size = b.replicas().cmp(&a.replicas());
        by_size.then(if to_add > 0 { b.age().cmp(&a.age()) } else { a.age().cmp(&b.age()) })
    });
    let mut added = 0;
    let mut sizes = Vec::new();
    for (at, set) in &active {
        let share = share(rollout, set, to_add - added, most);
        added += share;
        sizes.push((*at, set.replicas() + share));
    }
    if let Some((_, largest)) = sizes.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    for (at, size) in sizes {
        rollout.resize(at, size, true);
    }
}

/// The part of one set, of `left` that are still to be added (or, negative, removed).
fn share(rollout: &Rollout, set: &Set, left: i32, most: i32) -> i32 {
    if left == 0 {
        return 0;
    }
    let fraction = if fence::replicas(rollout.deployment) == 0 {
        -set.replicas()
    } else {
        let noted = revision::maximum(&set.now).filter(|m| *m != 0);
        let before = noted.unwrap_or_else(|| rollout.status.replicas.unwrap_or(0));
        if before == 0 {
            return 0;
        }
        let size = f64::from(set.replicas()) * f64::from(most) / f64::from(before);
        // The saturating cast is exact for sizes that can occur.
        size.round() as i32 - set.replicas()
    };
    if left > 0 { fraction.min(left) } else { fraction.max(left) }
}
