//! What happens between fork and exec in the process that becomes a container's program.
//!
//! Everything here runs in a single-threaded child of a single-threaded shim; failures travel back as a
//! [`Failure`](crate::shim::wire::Failure) over a pipe that exec closes.

mod credentials;
mod dev;
mod files;
mod join;
mod lookup;
mod mount;
mod proc;
mod program;
mod rootfs;
mod stdio;

use std::os::fd::OwnedFd;

use crate::shim::wire::{Failure, Spec};

pub(crate) use join::cgroups as join_cgroups;
pub(crate) use proc::set_oom_score_adj;
pub(crate) use stdio::Stdio;

type Result<T> = std::result::Result<T, Failure>;

/// Becomes the first program of a container; returns only when that fails.
pub(crate) fn start(spec: &Spec, stdio: Stdio, terminal: Option<&OwnedFd>) -> Failure {
    let attempt = || -> Result<std::convert::Infallible> {
        let filter = program::filter(spec)?;
        join::cgroups(&spec.cgroup)?;
        rootfs::enter(spec)?;
        proc::set_oom_score_adj(spec.oom_score_adj)?;
        stdio::connect(stdio, terminal, true)?;
        rootfs::protect(spec)?;
        program::run(spec, &spec.args, filter)
    };
    match attempt() {
        Err(failure) => failure,
        Ok(never) => match never {},
    }
}

/// Becomes another program in the running container whose first process is `pid`.
pub(crate) fn exec(spec: &Spec, pid: i32, args: &[String], stdio: Stdio, terminal: Option<&OwnedFd>) -> Failure {
    let attempt = || -> Result<std::convert::Infallible> {
        let filter = program::filter(spec)?;
        join::container(spec, pid)?;
        proc::set_oom_score_adj(spec.oom_score_adj)?;
        stdio::connect(stdio, terminal, false)?;
        program::run(spec, args, filter)
    };
    match attempt() {
        Err(failure) => failure,
        Ok(never) => match never {},
    }
}
