//! Sending batches to the kernel.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::wire::Batch;

/// Room for a batch of thousands of services.
const BUFFER: usize = 64 << 20;

/// Sends a batch; the kernel takes all of it or nothing. Blocks for as long as the kernel works.
pub(super) fn send(batch: Batch) -> io::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    set_send_buffer(&socket)?;
    let bytes = batch.finish();
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
    // The kernel has worked off the batch when the send returns: all answers are there.
    let mut taken = false;
    let mut answer = Vec::with_capacity(64 << 10);
    loop {
        answer.clear();
        match socket.recv(&mut answer, libc::MSG_DONTWAIT) {
            Ok(_) => taken |= read_errors(&answer)?,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    if taken { Ok(()) } else { Err(io::Error::other("the kernel did not answer")) }
}

fn set_send_buffer(socket: &Socket) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let size = BUFFER as libc::c_int;
    // SAFETY: the option takes an int by pointer, which lives through the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            std::ptr::from_ref(&size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads `NLMSG_ERROR` messages; says whether one of them is an acknowledgement.
fn read_errors(mut bytes: &[u8]) -> io::Result<bool> {
    let mut acknowledged = false;
    while let Some(header) = bytes.get(..20) {
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let length = u32::from_ne_bytes(word(0)) as usize;
        let is_error = u16::from_ne_bytes([header[4], header[5]]) == 2;
        if is_error {
            match i32::from_ne_bytes(word(16)) {
                0 => acknowledged = true,
                code => return Err(io::Error::from_raw_os_error(-code)),
            }
        }
        bytes = bytes.get(length.next_multiple_of(4).max(20)..).unwrap_or_default();
    }
    Ok(acknowledged)
}
