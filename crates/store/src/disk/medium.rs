//! What the engine asks of a disk, and the disk that is a directory. Tests put another one in its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A flat directory of files. What is not synced may be gone after a power cut.
pub trait Medium: Send + Sync + 'static {
    /// How errors name it.
    fn place(&self) -> String;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// All bytes of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes an empty file, or empties the one that is there.
    fn create(&self, name: &str) -> io::Result<Box<dyn Blob>>;
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Box<dyn Blob>>;
    /// Gives a file another name, in the place of whatever had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes all that was created, renamed and removed durable.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait Blob: Send {
    /// Writes all bytes at an offset. After an error any part of them may be there.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file to a length, or lengthens it with zeros.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
    /// Makes contents and length durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the operating system.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// The directory at this path, which exists.
    pub(super) fn at(path: &Path) -> Self {
        Directory(path.to_owned())
    }
}

/// Everything in the store is for the program alone: Secrets lie in it as they are.
const MODE: u32 = 0o600;

impl Medium for Directory {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.0)?.map(|item| Ok(item?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(MODE).open(self.0.join(name))?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        Ok(Box::new(OpenOptions::new().write(true).open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl Blob for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
