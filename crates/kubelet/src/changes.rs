//! Changes of files, as the kernel tells of them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What is told from the moment on that this is made.
pub struct Changes(AsyncFd<Told>);

struct Told(Inotify);

impl AsRawFd for Told {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Changes {
    /// Of one file or directory.
    pub fn of(path: &Path, flags: AddWatchFlags) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(path, flags)?;
        // SAFETY: the descriptor belongs to the value that is registered with it, and never changes.
        let told = unsafe { AsyncFd::register_with_interest(Told(inotify), Interest::READABLE) };
        Ok(Changes(told.map_err(io::Error::from)?))
    }

    /// Waits for some; all that are there by then come together.
    pub async fn next(&self) -> io::Result<Vec<InotifyEvent>> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut all = Vec::new();
            loop {
                match self.0.get_ref().0.read_events() {
                    Ok(some) if !some.is_empty() => all.extend(some),
                    Ok(_) | Err(Errno::EAGAIN) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            ready.clear_ready();
            if !all.is_empty() {
                return Ok(all);
            }
        }
    }
}
