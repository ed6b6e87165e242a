//! Container logs in the CRI's format: where they lie, reading, following, rotating.
//!
//! A line is `<time> <stdout|stderr> <P|F> <text>`; P marks a part of a longer line.

pub mod follow;
pub mod line;
pub mod pieces;
pub mod places;
#[cfg(test)]
mod places_tests;
pub mod rotate;
pub mod tail;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a log or a termination message. A link in its place is an error (`ELOOP`): whoever may write there, by a
/// `hostPath` say, would have any file of the node read out by the kubelet.
pub fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_link_is_no_log() {
        let dir = tempfile::tempdir().expect("directory");
        let (log, link) = (dir.path().join("0.log"), dir.path().join("1.log"));
        std::fs::write(&log, "").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("linked");
        assert!(super::open(&log).is_ok());
        assert_eq!(super::open(&link).expect_err("a link").raw_os_error(), Some(libc::ELOOP));
    }
}
