//! The Recreate strategy: first every old pod goes, then the new ones come.

use k8s_openapi::api::core::v1::Pod;

use super::fence;
use super::rollout::Rollout;
use crate::{owners, pods};

/// Plans one step of the rollout.
pub fn run(rollout: &mut Rollout) {
    rollout.sync_newest();
    let mut scaled = false;
    for at in 0..rollout.old.len() {
        scaled |= rollout.old[at].replicas() > 0;
        rollout.resize(Some(at), 0, false);
    }
    if scaled || old_pods_run(rollout) {
        return;
    }
    rollout.ensure_newest();
    rollout.resize(None, fence::replicas(rollout.deployment), false);
}

fn old_pods_run(rollout: &Rollout) -> bool {
    let all = rollout.world.of::<Pod>();
    rollout.old.iter().any(|set| {
        // Until its controller has seen the new size, pods may come that nobody has seen yet.
        set.unsettled() || set.reach() > 0 || all.owned(owners::uid(&set.now.metadata)).any(|pod| !pods::is_terminal(pod))
    })
}
