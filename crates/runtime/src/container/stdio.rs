//! Standard streams of the program.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, unlockpt};
use nix::unistd::Uid;

use super::{Result, mount};
use crate::shim::socket;
use crate::shim::wire::Failure;

/// Where the three streams come from.
pub(crate) enum Stdio {
    /// Standard input (none: `/dev/null`), output, error.
    Pipes(Option<OwnedFd>, OwnedFd, OwnedFd),
    /// A terminal of the container, made here.
    Terminal,
}

/// Connects descriptors 0, 1 and 2; hands the master of a new terminal over the socket `report`.
pub(super) fn connect(stdio: Stdio, report: Option<&OwnedFd>, console: bool) -> Result<()> {
    match stdio {
        Stdio::Pipes(input, output, error) => {
            let input = match input {
                Some(fd) => fd,
                None => open("/dev/null")?,
            };
            duplicate([&input, &output, &error])
        }
        Stdio::Terminal => {
            let terminal = terminal(report, console)?;
            duplicate([&terminal, &terminal, &terminal])
        }
    }
}

/// Gives the streams to the user, so that `/dev/stdout` can be opened; a device such as `/dev/null` stays whose it is.
pub(super) fn give(uid: u32) -> Result<()> {
    for fd in [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()] {
        let stat = nix::sys::stat::fstat(fd).map_err(|e| Failure::system("look at the standard streams", e))?;
        let null = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && libc::major(stat.st_rdev) == 1;
        if stat.st_uid != uid && !null {
            nix::unistd::fchown(fd, Some(Uid::from_raw(uid)), None)
                .map_err(|e| Failure::system("give the standard streams to the user", e))?;
        }
    }
    Ok(())
}

fn terminal(report: Option<&OwnedFd>, console: bool) -> Result<OwnedFd> {
    let fail = |e: nix::Error| Failure::system("open a terminal", e);
    // Inside the container, so that its name there is right. `/dev/ptmx` is a link to the container's own devpts.
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).map_err(fail)?;
    grantpt(&master).map_err(fail)?;
    unlockpt(&master).map_err(fail)?;
    let name = nix::pty::ptsname_r(&master).map_err(fail)?;
    let slave = open(&name)?;
    if console {
        let shown =
            mount::clone_tree(Path::new(&name)).and_then(|tree| mount::attach_tree(&tree, Path::new("/dev/console")));
        shown.map_err(|e| Failure::system("mount /dev/console", e))?;
    }
    // SAFETY: the request takes a plain number; this process leads a session that has no terminal yet.
    let controlled = unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY as _, 0) };
    nix::errno::Errno::result(controlled).map_err(fail)?;
    if let Some(socket) = report {
        socket::send(socket, b"t", &[master.as_raw_fd()]).map_err(|e| Failure::system("hand over the terminal", e))?;
    }
    Ok(slave)
}

fn open(path: &str) -> Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
    file.map(OwnedFd::from).map_err(|e| Failure::system(path, e))
}

fn duplicate(streams: [&OwnedFd; 3]) -> Result<()> {
    for (number, stream) in streams.into_iter().enumerate() {
        // SAFETY: replaces one of our own three standard descriptors; nothing in Rust owns them here.
        let done = unsafe { libc::dup2(stream.as_raw_fd(), number as i32) };
        nix::errno::Errno::result(done).map_err(|e| Failure::system("connect the standard streams", e))?;
    }
    Ok(())
}
