//! Standard streams of the program.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown};

use super::Result;
use super::place::Place;
use crate::mount;
use crate::root::Kind;
use crate::shim::socket;
use crate::shim::wire::Failure;
use crate::users::IdRange;

/// Where the three streams come from.
pub(crate) enum Stdio {
    /// Standard input (none: the container's `/dev/null`), output, error.
    Pipes(Option<OwnedFd>, OwnedFd, OwnedFd),
    /// A terminal of the container, made here.
    Terminal,
}

/// Connects descriptors 0, 1 and 2; hands the master of a new terminal over the socket `report`. With `null`, the
/// container's own, this is the start of the container, whose terminal is also its console.
pub(super) fn connect(
    place: &Place, stdio: &Stdio, report: Option<&OwnedFd>, null: Option<&OwnedFd>,
) -> Result<()> {
    match (stdio, null) {
        (Stdio::Pipes(Some(input), output, error), _) => duplicate([input, output, error]),
        // The container's node and not the host's: its mode and owner are the container's to change.
        (Stdio::Pipes(None, output, error), Some(null)) => duplicate([null, output, error]),
        (Stdio::Pipes(None, output, error), None) => {
            duplicate([&place.device(Path::new("dev/null"), 1, 3)?, output, error])
        }
        (Stdio::Terminal, null) => {
            let terminal = terminal(place, report, null.is_some())?;
            duplicate([&terminal, &terminal, &terminal])
        }
    }
}

/// Makes the pipes the pod's root's, who can give them on: from inside the user namespace the node's cannot be given.
pub(super) fn hand_over(stdio: &Stdio, range: IdRange) -> Result<()> {
    let Stdio::Pipes(input, output, error) = stdio else { return Ok(()) };
    let change = |fd: &OwnedFd| -> nix::Result<()> {
        let pipe = fstat(fd)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFIFO.bits();
        let (user, group) = (Uid::from_raw(range.first), Gid::from_raw(range.first));
        if pipe { fchown(fd, Some(user), Some(group)) } else { Ok(()) }
    };
    let mut all = input.iter().chain([output, error]);
    all.try_for_each(change).map_err(|e| Failure::system("give the standard streams to the pod", e))
}

/// Gives the streams to the user, so that `/dev/stdout` can be opened; a device such as `/dev/null` stays whose it is.
pub(super) fn give(uid: u32) -> Result<()> {
    for fd in [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()] {
        let stat = fstat(fd).map_err(|e| Failure::system("look at the standard streams", e))?;
        let null = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && libc::major(stat.st_rdev) == 1;
        if stat.st_uid != uid && !null {
            fchown(fd, Some(Uid::from_raw(uid)), None)
                .map_err(|e| Failure::system("give the standard streams to the user", e))?;
        }
    }
    Ok(())
}

/// A terminal in the container's devpts. Both ends are had from the devpts itself, never by a name in `/dev`.
fn terminal(place: &Place, report: Option<&OwnedFd>, console: bool) -> Result<OwnedFd> {
    let fail = |e: Errno| Failure::system("open a terminal", e);
    let master = place.multiplexer()?;
    let unlock: libc::c_int = 0;
    // SAFETY: the request reads one number that outlives the call.
    let unlocked = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK as _, &raw const unlock) };
    Errno::result(unlocked).map_err(fail)?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the request takes plain flags and returns a new descriptor.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER as _, flags) };
    // SAFETY: the kernel has just made this descriptor for us.
    let slave = unsafe { OwnedFd::from_raw_fd(Errno::result(slave).map_err(fail)?) };
    if console {
        let shown = mount::clone_of(&slave).map_err(|e| Failure::system("mount /dev/console", e))?;
        place.mount(&shown, Path::new("/dev/console"), Kind::File)?;
    }
    // SAFETY: the request takes a plain number; this process leads a session that has no terminal yet.
    let controlled = unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY as _, 0) };
    Errno::result(controlled).map_err(fail)?;
    if let Some(socket) = report {
        socket::send(socket, b"t", &[master.as_raw_fd()]).map_err(|e| Failure::system("hand over the terminal", e))?;
    }
    Ok(slave)
}

fn duplicate(streams: [&OwnedFd; 3]) -> Result<()> {
    for (number, stream) in streams.into_iter().enumerate() {
        // SAFETY: replaces one of our own three standard descriptors; nothing in Rust owns them here.
        let done = unsafe { libc::dup2(stream.as_raw_fd(), number as i32) };
        Errno::result(done).map_err(|e| Failure::system("connect the standard streams", e))?;
    }
    Ok(())
}
