//! Forking the programs of containers and execs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid};

use super::socket;
use super::wire::{Failure, PidNamespace, Report, Spec};
use crate::container::{self, Stdio};
use crate::{User, disk};

type Result<T> = std::result::Result<T, Failure>;

/// A program that runs.
pub(super) struct Spawned {
    /// In our pid namespace.
    pub pid: Pid,
    /// Master of its terminal.
    pub terminal: Option<OwnedFd>,
    /// Who it is.
    pub user: Option<User>,
}

/// What to run.
pub(super) enum Program<'a> {
    /// The first program of a container.
    First,
    /// Another one, beside the first process.
    Another { pid: Pid, args: &'a [String] },
}

/// Where the new process gets its pid namespace from.
pub(super) enum PidSource<'a> {
    /// See [`PidNamespace`].
    New,
    Inherited,
    Existing(&'a File),
}

impl<'a> PidSource<'a> {
    /// For the first process of a container.
    pub(super) fn first(kind: PidNamespace, pod: Option<&'a File>) -> Self {
        match (kind, pod) {
            (PidNamespace::Own, _) => Self::New,
            (PidNamespace::Pod, Some(namespace)) => Self::Existing(namespace),
            (PidNamespace::Pod, None) | (PidNamespace::Host, _) => Self::Inherited,
        }
    }
}

/// The pid namespace of this process, to come back to.
pub(super) fn own_pid_namespace() -> Result<File> {
    File::open("/proc/self/ns/pid").map_err(|e| Failure::system("/proc/self/ns/pid", e))
}

/// Chooses the pid namespace of children.
pub(super) fn enter_pid_namespace(namespace: &File) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWPID).map_err(|e| Failure::system("enter pid namespace", e))
}

/// Starts a program of the container in `dir`, and returns once it has been executed.
pub(super) fn spawn(dir: &Path, program: Program<'_>, namespace: &PidSource<'_>, stdio: Stdio) -> Result<Spawned> {
    let fail = |e: Errno| Failure::system("start a process", e);
    let (errors, report) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    let terminal = match stdio {
        Stdio::Terminal => {
            let flags = SockFlag::SOCK_CLOEXEC;
            Some(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).map_err(fail)?)
        }
        Stdio::Pipes(..) => None,
    };
    let own = own_pid_namespace()?;
    match namespace {
        PidSource::New => unshare(CloneFlags::CLONE_NEWPID).map_err(fail)?,
        PidSource::Existing(file) => enter_pid_namespace(file)?,
        PidSource::Inherited => {}
    }
    // SAFETY: this process has one thread.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        let terminal = terminal.map(|pair| pair.1);
        keep_only(&stdio, &terminal, &report);
        let failure = child(dir, &program, stdio, terminal.as_ref(), &report);
        tell(&report, &Report::Failed(failure));
        // SAFETY: leaves without running what belongs to the parent.
        unsafe { libc::_exit(1) };
    }
    enter_pid_namespace(&own)?;
    let ForkResult::Parent { child } = forked.map_err(fail)? else { unreachable!("the child does not come here") };
    drop((report, stdio));
    let mut text = Vec::new();
    File::from(errors).read_to_end(&mut text).map_err(|e| Failure::system("start a process", e))?;
    let user = match heard(&text) {
        Ok(user) => user,
        Err(failure) => {
            let _ = waitpid(child, None);
            return Err(failure);
        }
    };
    let terminal = match terminal {
        Some((ours, theirs)) => {
            drop(theirs);
            let (_, fds) = socket::receive(&ours).map_err(|e| Failure::system("receive the terminal", e))?;
            fds.into_iter().next()
        }
        None => None,
    };
    Ok(Spawned { pid: child, terminal, user })
}

/// Closes what the shim has open: sockets, logs, other containers' pipes. Nothing of it is there when the child first
/// looks at a path that the container controls.
fn keep_only(stdio: &Stdio, terminal: &Option<OwnedFd>, report: &OwnedFd) {
    let mut keep = vec![0, 1, 2, report.as_raw_fd()];
    keep.extend(terminal.iter().map(AsRawFd::as_raw_fd));
    if let Stdio::Pipes(input, output, error) = stdio {
        keep.extend(input.iter().chain([output, error]).map(AsRawFd::as_raw_fd));
    }
    close_all_but(&mut keep);
}

/// Closes all descriptors but these. For a child that returns to nobody: their owners do not know.
pub(super) fn close_all_but(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut from: libc::c_uint = 0;
    let close = |from: libc::c_uint, to: libc::c_uint| {
        if from <= to {
            // SAFETY: touches no memory; what owns these descriptors in this copy of the shim is never used again.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
    };
    for fd in keep.iter().filter_map(|fd| libc::c_uint::try_from(*fd).ok()) {
        if fd > from {
            close(from, fd - 1);
        }
        from = from.max(fd + 1);
    }
    close(from, libc::c_uint::MAX);
}

/// What the child said until it became the program.
fn heard(text: &[u8]) -> Result<Option<User>> {
    let mut user = None;
    for report in serde_json::Deserializer::from_slice(text).into_iter() {
        match report {
            Ok(Report::User(found)) => user = Some(found),
            Ok(Report::Failed(failure)) => return Err(failure),
            Err(e) => return Err(Failure::system("start a process", e)),
        }
    }
    Ok(user)
}

fn child(
    dir: &Path,
    program: &Program<'_>,
    stdio: Stdio,
    terminal: Option<&OwnedFd>,
    report: &OwnedFd,
) -> Failure {
    // It was forked into no session of its own; a terminal needs one.
    let _ = setsid();
    let spec = match disk::read_json::<Spec>(&dir.join("spec.json")) {
        Ok(Some(spec)) => spec,
        Ok(None) => return Failure::system(dir.display(), "no spec.json"),
        Err(e) => return Failure::system(dir.display(), e),
    };
    match program {
        Program::First => container::start(&spec, stdio, terminal, |user| tell(report, &Report::User(user))),
        Program::Another { pid, args } => container::exec(&spec, pid.as_raw(), args, stdio, terminal),
    }
}

fn tell(pipe: &OwnedFd, report: &Report) {
    let text = serde_json::to_vec(report).unwrap_or_default();
    // When the shim is gone, nobody is left to tell.
    let _ = pipe.try_clone().and_then(|copy| File::from(copy).write_all(&text));
}

/// `/dev/null`, for a stream that goes nowhere.
pub(super) fn null() -> Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/null");
    file.map(OwnedFd::from).map_err(|e| Failure::system("/dev/null", e))
}
