//! Container statuses.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    ContainerUser, LinuxContainerUser, Pod, PodStatus, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use runtime::ContainerState as State;

use super::Input;
use crate::image::reference;
use crate::pod::observed::{exit, instant, is_running};
use crate::pod::resize;
use crate::pod::start::will_restart;
use crate::pod::told;
use crate::spec;
use crate::volume::mounts::is_recursive;

/// Prefix of container ids in statuses.
pub const ID_PREFIX: &str = "ironclad://";

/// Statuses of the ordinary containers, by name.
pub fn ordinary(pod: &Pod, input: &Input) -> Vec<ContainerStatus> {
    let old = spec::status(pod).container_statuses.as_deref().unwrap_or_default();
    let list = &spec::of(pod).containers;
    let mut statuses: Vec<_> = list.iter().map(|c| one(pod, c, old, input, Sort::Ordinary)).collect();
    statuses.sort_by(|a, b| a.name.cmp(&b.name));
    statuses
}

/// Statuses of the init containers, in order.
pub fn init(pod: &Pod, input: &Input) -> Option<Vec<ContainerStatus>> {
    let old = spec::status(pod).init_container_statuses.as_deref().unwrap_or_default();
    let list = spec::init_containers(pod);
    let sort = |c: &Container| if spec::is_sidecar(c) { Sort::Ordinary } else { Sort::Once };
    (!list.is_empty()).then(|| list.iter().map(|c| one(pod, c, old, input, sort(c))).collect())
}

/// Statuses of the ephemeral containers, in order.
pub fn ephemeral(pod: &Pod, input: &Input) -> Option<Vec<ContainerStatus>> {
    let old = spec::status(pod).ephemeral_container_statuses.as_deref().unwrap_or_default();
    let list = spec::ephemeral_containers(pod);
    (!list.is_empty()).then(|| list.iter().map(|c| one(pod, c, old, input, Sort::Ephemeral)).collect())
}

/// Marks what never ran, or got lost, as ended: the pod is over.
pub fn close(status: &mut PodStatus) {
    let lists = [&mut status.container_statuses, &mut status.init_container_statuses];
    for container in lists.into_iter().flatten().flatten() {
        let state = container.state.get_or_insert_default();
        if state.terminated.is_none() {
            container.ready = false;
            container.started = Some(false);
            *state = ended("ContainerStatusUnknown", "The container could not be located when the pod was terminated", 137);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Ordinary,
    Once,
    Ephemeral,
}

fn one(pod: &Pod, container: &Container, old: &[ContainerStatus], input: &Input, sort: Sort) -> ContainerStatus {
    let old = old.iter().find(|s| s.name == container.name);
    let observed = input.observed;
    let seen = observed.begun(&container.name);
    let mut status = match seen {
        Some(seen) => from_runtime(pod, container, seen, old, input),
        None => unseen(pod, container, old, input),
    };
    status.volume_mounts = volume_mounts(container, input.recursive_read_only);
    probes(container, seen, input, sort, &mut status);
    let done = sort == Sort::Once && seen.and_then(exit).is_some_and(|(code, _)| code == 0);
    let never_again = done || input.ending || (sort == Sort::Ephemeral && seen.is_some());
    if !never_again && will_restart(pod, container, seen) {
        wait(container, input, &mut status);
    }
    status
}

/// Says why a container that is to run does not.
fn wait(container: &Container, input: &Input, status: &mut ContainerStatus) {
    let remembered = input.observed.container(&container.name).and_then(|m| m.waiting.as_ref());
    let Some(waiting) = input.waiting.get(&container.name).or(remembered) else { return };
    if status.state.as_ref().is_some_and(|s| s.terminated.is_some()) {
        status.last_state = status.state.take();
    }
    let waiting = ContainerStateWaiting {
        reason: Some(waiting.reason.clone()),
        message: Some(waiting.message.clone()).filter(|m| !m.is_empty()),
    };
    status.state = Some(ContainerState { waiting: Some(waiting), ..ContainerState::default() });
}

/// A container that the runtime does not know.
fn unseen(pod: &Pod, container: &Container, old: Option<&ContainerStatus>, input: &Input) -> ContainerStatus {
    if let Some(old) = old.filter(|o| o.state.as_ref().is_some_and(|s| s.terminated.is_some())) {
        return old.clone();
    }
    let init = !spec::init_containers(pod).is_empty();
    let reason = if init { "PodInitializing" } else { "ContainerCreating" };
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: None };
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(ContainerState { waiting: Some(waiting), ..ContainerState::default() }),
        last_state: Some(ContainerState::default()),
        started: Some(false),
        ..ContainerStatus::default()
    };
    let Some(old) = old else { return status };
    status.restart_count = old.restart_count;
    status.last_state = old.last_state.clone();
    if old.state.as_ref().is_some_and(|s| s.running.is_some()) {
        let text = "The container could not be located when the pod was deleted.  The container used to be Running";
        let unknown = ended("ContainerStatusUnknown", text, told::UNKNOWN);
        if told::wants_start(pod, container) {
            status.last_state = Some(unknown);
            status.restart_count += i32::from(!input.ending);
        } else {
            status.state = Some(unknown);
            status.container_id = old.container_id.clone();
        }
    }
    status
}

fn from_runtime(
    pod: &Pod, container: &Container, seen: &runtime::Container, old: Option<&ContainerStatus>, input: &Input,
) -> ContainerStatus {
    let id = format!("{ID_PREFIX}{}", seen.id);
    let state = state(seen, input);
    let previous = input
        .observed
        .containers()
        .filter(|c| c.name == seen.name && c.attempt < seen.attempt && exit(c).is_some())
        .max_by_key(|c| c.attempt);
    let last = match (previous, old) {
        (Some(previous), _) => Some(self::state(previous, input)),
        (None, Some(old)) if old.container_id.as_ref() != Some(&id) && is_ended(old) => old.state.clone(),
        (None, Some(old)) => old.last_state.clone(),
        (None, None) => None,
    };
    let granted = container.resources.clone().unwrap_or_default();
    // Until limits are changed, those that were told hold.
    let told = old.filter(|o| o.container_id.as_ref() == Some(&id)).and_then(|o| o.resources.clone());
    let changing = is_running(seen) && resize::differs(pod, container, seen);
    let resources = told.filter(|_| changing).unwrap_or_else(|| granted.clone());
    ContainerStatus {
        name: seen.name.clone(),
        image: seen.image.clone(),
        image_id: reference::of_container(seen),
        container_id: Some(id),
        restart_count: i32::try_from(seen.attempt).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: Some(last.unwrap_or_default()),
        allocated_resources: granted.requests,
        resources: Some(resources),
        user: seen.user.as_ref().map(user),
        ..ContainerStatus::default()
    }
}

/// Who the container runs as (upstream: `convertContainerStatusUser`).
fn user(user: &runtime::User) -> ContainerUser {
    let linux = LinuxContainerUser {
        uid: user.uid.into(),
        gid: user.gid.into(),
        supplemental_groups: Some(user.groups.iter().map(|group| i64::from(*group)).collect()),
    };
    ContainerUser { linux: Some(linux) }
}

fn is_ended(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.terminated.is_some())
}

fn state(seen: &runtime::Container, input: &Input) -> ContainerState {
    match &seen.state {
        State::Created => ContainerState { waiting: Some(ContainerStateWaiting::default()), ..Default::default() },
        State::Running { started_at } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(time(*started_at)) }),
            ..Default::default()
        },
        State::Exited { started_at, finished_at, code, signal: _, reason, message } => {
            let message = input.messages.get(&seen.id).filter(|m| !m.is_empty()).unwrap_or(message);
            let terminated = ContainerStateTerminated {
                container_id: Some(format!("{ID_PREFIX}{}", seen.id)),
                exit_code: *code,
                signal: None,
                reason: Some(reason.clone()).filter(|r| !r.is_empty()),
                message: Some(message.clone()).filter(|m| !m.is_empty()),
                started_at: Some(time(*started_at)),
                finished_at: Some(time(*finished_at)),
            };
            ContainerState { terminated: Some(terminated), ..Default::default() }
        }
    }
}

fn ended(reason: &str, message: &str, exit_code: i32) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code,
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// `started` and `ready`, from the probes' results.
fn probes(
    container: &Container, seen: Option<&runtime::Container>, input: &Input, sort: Sort, status: &mut ContainerStatus,
) {
    let Some(seen) = seen else { return };
    let results = input.observed.results(seen);
    let running = is_running(seen);
    let passed = |probe: bool, result: Option<bool>| !probe || result == Some(true);
    let started = running && passed(container.startup_probe.is_some(), results.and_then(|r| r.started));
    status.started = Some(started);
    status.ready = match sort {
        Sort::Once => exit(seen).is_some_and(|(code, _)| code == 0),
        Sort::Ordinary => started && passed(container.readiness_probe.is_some(), results.and_then(|r| r.ready)),
        Sort::Ephemeral => false,
    };
}

fn volume_mounts(container: &Container, recursive: bool) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref()?;
    let one = |m: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        name: m.name.clone(),
        mount_path: m.mount_path.clone(),
        read_only: m.read_only,
        recursive_read_only: (m.read_only == Some(true)).then(|| {
            // What cannot be is told where the container is made.
            let all = is_recursive(m, recursive).unwrap_or(false);
            if all { "Enabled" } else { "Disabled" }.to_owned()
        }),
        ..VolumeMountStatus::default()
    };
    Some(mounts.iter().map(one).collect())
}

fn time(nanos: i64) -> Time {
    Time(crate::status::conditions::whole_seconds(instant(nanos)))
}
