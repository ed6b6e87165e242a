//! The phase of a pod (upstream: `getPhase`).

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};

use crate::spec;

#[derive(Default)]
struct Count {
    pending_init: usize,
    pending_sidecars: usize,
    failed_for_good: usize,
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    stopped_for_good: usize,
    succeeded: usize,
}

/// The phase that follows from the container statuses; `over`: nothing will be started again.
pub fn phase(pod: &Pod, status: &PodStatus, over: bool) -> String {
    let mut count = Count::default();
    let init = status.init_container_statuses.as_deref().unwrap_or_default();
    let list = status.container_statuses.as_deref().unwrap_or_default();
    for container in spec::init_containers(pod) {
        let status = init.iter().find(|s| s.name == container.name);
        if spec::is_sidecar(container) {
            count.sidecar(status);
        } else {
            count.init(pod, container, status);
        }
    }
    for container in &spec::of(pod).containers {
        count.ordinary(pod, container, list.iter().find(|s| s.name == container.name));
    }
    let initialized = list.iter().any(|s| s.state.as_ref().is_some_and(|s| s.running.is_some()));
    count.phase(initialized, over).to_owned()
}

/// Exit code of the state, or of the last one while it waits.
fn ended(status: &ContainerStatus) -> Option<i32> {
    let state = status.state.as_ref()?;
    let ended = match (&state.terminated, &state.waiting) {
        (Some(terminated), _) => Some(terminated),
        (None, Some(_)) => status.last_state.as_ref().and_then(|s| s.terminated.as_ref()),
        _ => None,
    };
    ended.map(|t| t.exit_code)
}

fn runs(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.running.is_some())
}

fn waits(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.waiting.is_some())
}

impl Count {
    fn init(&mut self, pod: &Pod, container: &Container, status: Option<&ContainerStatus>) {
        match status.and_then(ended) {
            None => self.pending_init += 1,
            Some(0) => {}
            Some(code) => self.failed_for_good += usize::from(!spec::restarts_after(pod, container, code)),
        }
    }

    fn sidecar(&mut self, status: Option<&ContainerStatus>) {
        match status {
            None => self.unknown += 1,
            Some(s) if runs(s) => {
                self.pending_sidecars += usize::from(s.started != Some(true));
                self.running += 1;
            }
            Some(s) if ended(s).is_none() => {
                self.pending_sidecars += 1;
                self.waiting += 1;
            }
            Some(_) => {}
        }
    }

    fn ordinary(&mut self, pod: &Pod, container: &Container, status: Option<&ContainerStatus>) {
        let Some(status) = status else {
            self.unknown += 1;
            return;
        };
        match ended(status) {
            _ if runs(status) => self.running += 1,
            Some(code) => {
                self.stopped += 1;
                self.stopped_for_good += usize::from(!spec::restarts_after(pod, container, code));
                self.succeeded += usize::from(code == 0 && !waits(status));
            }
            None if waits(status) => self.waiting += 1,
            None => self.unknown += 1,
        }
    }

    fn phase(&self, initialized: bool, over: bool) -> &'static str {
        let all_succeeded = self.stopped == self.succeeded;
        if self.failed_for_good > 0 {
            "Failed"
        } else if self.pending_init > 0 || (self.pending_sidecars > 0 && !initialized) || self.waiting > 0 {
            "Pending"
        } else if self.running > 0 && self.unknown == 0 {
            "Running"
        } else if self.running == 0 && self.stopped > 0 && self.unknown == 0 {
            match (over || self.stopped == self.stopped_for_good, all_succeeded) {
                (false, _) => "Running",
                (true, true) => "Succeeded",
                (true, false) => "Failed",
            }
        } else {
            "Pending"
        }
    }
}
