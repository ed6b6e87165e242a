//! What a worker remembers of a job's outcome. Pure.

use jiff::{SignedDuration, Timestamp};

use super::backoff::Backoff;
use super::observed::{Job, Memory, Waiting};
use super::work::Outcome;

/// Before a failed job is tried again, unless something it needs changes.
pub const RETRY: SignedDuration = SignedDuration::from_secs(2);
/// The longest time between attempts at volumes or sandbox.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_secs(122);
/// Before a start is tried again that found no sandbox.
const SOON: SignedDuration = SignedDuration::from_millis(200);
/// Before a container whose configuration cannot work is tried again.
const RETRY_CONFIG: SignedDuration = SignedDuration::from_secs(10);

/// Takes in an outcome.
pub fn remember(memory: &mut Memory, job: &Job, outcome: &Outcome, now: Timestamp) {
    memory.busy.remove(job);
    if *job == Job::Start {
        memory.starting = None;
    }
    match outcome {
        Outcome::Mounted(_, refresh) => {
            memory.mounted = true;
            memory.refresh_at = *refresh;
            memory.mount_retry = None;
            memory.failures = 0;
        }
        Outcome::MountFailed => {
            memory.stale_volumes = true;
            memory.mount_retry = Some(now + later(memory));
        }
        Outcome::SandboxReady => {
            memory.attached = true;
            memory.sandbox_retry = None;
            memory.failures = 0;
        }
        Outcome::SandboxFailed => memory.sandbox_retry = Some(now + later(memory)),
        Outcome::Started(name) => {
            if let Some(container) = memory.containers.get_mut(name) {
                container.waiting = None;
                container.retry = None;
            }
        }
        Outcome::NotStarted { container, reason, message, pulled } => {
            let container = memory.containers.entry(container.clone()).or_default();
            container.waiting = Some(Waiting { reason: (*reason).to_owned(), message: message.clone() });
            container.retry = Some(now + RETRY_CONFIG);
            if *pulled {
                // Soon the status tells of the back-off, as upstream's does.
                container.retry = Some(now + RETRY);
                container.pulls.next(now, now);
                container.pulled_at = Some(now);
                container.pull_error = format!("{reason}: {message}");
            }
            if matches!(*reason, "ImagePullBackOff") {
                container.retry = container.pulled_at.and_then(|at| container.pulls.until(at));
            }
        }
        // That it is gone will be noticed in a moment, and everything that follows from it begins then.
        Outcome::NoSandbox(name) => {
            memory.containers.entry(name.clone()).or_default().retry = Some(now + SOON);
        }
        Outcome::TornDown => {
            memory.torn_down = true;
            memory.attached = false;
            memory.mounted = false;
        }
        Outcome::Resized => memory.resize_retry = None,
        Outcome::NotResized(_) => memory.resize_retry = Some(now + RETRY_CONFIG),
        Outcome::Deleted => memory.delete_retry = Some(now + SignedDuration::from_secs(60)),
        Outcome::Done => {}
        Outcome::Failed(_) if *job == Job::Delete => memory.delete_retry = Some(now + RETRY),
        Outcome::Failed(_) => memory.retry = Some(now + RETRY),
    }
}

/// The next delay: half a second, doubled up to about two minutes (upstream: `exponentialbackoff`).
fn later(memory: &mut Memory) -> SignedDuration {
    let delay = SignedDuration::from_millis(500 << memory.failures.min(8));
    memory.failures += 1;
    delay.min(LONGEST_RETRY)
}

/// A container is about to be started again, from this image: the next time it waits longer.
pub fn restarting(memory: &mut Memory, name: &str, image: &str, before: Option<&runtime::Container>, now: Timestamp) {
    memory.starting = Some(name.to_owned());
    let ended = before.and_then(|before| memory.ended(before));
    let container = memory.containers.entry(name.to_owned()).or_default();
    if let Some((before, ended)) = before.zip(ended) {
        if before.image != image {
            // Another program is not to blame.
            container.crashes = Backoff::default();
        }
        container.crashes.next(ended, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_and_success_forgets_them() {
        let mut memory = Memory::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut delays = Vec::new();
        for _ in 0..10 {
            remember(&mut memory, &Job::Mount, &Outcome::MountFailed, now);
            delays.push(memory.mount_retry.expect("a time").as_millisecond());
        }
        assert_eq!((delays[0], delays[1], delays[9]), (500, 1000, 122_000));
        remember(&mut memory, &Job::Mount, &Outcome::Mounted(Default::default(), None), now);
        assert_eq!((memory.failures, memory.mount_retry), (0, None));
    }
}
