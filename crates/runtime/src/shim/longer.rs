//! What does not fit into a message: it comes in a file without a name, whose descriptor goes with the message.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// The most that is read of it, bytes: more than any request's head has room for (see `listen`).
const MOST: u64 = 8 << 20;
const NAME: &CStr = c"ironclad-request";

/// A file with this text.
pub(crate) fn write(text: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text)?;
    file.rewind()?;
    Ok(file.into())
}

/// The text of such a file.
pub(super) fn read(file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::from(file).take(MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let text = vec![b'x'; 3 << 20];
        assert_eq!(read(write(&text).unwrap()).unwrap(), text);
        let much = write(&vec![b'x'; MOST as usize + 1]).unwrap();
        assert_eq!(read(much).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
