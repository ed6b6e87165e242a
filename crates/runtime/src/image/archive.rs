//! The files of an image archive, by name: from a directory or a tar file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::stage::decompress;
use crate::{absolute, limits};

/// See the module.
pub(super) enum Archive {
    /// A directory.
    Directory(PathBuf),
    /// An uncompressed tar file, with the place of each file in it.
    Tar {
        /// Where.
        path: PathBuf,
        /// What.
        files: HashMap<PathBuf, Place>,
    },
}

/// A file in a tar file.
pub(super) enum Place {
    /// Offset and length.
    At(u64, u64),
    /// The content of another.
    Like(PathBuf),
}

impl Archive {
    /// Opens `path`; a compressed tar file is unpacked to a file in `tmp`.
    pub(super) fn open(path: &Path, tmp: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Ok(Self::Directory(path.to_path_buf()));
        }
        let mut magic = [0; 4];
        let length = File::open(path)?.take(4).read(&mut magic)?;
        let compressed = length == 4 && (magic[..2] == [0x1f, 0x8b] || magic == [0x28, 0xb5, 0x2f, 0xfd]);
        let path = if compressed {
            let plain = tmp.join("archive.tar");
            io::copy(&mut decompress(File::open(path)?)?, &mut File::create(&plain)?)?;
            plain
        } else {
            path.to_path_buf()
        };
        let mut files = HashMap::new();
        let mut archive = tar::Archive::new(File::open(&path)?);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = normal(&entry.path()?);
            let place = match (entry.header().entry_type(), entry.link_name()?) {
                (tar::EntryType::Symlink, Some(to)) => {
                    Place::Like(normal(&name.parent().unwrap_or(Path::new("")).join(to)))
                }
                (tar::EntryType::Link, Some(to)) => Place::Like(normal(&to)),
                (kind, _) if kind.is_file() => Place::At(entry.raw_file_position(), entry.size()),
                _ => continue,
            };
            files.insert(name, place);
        }
        Ok(Self::Tar { path, files })
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(dir) => dir.join(name).is_file(),
            Self::Tar { files, .. } => files.contains_key(&normal(Path::new(name))),
        }
    }

    /// A file as a stream.
    pub(super) fn stream(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the archive lacks {name}"));
        let mut at = normal(Path::new(name));
        match self {
            Self::Directory(dir) => Ok(Box::new(File::open(dir.join(&at)).map_err(|_| missing())?)),
            Self::Tar { path, files } => {
                // Links to links to links: a loop must end.
                for _ in 0..8 {
                    match files.get(&at).ok_or_else(missing)? {
                        Place::Like(other) => at.clone_from(other),
                        Place::At(offset, length) => {
                            let mut file = File::open(path)?;
                            file.seek(SeekFrom::Start(*offset))?;
                            return Ok(Box::new(file.take(*length)));
                        }
                    }
                }
                Err(missing())
            }
        }
    }

    /// A JSON document as bytes.
    pub(super) fn document(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.stream(name)?.take(limits::DOCUMENT + 1).read_to_end(&mut bytes)? as u64 > limits::DOCUMENT {
            let why = format!("{name} exceeds the limit of {} bytes", limits::DOCUMENT);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(bytes)
    }
}

/// The name without dots; one that leads out of the archive ends up inside, where there is no such file.
fn normal(path: &Path) -> PathBuf {
    absolute(path).components().skip(1).collect()
}
