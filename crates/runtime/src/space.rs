//! The room of a file system.

use std::io;
use std::path::Path;

use nix::sys::stat::stat;
use nix::sys::statvfs::statvfs;

/// How much there is of a file system, and how much of it is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub capacity: u64,
    /// Bytes that may still be taken.
    pub available: u64,
    /// Bytes that are taken.
    pub used: u64,
    /// As many files as it can have; 0 where it sets no bound.
    pub files: u64,
    /// As many more.
    pub files_free: u64,
    /// The number of its device: what has the same shares the room.
    pub device: u64,
}

impl Space {
    /// That of the file system that a path is on, or will be when it is made.
    pub fn of(path: &Path) -> io::Result<Self> {
        let there = path.ancestors().find(|part| part.exists()).unwrap_or(path);
        let (found, file) = (statvfs(there)?, stat(there)?);
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        Ok(Space {
            capacity: bytes(found.blocks()),
            available: bytes(found.blocks_available()),
            used: bytes(found.blocks().saturating_sub(found.blocks_free())),
            files: found.files(),
            files_free: found.files_available(),
            device: file.st_dev,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_room_and_files() {
        let space = Space::of(Path::new("/proc/self/exe")).expect("readable");
        assert!(space.capacity > 0 && space.used + space.available <= space.capacity, "{space:?}");
        assert_eq!(Space::of(Path::new("/proc/nonexistent/file")).expect("readable").device, Space::of(Path::new("/proc")).expect("readable").device);
    }
}
