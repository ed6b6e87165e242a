//! From compressed, unverified bytes to a complete layer directory.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::below::Below;
use super::recipe::{self, Recorded, Recorder};
use super::unpack::unpack;
use crate::limits;

/// Hexadecimal digits of a layer's name: all layers of an image must fit into one page of mount options.
const NAME: usize = 32;

/// A directory for work in progress; it goes when this goes.
pub(super) struct Stage(PathBuf);

impl Stage {
    /// Makes one below `tmp`.
    pub(super) fn new(tmp: &Path) -> io::Result<Self> {
        let dir = tmp.join(format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes those whose process is gone.
    pub(super) fn sweep(tmp: &Path) -> io::Result<()> {
        for entry in fs::read_dir(tmp)? {
            let entry = entry?;
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.split_once('-')).map_or("", |(pid, _)| pid);
            if pid.is_empty() || !Path::new("/proc").join(pid).exists() {
                crate::remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is swept at the next start.
        let _ = crate::remove_tree(&self.0);
    }
}

/// Bytes and entries after which the file system is looked at again: others fill it, too.
const STEP: u64 = 16 << 20;
/// See [`STEP`].
const ENTRIES: u64 = 1024;

/// What an image may still take of the disk.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Bytes of files.
    pub bytes: u64,
    /// Files, directories, links.
    pub entries: u64,
    /// Looks into the layers below.
    pub looks: u64,
    /// A directory of the file system.
    dir: PathBuf,
    /// What was taken since it was looked at.
    unseen: (u64, u64),
}

impl Room {
    /// For one image on the file system of `dir`: no more than it can do without.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let mut room = Self::at_most(dir, limits::UNPACKED, limits::ENTRIES);
        room.look()?;
        Ok(room)
    }

    /// So much, or what there is.
    pub(super) fn at_most(dir: &Path, bytes: u64, entries: u64) -> Self {
        Self { bytes, entries, looks: limits::LOOKS, dir: dir.to_owned(), unseen: (0, 0) }
    }

    fn look(&mut self) -> io::Result<()> {
        let stat = nix::sys::statvfs::statvfs(&self.dir)?;
        let part = |all: u64| all / 100 * limits::RESERVE;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
        let reserve = part(bytes(stat.blocks())).min(limits::RESERVE_BYTES);
        self.bytes = self.bytes.min(bytes(stat.blocks_available()).saturating_sub(reserve));
        // Some file systems make inodes as they need them, and say that there are none.
        if stat.files() > 0 {
            self.entries = self.entries.min(stat.files_available().saturating_sub(part(stat.files())));
        }
        self.unseen = (0, 0);
        Ok(())
    }

    fn took(&mut self, bytes: u64, entries: u64) -> io::Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| full("bytes"))?;
        self.entries = self.entries.checked_sub(entries).ok_or_else(|| full("files"))?;
        self.unseen = (self.unseen.0 + bytes, self.unseen.1 + entries);
        if self.unseen.0 >= STEP || self.unseen.1 >= ENTRIES { self.look() } else { Ok(()) }
    }

    /// Takes one more entry.
    pub(super) fn entry(&mut self) -> io::Result<()> {
        self.took(0, 1)
    }

    /// Takes a look into a layer below.
    pub(super) fn look_up(&mut self) -> io::Result<()> {
        self.looks = self.looks.checked_sub(1).ok_or_else(|| full("directories without names"))?;
        Ok(())
    }

    /// Copies into a file of the image.
    pub(super) fn copy(&mut self, mut from: impl Read, to: &mut File) -> io::Result<u64> {
        let mut all = 0;
        loop {
            let step = self.bytes.saturating_add(1).min(STEP);
            let copied = io::copy(&mut from.by_ref().take(step), to)?;
            self.took(copied, 0)?;
            all += copied;
            if copied < step {
                return Ok(all);
            }
        }
    }
}

fn full(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("the image has more {what} than there is room for"))
}

/// Passes bytes on and ends with an error after so many.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| full("bytes"))?;
        Ok(length)
    }
}

/// Passes bytes on and counts them into a digest.
pub(super) struct Digesting<R> {
    inner: R,
    context: Context,
}

impl<R: Read> Digesting<R> {
    /// Over a stream.
    pub(super) fn new(inner: R) -> Self {
        Self { inner, context: Context::new(&SHA256) }
    }

    /// Reads to the end; `sha256:…`.
    pub(super) fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(hex(self.context.finish().as_ref()))
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.context.update(&buffer[..length]);
        Ok(length)
    }
}

/// `sha256:…` of some bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Undoes gzip or zstd, by the first bytes: media types are often wrong.
pub(super) fn decompress<'a>(stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let magic: [u8; 4] = {
        use std::io::BufRead;
        let head = stream.fill_buf()?;
        let mut magic = [0; 4];
        let length = head.len().min(4);
        magic[..length].copy_from_slice(&head[..length]);
        magic
    };
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(stream)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(stream)?),
        _ => Box::new(stream),
    })
}

/// Name of the directory of a lowest layer with this digest.
pub(super) fn layer_name(diff_id: &str) -> String {
    diff_id.trim_start_matches("sha256:").chars().take(NAME).collect()
}

/// Names of the directories of an image's layers, lowest first, by their digests. A layer's directory depends on the
/// layers below it, and so does its name (OCI: `ChainID`): a base has one name, whatever stands on it.
pub(super) fn layer_names(diff_ids: &[String]) -> Vec<String> {
    let mut chain = String::new();
    let name = |diff_id: &String| {
        chain = if chain.is_empty() { diff_id.clone() } else { digest(format!("{chain} {diff_id}").as_bytes()) };
        layer_name(&chain)
    };
    diff_ids.iter().map(name).collect()
}

/// Unpacks a layer into `dir`, on top of the directories `below` (topmost first), and verifies its digests: of the
/// stream, if known, and of what was in it.
pub(super) fn layer(
    stream: impl Read, (blob, diff_id): (Option<&str>, &str), dir: &Path, below: &[PathBuf], room: &mut Room,
) -> io::Result<u64> {
    let wrong = |what: &str, found: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("layer digest is {found} instead of {what}"))
    };
    fs::create_dir_all(dir)?;
    let below = Below::open(below)?;
    let mut recorder = Recorder::create(&recipe::beside(dir))?;
    let mut outer = Digesting::new(stream);
    let bytes = {
        // Whatever a few bytes become, and also where nothing of it is a file.
        let inner = Bounded { inner: decompress(&mut outer)?, left: limits::UNPACKED };
        let mut inner = Digesting::new(Recorded { inner, recorder: &mut recorder });
        let bytes = unpack(&mut inner, dir, &below, room)?;
        let found = inner.finish()?;
        if found != diff_id {
            return Err(wrong(diff_id, &found));
        }
        bytes
    };
    recorder.finish()?;
    if let Some(blob) = blob {
        let found = outer.finish()?;
        if found != blob {
            return Err(wrong(blob, &found));
        }
    }
    Ok(bytes)
}

/// Writes everything below a file system's directory to the disk: before a layer gets its final name.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    Ok(nix::unistd::syncfs(File::open(dir)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(sizes: &[u64]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (at, size) in sizes.iter().enumerate() {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            tar.append_data(&mut header, format!("d{at}/f"), io::repeat(0).take(*size)).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn unpacked(tar: &[u8], bytes: u64, entries: u64) -> io::Result<u64> {
        let dir = tempfile::tempdir().unwrap();
        layer(tar, (None, &digest(tar)), &dir.path().join("layer"), &[], &mut Room::at_most(dir.path(), bytes, entries))
    }

    #[test]
    fn an_image_ends_where_there_is_no_more_room() {
        let many = tar(&[1000, 500]);
        assert_eq!(unpacked(&many, 1500, 4).unwrap(), 1500);
        let error = |bytes, entries| unpacked(&many, bytes, entries).unwrap_err().to_string();
        assert!(error(1499, 4).ends_with("the image has more bytes than there is room for"));
        assert!(error(1500, 3).ends_with("the image has more files than there is room for"), "directories count");
    }

    /// A file of eight gigabytes, all of it a hole.
    fn hole() -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("sparse").unwrap();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_entry_type(tar::EntryType::GNUSparse);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.realsize = *b"77777777777\0";
        gnu.sparse[0].offset = *b"77777777777\0";
        gnu.sparse[0].numbytes = *b"00000000000\0";
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend_from_slice(&[0; 1024]);
        tar
    }

    #[test]
    fn holes_are_bytes() {
        let error = unpacked(&hole(), 1 << 20, 9).unwrap_err().to_string();
        assert!(error.ends_with("the image has more bytes than there is room for"), "{error}");
    }

    /// Whoever fills the file system while an image is unpacked: the image has known of more room than there is.
    #[test]
    fn a_part_of_the_file_system_stays_free() {
        let full = std::thread::spawn(|| {
            use nix::mount::{MsFlags, mount};
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let dir = tempfile::tempdir().unwrap();
            mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64m")).unwrap();
            let mut room = Room::at_most(dir.path(), 1 << 40, 9);
            let hole = hole();
            let error = layer(&hole[..], (None, &digest(&hole)), &dir.path().join("layer"), &[], &mut room).unwrap_err();
            let free = nix::sys::statvfs::statvfs(dir.path()).unwrap();
            nix::mount::umount(dir.path()).unwrap();
            (error.to_string(), free.blocks_available() * 100 / free.blocks())
        });
        let (error, free) = full.join().unwrap();
        assert!(error.ends_with("the image has more bytes than there is room for"), "{error}");
        assert!((limits::RESERVE - 1..=limits::RESERVE).contains(&free), "{free} per cent are free");
    }

    #[test]
    fn what_becomes_no_file_has_an_end_too() {
        let mut bounded = Bounded { inner: io::repeat(0), left: 1 << 20 };
        assert_eq!(io::copy(&mut bounded, &mut io::sink()).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let room = Room::of(Path::new("/")).unwrap();
        assert!(room.bytes <= limits::UNPACKED && room.entries <= limits::ENTRIES && room.entries > 0);
    }
}
