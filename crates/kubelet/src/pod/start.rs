//! Which containers to start or restart, in which order.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use runtime::Container as Seen;

use super::decide::{Plan, Step};
use super::observed::{Job, Observed, Waiting, exit, is_running};
use super::{backoff, resize, told};
use crate::spec;

/// Whether a pod without a living sandbox needs one. A pod whose containers have all ended for good
/// does not get another.
pub fn wants_sandbox(pod: &Pod, observed: &Observed) -> bool {
    let containers = &spec::of(pod).containers;
    let failed_for_good = spec::init_containers(pod).iter().filter(|c| !spec::is_sidecar(c)).any(|c| {
        let code = observed.latest(&c.name).and_then(exit).map_or(0, |(code, _)| code);
        code != 0 && !spec::restarts_after(pod, c, code)
    });
    let wanted = |c: &Container| {
        observed.latest(&c.name).map_or_else(|| told::wants_start(pod, c), |seen| wants_start(pod, c, seen))
    };
    !failed_for_good && containers.iter().any(wanted)
}

/// Steps for all containers. False when the pod is done: nothing runs and nothing starts again.
pub fn containers(pod: &Pod, observed: &Observed, now: Timestamp, plan: &mut Plan) -> bool {
    let mut run = Run { pod, observed, now, plan, started: observed.memory.busy.contains_key(&Job::Start) };
    for container in spec::ephemeral_containers(pod) {
        if observed.latest(&container.name).is_none() && told::exit(pod, &container.name).is_none() {
            run.start(&container, None);
        }
    }
    match run.init() {
        Init::Failed => return false,
        Init::Pending => return true,
        Init::Done => {}
    }
    let mut alive = false;
    for container in &spec::of(pod).containers {
        alive |= run.keep(container);
    }
    alive
}

enum Init {
    Pending,
    Done,
    Failed,
}

struct Run<'a> {
    pod: &'a Pod,
    observed: &'a Observed,
    now: Timestamp,
    plan: &'a mut Plan,
    started: bool,
}

impl Run<'_> {
    /// Walks the init containers in order and stops at the first that is not through.
    fn init(&mut self) -> Init {
        let list = spec::init_containers(self.pod);
        let apps = &spec::of(self.pod).containers;
        // What lies before the last init container that was ever started is through.
        let reached = list.iter().rposition(|c| self.observed.current(&c.name).is_some());
        let initialized = apps.iter().any(|c| self.observed.current(&c.name).is_some());
        for (i, container) in list.iter().enumerate() {
            let passed = initialized || reached.is_some_and(|r| i < r);
            let outcome = if spec::is_sidecar(container) {
                self.sidecar(container, passed)
            } else if passed {
                Init::Done
            } else {
                self.once(container)
            };
            match outcome {
                Init::Done => {}
                other => return other,
            }
        }
        Init::Done
    }

    fn sidecar(&mut self, container: &Container, passed: bool) -> Init {
        let seen = self.observed.current(&container.name);
        let running = seen.filter(|c| is_running(c));
        match running {
            Some(running) => {
                self.check(container, running, "Init container");
                let started = container.startup_probe.is_none()
                    || self.observed.results(running).is_some_and(|r| r.started == Some(true));
                if passed || started { Init::Done } else { Init::Pending }
            }
            None => {
                self.start(container, seen);
                if passed { Init::Done } else { Init::Pending }
            }
        }
    }

    fn once(&mut self, container: &Container) -> Init {
        let seen = self.observed.current(&container.name);
        match seen.and_then(exit) {
            Some((0, _)) => return Init::Done,
            Some((code, _)) if !spec::restarts_after(self.pod, container, code) => return Init::Failed,
            _ => {}
        }
        if !seen.is_some_and(is_running) {
            self.start(container, seen);
        }
        Init::Pending
    }

    /// Starts, restarts or ends one ordinary container. Whether it runs or will run.
    fn keep(&mut self, container: &Container) -> bool {
        let seen = self.observed.latest(&container.name);
        match seen {
            Some(running) if is_running(running) => {
                let killed = self.check(container, running, "Container");
                !killed || spec::restart_policy(self.pod, container) != spec::Restart::Never
            }
            Some(ended) if !wants_start(self.pod, container, ended) => false,
            None if !told::wants_start(self.pod, container) => false,
            _ => {
                self.start(container, seen);
                true
            }
        }
    }

    /// Ends a running container whose probe failed or whose image was changed. Whether it did.
    fn check(&mut self, container: &Container, running: &Seen, noun: &str) -> bool {
        let name = &container.name;
        let results = self.observed.results(running);
        let pod_grace = spec::grace_seconds(self.pod);
        let of_probe = |p: &Option<k8s_openapi::api::core::v1::Probe>| {
            p.as_ref().and_then(|p| p.termination_grace_period_seconds).unwrap_or(pod_grace)
        };
        let restarts = spec::restart_policy(self.pod, container) != spec::Restart::Never;
        let (what, grace, restarts) = if container.image.as_deref().is_some_and(|i| i != running.image) {
            ("definition changed", pod_grace, true)
        } else if results.is_some_and(|r| r.live == Some(false)) {
            ("failed liveness probe", of_probe(&container.liveness_probe), restarts)
        } else if results.is_some_and(|r| r.started == Some(false)) {
            ("failed startup probe", of_probe(&container.startup_probe), restarts)
        } else if resize::needs_restart(self.pod, container, running) {
            ("resize requires restart", pod_grace, false)
        } else {
            return false;
        };
        let tail = if restarts { ", will be restarted" } else { "" };
        let message = format!("{noun} {name} {what}{tail}");
        let (id, after) = (running.id.clone(), Vec::new());
        let step = Step::Stop { id, container: name.clone(), grace, message, after };
        self.plan.push(&Job::Stop(running.id.clone()), self.observed, step);
        true
    }

    /// Starts a container unless it is too early or another one is being started.
    fn start(&mut self, container: &Container, before: Option<&Seen>) {
        let name = &container.name;
        if self.observed.memory.starting.as_ref() == Some(name) {
            return;
        }
        if let Some((until, waiting)) = self.crash_loop(container, before) {
            self.plan.wake(until);
            self.plan.waiting.insert(name.clone(), waiting);
            return;
        }
        if let Some(at) = self.observed.container(name).and_then(|m| m.retry).filter(|at| self.now < *at) {
            self.plan.wake(at);
            return;
        }
        if !self.started {
            self.started = true;
            // Counts go on from an older sandbox's.
            let before = before.or(self.observed.latest(name));
            let attempt = before.map_or_else(|| told::next_attempt(self.pod, name), |c| c.attempt + 1);
            self.plan.steps.push(Step::Start { container: name.clone(), attempt });
        }
    }

    /// Until when a container that ended must wait, and what its status says meanwhile.
    fn crash_loop(&self, container: &Container, before: Option<&Seen>) -> Option<(Timestamp, Waiting)> {
        let ended = self.observed.memory.ended(before?)?;
        // The delay is of the image that ended.
        before.filter(|before| container.image.as_ref() == Some(&before.image))?;
        let crashes = &self.observed.container(&container.name)?.crashes;
        let until = crashes.until(ended).filter(|until| self.now < *until)?;
        let delay = backoff::print(crashes.seconds());
        let title = spec::title(self.pod);
        let message = format!("back-off {delay} restarting failed container={} pod={title}", container.name);
        Some((until, Waiting { reason: "CrashLoopBackOff".to_owned(), message }))
    }
}

/// Whether a container that does not run is to be started again.
fn wants_start(pod: &Pod, container: &Container, seen: &Seen) -> bool {
    exit(seen).is_none_or(|(code, _)| spec::restarts_after(pod, container, code))
}

/// Whether a container that has ended is going to be started again by the kubelet.
pub fn will_restart(pod: &Pod, container: &Container, seen: Option<&Seen>) -> bool {
    match seen {
        None => told::wants_start(pod, container),
        Some(seen) if is_running(seen) => false,
        Some(seen) => spec::is_sidecar(container) || wants_start(pod, container, seen),
    }
}
