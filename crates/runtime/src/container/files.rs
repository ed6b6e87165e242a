//! Making the places that mounts go to. Runs inside the new root, so that links cannot lead out of it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::Result;
use crate::shim::wire::Failure;

/// Makes sure that `target` is a directory or a file, as its source is.
pub(super) fn place(target: &Path, directory: bool) -> Result<()> {
    let make = || -> io::Result<()> {
        if directory {
            return fs::create_dir_all(target);
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        match OpenOptions::new().write(true).create_new(true).open(target) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    };
    make().map_err(|e| Failure::system(format_args!("make mount point {}", target.display()), e))
}
