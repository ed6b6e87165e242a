//! Those connected to the shim.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::socket;
use super::wire::Reply;

/// A connection.
pub(super) struct Peer {
    /// Its socket.
    pub socket: OwnedFd,
    /// What it is for.
    pub role: Role,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Asks.
    Client,
    /// Wants to know about exits.
    Watcher,
    /// Waits for the end of this exec.
    Exec(Pid),
    /// Waits for the end of the shim.
    Stopper,
    /// Is gone.
    Gone,
}

impl Peer {
    /// Answers; who does not listen is gone.
    pub(super) fn tell(&mut self, reply: &Reply) {
        self.tell_with(reply, None);
    }

    /// Answers with a descriptor.
    pub(super) fn tell_with(&mut self, reply: &Reply, fd: Option<i32>) {
        let mut text = serde_json::to_vec(reply).unwrap_or_default();
        if text.len() > socket::MAX_MESSAGE {
            let cut = Reply::Failed(super::wire::Failure::Start("the answer is too long".into()));
            text = serde_json::to_vec(&cut).unwrap_or_default();
        }
        let fds: Vec<i32> = fd.into_iter().collect();
        if socket::send(&self.socket, &text, &fds).is_err() {
            self.role = Role::Gone;
        }
    }
}
