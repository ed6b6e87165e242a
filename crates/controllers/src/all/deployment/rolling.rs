//! The RollingUpdate strategy: up where there is room, down where enough is available.

use super::fence;
use super::rollout::{Rollout, Set};

/// Plans one step of the rollout.
pub fn run(rollout: &mut Rollout) {
    rollout.ensure_newest();
    if rollout.new.is_some() && !scale_up(rollout) {
        scale_down(rollout);
    }
}

/// How large a set that has `current` replicas may be.
///
/// What counts is what the sets have or want, whichever is more: a set that was made smaller still has its
/// pods until its controller has acted. So the pods never exceed replicas + surge, not even for a moment.
pub fn room(rollout: &Rollout, current: i32) -> i32 {
    let wanted = fence::replicas(rollout.deployment);
    if !fence::is_rolling(rollout.deployment) {
        return wanted;
    }
    let most = wanted + fence::surge(rollout.deployment);
    let have: i32 = rollout.all().map(Set::reach).sum();
    if have >= most || rollout.old.iter().any(Set::unsettled) {
        return current;
    }
    current + (most - have).min(wanted - current)
}

fn scale_up(rollout: &mut Rollout) -> bool {
    let Some(current) = rollout.new.as_ref().map(Set::replicas) else { return false };
    let wanted = fence::replicas(rollout.deployment);
    let size = match current.cmp(&wanted) {
        std::cmp::Ordering::Equal => return false,
        std::cmp::Ordering::Greater => wanted,
        std::cmp::Ordering::Less => room(rollout, current),
    };
    rollout.resize(None, size, false);
    size != current
}

fn scale_down(rollout: &mut Rollout) {
    if rollout.old.iter().all(|set| set.replicas() == 0) {
        return;
    }
    let minimum = fence::replicas(rollout.deployment) - fence::unavailable(rollout.deployment);
    let total: i32 = rollout.all().map(Set::replicas).sum();
    let missing = rollout.new.as_ref().map_or(0, |new| new.replicas() - new.available());
    let most = total - minimum - missing;
    if most <= 0 {
        return;
    }
    rollout.old.sort_by_key(Set::age);
    remove_unhealthy(rollout, most);
    let available: i32 = rollout.all().map(|set| set.available().min(set.replicas())).sum();
    let mut left = available - minimum;
    for at in 0..rollout.old.len() {
        let size = rollout.old[at].replicas();
        let down = size.min(left);
        if down > 0 {
            rollout.resize(Some(at), size - down, false);
            left -= down;
        }
    }
}

/// Unhealthy old pods go first: they add nothing and would hold the rollout up.
fn remove_unhealthy(rollout: &mut Rollout, mut most: i32) {
    for at in 0..rollout.old.len() {
        let set = &rollout.old[at];
        let (size, down) = (set.replicas(), (set.replicas() - set.available()).min(most));
        if size > 0 && down > 0 {
            rollout.resize(Some(at), size - down, false);
            most -= down;
        }
    }
}
