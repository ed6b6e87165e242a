//! What happens between fork and exec in the process that becomes a container's program.
//!
//! Everything here runs in a single-threaded child of a single-threaded shim; failures travel back as a
//! [`Failure`](crate::shim::wire::Failure) over a pipe that exec closes.

mod credentials;
mod dev;
mod itself;
mod join;
mod lookup;
mod mapped;
mod place;
mod proc;
mod program;
mod rootfs;
mod stdio;

use std::fs::File;
use std::os::fd::OwnedFd;

use crate::{User, apparmor};
use crate::shim::wire::{Failure, Spec};
use place::Place;
use program::Last;

pub(crate) use credentials::renounce;
pub(crate) use join::{Entry, cgroups as join_cgroups};
pub(crate) use mapped::{Entrance, build, start_mapped};
pub(crate) use proc::set_oom_score_adj;
pub(crate) use stdio::Stdio;

type Result<T> = std::result::Result<T, Failure>;

/// Becomes the first program of a container, and says as whom; returns only when that fails.
pub(crate) fn start(spec: &Spec, stdio: &Stdio, terminal: Option<&OwnedFd>, say: impl FnOnce(User)) -> Failure {
    let attempt = || -> Result<std::convert::Infallible> {
        let last = before(spec)?;
        join::cgroups(&spec.cgroup)?;
        let (place, null) = rootfs::enter(spec, None)?;
        stdio::connect(&place, stdio, terminal, Some(&null))?;
        rootfs::protect(spec, &place, &null)?;
        program::run(spec, &place, &spec.args, last, say)
    };
    match attempt() {
        Err(failure) => failure,
        Ok(never) => match never {},
    }
}

/// Becomes another program in the running container whose first process is `pid`, in the pod's user namespace if it
/// has one.
pub(crate) fn exec(
    spec: &Spec, pid: i32, users: Option<&File>, args: &[String], stdio: &Stdio, terminal: Option<&OwnedFd>,
) -> Failure {
    let attempt = || -> Result<std::convert::Infallible> {
        let last = before(spec)?;
        if users.is_some() {
            stdio::hand_over(stdio, mapped::range(spec)?)?;
        }
        join::container(spec, pid, users)?;
        let place = Place::here()?;
        stdio::connect(&place, stdio, terminal, None)?;
        let mut spec = spec.clone();
        if terminal.is_some() {
            program::on_terminal(&mut spec.env);
        }
        program::run(&spec, &place, args, last, drop)
    };
    match attempt() {
        Err(failure) => failure,
        Ok(never) => match never {},
    }
}

/// What needs the host's files, which are out of reach later. In the container no file of `/proc` is written.
fn before(spec: &Spec) -> Result<Last> {
    // The container's processes must not look into this one while it is still ours; exec lifts this.
    nix::sys::prctl::set_dumpable(false).map_err(|e| Failure::system("set not dumpable", e))?;
    proc::set_oom_score_adj(spec.oom_score_adj)?;
    if let Some(profile) = &spec.app_armor {
        let fail = |e| Failure::system(format_args!("apply apparmor profile {profile}"), e);
        apparmor::on_exec(profile).map_err(fail)?;
    }
    Last::take(spec)
}
