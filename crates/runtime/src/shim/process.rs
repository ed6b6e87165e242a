//! Forking the programs of containers and execs.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid, write};

use super::wire::{Failure, PidNamespace, Report, Spec};
use super::{VERSION, socket};
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
    Another { pid: Pid, args: &'a [String], users: Option<&'a File> },
}

impl Program<'_> {
    /// The user namespace that it is to enter.
    fn users(&self) -> Option<&File> {
        match self {
            Self::Another { users, .. } => *users,
            Self::First => None,
        }
    }
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

    /// The one that exists already.
    pub(super) fn existing(&self) -> Option<&'a File> {
        match self {
            Self::Existing(namespace) => Some(namespace),
            Self::New | Self::Inherited => None,
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

/// The way of a new terminal from the process that makes it to the shim.
pub(super) struct Terminal {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Terminal {
    /// When there is to be one.
    pub(super) fn wanted(stdio: &Stdio) -> Result<Option<Self>> {
        let Stdio::Terminal = stdio else { return Ok(None) };
        let (ours, theirs) = socket::pair().map_err(|e| Failure::system("start a process", e))?;
        Ok(Some(Self { ours, theirs }))
    }

    /// The end that the terminal is sent to.
    pub(super) fn end(&self) -> &OwnedFd {
        &self.theirs
    }

    /// What has been sent.
    pub(super) fn receive(self) -> Result<Option<OwnedFd>> {
        drop(self.theirs);
        let (_, fds) = socket::receive(&self.ours).map_err(|e| Failure::system("receive the terminal", e))?;
        Ok(fds.into_iter().next())
    }
}

/// Starts a program of the container in `dir`, and returns once it has been executed.
pub(super) fn spawn(dir: &Path, program: Program<'_>, namespace: &PidSource<'_>, stdio: Stdio) -> Result<Spawned> {
    let fail = |e: Errno| Failure::system("start a process", e);
    let (errors, report) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    let terminal = Terminal::wanted(&stdio)?;
    let own = own_pid_namespace()?;
    match namespace {
        PidSource::New => unshare(CloneFlags::CLONE_NEWPID).map_err(fail)?,
        PidSource::Existing(file) => enter_pid_namespace(file)?,
        PidSource::Inherited => {}
    }
    // SAFETY: this process has one thread.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        let mut keep = vec![report.as_raw_fd()];
        keep.extend(terminal.iter().map(|terminal| terminal.theirs.as_raw_fd()));
        keep.extend(program.users().map(AsRawFd::as_raw_fd));
        keep_only(&stdio, keep);
        let failure = child(dir, &program, &stdio, terminal.as_ref().map(Terminal::end), &report);
        let code = tell(&report, failure);
        // SAFETY: leaves without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    enter_pid_namespace(&own)?;
    let ForkResult::Parent { child } = forked.map_err(fail)? else { unreachable!("the child does not come here") };
    drop((report, stdio));
    let user = told(errors).inspect_err(|_| {
        let _ = waitpid(child, None);
    })?;
    Ok(Spawned { pid: child, terminal: terminal.map(Terminal::receive).transpose()?.flatten(), user })
}

/// Runs `work` in a child, which leaves another child of this process behind ([`crate::users::fork_beside`]) and
/// announces it on the given descriptor. The id of that one, if it did. `work` returns an exit code.
pub(super) fn leave_behind(work: impl FnOnce(&OwnedFd) -> i32) -> Result<Option<Pid>> {
    let fail = |e: Errno| Failure::system("start a process", e);
    let (numbers, number) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    // SAFETY: this process has one thread.
    let ForkResult::Parent { child } = (unsafe { fork() }).map_err(fail)? else {
        let code = work(&number);
        // SAFETY: leaves without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    };
    drop(number);
    let mut bytes = [0; size_of::<i32>()];
    let told = File::from(numbers).read_exact(&mut bytes);
    let _ = waitpid(child, None);
    Ok(told.is_ok().then(|| Pid::from_raw(i32::from_ne_bytes(bytes))))
}

/// See [`leave_behind`]; returns the exit code of who has announced.
pub(super) fn announce(number: &OwnedFd, pid: Pid) -> i32 {
    i32::from(write(number, &pid.as_raw().to_ne_bytes()).is_err())
}

/// What a child has said until it became the program, which closes the report: who it is, or why it could not.
pub(super) fn told(errors: OwnedFd) -> Result<Option<User>> {
    let mut text = Vec::new();
    File::from(errors).read_to_end(&mut text).map_err(|e| Failure::system("start a process", e))?;
    let mut user = None;
    for report in serde_json::Deserializer::from_slice(&text).into_iter() {
        match report {
            Ok(Report::User(found)) => user = Some(found),
            Ok(Report::Failed(failure)) => return Err(failure),
            Err(e) => return Err(Failure::system("start a process", e)),
        }
    }
    Ok(user)
}

/// Closes what the shim has open: sockets, logs, other containers' pipes. Nothing of it is there when the child first
/// looks at a path that the container controls.
pub(super) fn keep_only(stdio: &Stdio, mut keep: Vec<RawFd>) {
    keep.extend([0, 1, 2]);
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

fn child(
    dir: &Path, program: &Program<'_>, stdio: &Stdio, terminal: Option<&OwnedFd>, report: &OwnedFd,
) -> Failure {
    // It was forked into no session of its own; a terminal needs one.
    let _ = setsid();
    match (read_spec(dir), program) {
        (Err(failure), _) => failure,
        (Ok(spec), Program::First) => container::start(&spec, stdio, terminal, |user| say(report, &Report::User(user))),
        (Ok(spec), Program::Another { pid, args, users }) => {
            container::exec(&spec, pid.as_raw(), *users, args, stdio, terminal)
        }
    }
}

/// The spec of the container in `dir`.
pub(super) fn read_spec(dir: &Path) -> Result<Spec> {
    match disk::read_record::<Spec>(&dir.join("spec.json"), VERSION) {
        Ok(Some(spec)) => Ok(spec),
        Ok(None) => Err(Failure::system(dir.display(), "no spec.json")),
        Err(e) => Err(Failure::system(dir.display(), e)),
    }
}

/// Reports a failure; returns the exit code of who has failed.
pub(super) fn tell(pipe: &OwnedFd, failure: Failure) -> i32 {
    say(pipe, &Report::Failed(failure));
    1
}

/// Reports.
pub(super) fn say(pipe: &OwnedFd, report: &Report) {
    let text = serde_json::to_vec(report).unwrap_or_default();
    // When the shim is gone, nobody is left to tell. A pipe has room for all of it.
    let _ = write(pipe, &text);
}

/// `/dev/null`, for a stream that goes nowhere.
pub(super) fn null() -> Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/null");
    file.map(OwnedFd::from).map_err(|e| Failure::system("/dev/null", e))
}
