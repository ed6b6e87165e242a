//! Pipes and terminals as async streams.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

/// One direction or both of a pipe or a terminal. Clones share the descriptor; the last one closes it.
#[derive(Clone)]
pub(super) struct Stream(Arc<AsyncFd<OwnedFd>>);

impl Stream {
    /// Takes over a descriptor.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        // SAFETY: an owned descriptor stays open and the same as long as it is registered.
        Ok(Self(Arc::new(unsafe { AsyncFd::register(fd)? })))
    }

    /// A channel whose sizes (columns, rows) the terminal takes on. The task ends with its sender.
    pub(super) fn resizer(&self) -> mpsc::Sender<(u16, u16)> {
        let (sender, mut receiver) = mpsc::channel::<(u16, u16)>(4);
        let fd = self.clone();
        tokio::spawn(async move {
            while let Some((columns, rows)) = receiver.recv().await {
                let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
                // SAFETY: the structure is whole and outlives the call. A terminal that is gone needs no size.
                unsafe { libc::ioctl(fd.0.as_raw_fd(), libc::TIOCSWINSZ as _, &size) };
            }
        });
        sender
    }
}

/// A channel for what has no terminal: sizes are taken and forgotten.
pub(super) fn no_terminal() -> mpsc::Sender<(u16, u16)> {
    let (sender, mut receiver) = mpsc::channel(4);
    tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    sender
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let unfilled = buffer.initialize_unfilled();
            match guard.try_io(|fd| Ok(nix::unistd::read(fd.get_ref(), unfilled)?)) {
                Ok(Ok(length)) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                // The last user of the terminal has gone: its end.
                Ok(Err(e)) if e.raw_os_error() == Some(Errno::EIO as i32) => return Poll::Ready(Ok(())),
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(e)) => return Poll::Ready(Err(e)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(nix::unistd::write(fd.get_ref(), bytes)?)) {
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
