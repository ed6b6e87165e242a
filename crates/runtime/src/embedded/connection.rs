//! A connection to a shim.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::shim::wire::{Failure, Reply, Request};
use crate::shim::{SOCKET, socket};
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
        let text = serde_json::to_vec(request).map_err(|e| Error::System(format!("encode a request: {e}")))?;
        if text.len() > socket::MAX_MESSAGE {
            return Err(Error::Start("the command is too long".into()));
        }
        let sent = self.0.async_io(Interest::WRITABLE, |fd| socket::send(fd, &text, fds)).await;
        sent.map_err(|e| Error::System(format!("ask the pod's process: {e}")))?;
        match self.receive().await? {
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
