//! A connection to a shim.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::shim::wire::{Failure, Reply, Request, UNREAD};
use crate::shim::{SOCKET, longer, socket};
use crate::{Error, Result};

/// See the module.
pub(super) struct Connection(AsyncFd<OwnedFd>);

impl Connection {
    /// Connects to the shim in `dir`. Not found: there is none. Any other error says nothing about it: it may live.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let connect = || -> io::Result<Self> {
            let fd = socket::connect_to(&dir.join(SOCKET))?;
            // SAFETY: an owned descriptor stays open and the same as long as it is registered.
            Ok(Self(unsafe { AsyncFd::register(fd)? }))
        };
        connect().map_err(|e| {
            let text = format!("the pod's process ({}: {e})", dir.display());
            match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotFound(text),
                _ => Error::System(text),
            }
        })
    }

    /// Asks, and waits for the answer; a refusal becomes an error.
    pub(super) async fn call(&self, request: &Request, fds: &[RawFd]) -> Result<(Reply, Vec<OwnedFd>)> {
        let encoded = |request: &Request| {
            serde_json::to_vec(request).map_err(|e| Error::System(format!("encode a request: {e}")))
        };
        let fail = |e: io::Error| Error::System(format!("ask the pod's process: {e}"));
        let (mut text, mut fds, mut file) = (encoded(request)?, fds.to_vec(), None);
        if text.len() > socket::MAX_MESSAGE {
            let held: OwnedFd = longer::write(&text).map_err(fail)?;
            text = encoded(&Request::Longer)?;
            fds.push(held.as_raw_fd());
            file = Some(held);
        }
        self.0.async_io(Interest::WRITABLE, |fd| socket::send(fd, &text, &fds)).await.map_err(fail)?;
        match self.receive().await? {
            (Reply::Failed(Failure::Start(message)), _) if file.is_some() && message.starts_with(UNREAD) => {
                Err(Error::Start("the command is too long for the pod's process, which is of an earlier version".into()))
            }
            (Reply::Failed(Failure::Config(message)), _) => Err(Error::Config(message)),
            (Reply::Failed(Failure::Start(message)), _) => Err(Error::Start(message)),
            (Reply::Failed(Failure::NoSandbox(message)), _) => Err(Error::NoSandbox(message)),
            (Reply::Failed(Failure::NotFound(message)), _) => Err(Error::NotFound(message)),
            answer => Ok(answer),
        }
    }

    /// Waits for a message.
    pub(super) async fn receive(&self) -> Result<(Reply, Vec<OwnedFd>)> {
        let fail = |e: &dyn std::fmt::Display| Error::System(format!("hear from the pod's process: {e}"));
        let (text, fds) = self.0.async_io(Interest::READABLE, socket::receive).await.map_err(|e| fail(&e))?;
        if text.is_empty() {
            return Err(fail(&"it has ended"));
        }
        Ok((serde_json::from_slice(&text).map_err(|e| fail(&e))?, fds))
    }
}

/// Raw numbers of descriptors, for a message.
pub(super) fn raw(fds: &[OwnedFd]) -> Vec<RawFd> {
    fds.iter().map(AsRawFd::as_raw_fd).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::accept;
    use std::os::fd::{AsFd, FromRawFd};

    /// Answers one request as a shim that knows none, or as one that is done.
    fn shim(dir: &Path, reply: Reply) -> std::thread::JoinHandle<(Vec<u8>, usize)> {
        let listener = socket::listen_at(&dir.join(SOCKET)).unwrap();
        std::thread::spawn(move || {
            poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            // SAFETY: the descriptor has just been made for us.
            let peer = unsafe { OwnedFd::from_raw_fd(accept(listener.as_raw_fd()).unwrap()) };
            let (message, fds) = socket::receive(&peer).unwrap();
            socket::send(&peer, &serde_json::to_vec(&reply).unwrap(), &[]).unwrap();
            (message, fds.len())
        })
    }

    #[tokio::test]
    async fn what_is_too_long_goes_beside_the_message_and_an_older_shim_refuses_it() {
        let exec = |word: usize| Request::Exec { id: "i".into(), command: vec!["x".repeat(word)], tty: true };
        let unread = Reply::Failed(Failure::Start(format!("{UNREAD}: unknown variant `Longer`")));
        for (request, reply, refused, sent) in [
            (exec(10), Reply::Done, None, 0),
            (exec(100_000), Reply::Done, None, 1),
            (exec(100_000), unread, Some("the command is too long for the pod's process, which is of an earlier version"), 1),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let shim = shim(dir.path(), reply);
            let answer = Connection::open(dir.path()).unwrap().call(&request, &[]).await;
            assert_eq!(answer.err().map(|e| e.to_string()).as_deref(), refused);
            let (message, fds) = shim.join().unwrap();
            assert_eq!(fds, sent);
            assert_eq!(message == br#""Longer""#, sent == 1);
        }
    }
}
