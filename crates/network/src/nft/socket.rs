//! Sending batches to the kernel.

use std::io;
use std::os::fd::AsRawFd;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::wire::Batch;

/// Room for a batch of tens of thousands of services.
const SEND: libc::c_int = 256 << 20;
/// Room for the answers to a batch of which much is refused.
const RECEIVE: libc::c_int = 8 << 20;

/// Why the kernel did not take a batch. It took nothing of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// These messages of it were refused, by their numbers.
    #[error("the kernel refused {} of the messages, the first because: {}", .0.len(), .0[0].1)]
    Refused(Vec<(u32, io::Error)>),
    /// It was not looked at, or nobody knows.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// The way to the kernel. One that met an error is not used again.
pub(super) struct Connection(Socket);

impl Connection {
    /// To the network namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE)?;
        // Errors need not repeat what was refused.
        set(&socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
        Ok(Connection(socket))
    }

    /// Sends a batch; the kernel takes all of it or nothing. Blocks for as long as the kernel works.
    pub(super) fn send(&self, batch: &mut Batch) -> Result<(), Error> {
        self.0.send_to(batch.finish(), &SocketAddr::new(0, 0), 0)?;
        // The kernel has worked off the batch when the send returns: all answers are there.
        let (mut taken, mut refused) = (false, Vec::new());
        let mut answer = Vec::with_capacity(64 << 10);
        loop {
            answer.clear();
            match self.0.recv(&mut answer, libc::MSG_DONTWAIT) {
                Ok(_) => taken |= read_errors(&answer, &mut refused),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                // More answers than there was room for.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(e) => return Err(e.into()),
            }
        }
        match (refused.is_empty(), taken) {
            (false, _) => Err(Error::Refused(refused)),
            (true, true) => Ok(()),
            (true, false) => Err(io::Error::other("the kernel did not answer").into()),
        }
    }
}

fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the option takes an int by pointer, which lives through the call.
    let set = unsafe {
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(&value).cast(), size)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads `NLMSG_ERROR` messages; says whether one of them is an acknowledgement.
fn read_errors(mut bytes: &[u8], refused: &mut Vec<(u32, io::Error)>) -> bool {
    let mut acknowledged = false;
    while let Some(header) = bytes.first_chunk::<20>() {
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let length = u32::from_ne_bytes(word(0)) as usize;
        let is_error = u16::from_ne_bytes([header[4], header[5]]) == 2;
        if is_error {
            match i32::from_ne_bytes(word(16)) {
                0 => acknowledged = true,
                code => refused.push((u32::from_ne_bytes(word(8)), io::Error::from_raw_os_error(code.wrapping_neg()))),
            }
        }
        bytes = bytes.get(length.next_multiple_of(4).max(20)..).unwrap_or_default();
    }
    acknowledged
}

/// Reads bytes as answers (for [`crate::fuzzed`]).
pub(crate) fn decode(data: &[u8]) {
    let mut refused = Vec::new();
    read_errors(data, &mut refused);
    assert!(refused.len() <= data.len() / 20 + 1, "at most one for each message");
}
