//! What the API was told of containers that the runtime no longer knows: all records of pods go with `down`, or with the
//! disk that they were on.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use crate::spec;

/// Exit code of a container that ran and cannot be found (upstream: `convertStatusToAPIStatus`).
pub const UNKNOWN: i32 = 137;

fn status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = spec::status(pod);
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|status| status.name == name)
}

/// The number of a container's next start.
pub fn next_attempt(pod: &Pod, name: &str) -> u32 {
    let Some(status) = status(pod, name) else { return 0 };
    let began = status.container_id.as_ref().is_some_and(|id| !id.is_empty());
    u32::try_from(status.restart_count).unwrap_or(0) + u32::from(began)
}

/// The code with which a container has ended that the runtime does not know, if it ever ran.
pub fn exit(pod: &Pod, name: &str) -> Option<i32> {
    let state = status(pod, name)?.state.as_ref()?;
    let ended = state.terminated.as_ref().map(|ended| ended.exit_code);
    ended.or(state.running.as_ref().map(|_| UNKNOWN))
}

/// Whether a container that the runtime does not know is to be started.
pub fn wants_start(pod: &Pod, container: &Container) -> bool {
    exit(pod, &container.name).is_none_or(|code| spec::restarts_after(pod, container, code))
}
