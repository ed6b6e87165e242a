//! How to make a layer's tar file again, byte for byte, from its unpacked files: all that is not content of files is
//! kept, compressed; content is taken from the files. So an image can be given to others with the digests that it has,
//! and nothing is kept twice. (Others call this "tar-split".)
//!
//! ```text
//! 0 <length: u32> <bytes>                      headers, padding, what is no regular file
//! 1 <length: u16> <path> <size: u64>           the content of a file
//! ```

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::Root;

const BLOCK: usize = 512;
/// Longest extended header that is looked into; what it is about is otherwise kept as it is.
const EXTENDED: u64 = 1 << 20;
/// Bytes that are written at once.
const PIECE: usize = 32 << 10;

/// Where the recipe of a layer directory in the making is.
pub(super) fn beside(dir: &Path) -> PathBuf {
    dir.with_extension("recipe")
}

/// Writes a recipe while the tar file passes by.
pub(super) struct Recorder {
    out: zstd::Encoder<'static, BufWriter<File>>,
    plain: Vec<u8>,
    state: State,
    /// What the next entry is called, and how large it is, where that does not stand in its own header.
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

enum State {
    /// A block that is not complete.
    Header(Vec<u8>),
    /// An extended header of this kind; how much is missing, and the padding.
    Extended(u8, Vec<u8>, u64, u64),
    /// So many bytes as they are.
    Plain(u64),
    /// So many bytes of a file, then padding.
    Content(u64, u64),
    /// All that comes as it is.
    Rest,
}

impl Recorder {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let out = zstd::Encoder::new(BufWriter::new(File::create(path)?), 1)?;
        Ok(Self { out, plain: Vec::new(), state: State::Header(Vec::new()), path: None, size: None })
    }

    /// The next bytes of the tar file.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let wanted = match &self.state {
                State::Header(have) => BLOCK - have.len(),
                State::Extended(_, _, left, pad) => usize::try_from(left + pad).unwrap_or(usize::MAX),
                State::Plain(left) | State::Content(left, _) => usize::try_from(*left).unwrap_or(usize::MAX),
                State::Rest => usize::MAX,
            };
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            bytes = later;
            if !matches!(self.state, State::Content(..)) {
                self.keep(now)?;
            }
            self.step(now)?;
        }
        Ok(())
    }

    fn step(&mut self, now: &[u8]) -> io::Result<()> {
        let length = now.len() as u64;
        self.state = match std::mem::replace(&mut self.state, State::Rest) {
            State::Header(mut have) => {
                have.extend_from_slice(now);
                if have.len() < BLOCK { State::Header(have) } else { self.entry(&have)? }
            }
            State::Extended(kind, mut have, left, pad) => {
                let text = usize::try_from(left).unwrap_or(usize::MAX).min(now.len());
                have.extend_from_slice(&now[..text]);
                let (left, pad) = (left - text as u64, pad - (length - text as u64));
                match left + pad {
                    0 => {
                        self.extended(kind, &have);
                        State::Header(Vec::new())
                    }
                    _ => State::Extended(kind, have, left, pad),
                }
            }
            State::Plain(left) if left > length => State::Plain(left - length),
            State::Plain(_) => State::Header(Vec::new()),
            State::Content(left, pad) if left > length => State::Content(left - length, pad),
            State::Content(_, 0) => State::Header(Vec::new()),
            State::Content(_, pad) => State::Plain(pad),
            State::Rest => State::Rest,
        };
        Ok(())
    }

    /// What follows a header.
    fn entry(&mut self, header: &[u8]) -> io::Result<State> {
        if header.iter().all(|byte| *byte == 0) {
            return Ok(State::Header(Vec::new()));
        }
        let mut known = tar::Header::new_old();
        known.as_mut_bytes().copy_from_slice(header);
        let (kind, own) = (header[156], known.entry_size());
        let size = if matches!(kind, b'x' | b'g' | b'L' | b'K') { own.ok() } else { self.size.take().or(own.ok()) };
        // Nothing is that long: whoever reads the tar file says so.
        let padded = size.and_then(|size| size.checked_next_multiple_of(BLOCK as u64));
        let (Some(size), Some(padded), true) = (size, padded, kind != b'S') else { return Ok(State::Rest) };
        let pad = padded - size;
        if matches!(kind, b'x' | b'L') {
            return Ok(if size <= EXTENDED { State::Extended(kind, Vec::new(), size, pad) } else { State::Rest });
        }
        if matches!(kind, b'g' | b'K') {
            return Ok(if size == 0 { State::Header(Vec::new()) } else { State::Plain(size + pad) });
        }
        let path = self.path.take().unwrap_or_else(|| known.path_bytes().into_owned());
        if size == 0 {
            return Ok(State::Header(Vec::new()));
        }
        match (kind, u16::try_from(path.len())) {
            (b'0' | 0 | b'7', Ok(length)) => {
                self.flush()?;
                self.out.write_all(&[1])?;
                self.out.write_all(&length.to_be_bytes())?;
                self.out.write_all(&path)?;
                self.out.write_all(&size.to_be_bytes())?;
                Ok(State::Content(size, pad))
            }
            _ => Ok(State::Plain(size + pad)),
        }
    }

    /// What an extended header says of the next entry.
    fn extended(&mut self, kind: u8, text: &[u8]) {
        if kind == b'L' {
            self.path = Some(text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
            return;
        }
        for extension in tar::PaxExtensions::new(text).flatten() {
            match extension.key_bytes() {
                b"path" => self.path = Some(extension.value_bytes().to_vec()),
                b"size" => self.size = extension.value().ok().and_then(|text| text.parse().ok()),
                _ => {}
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.plain.extend_from_slice(bytes);
        if self.plain.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.plain.len()).map_err(io::Error::other)?;
        self.out.write_all(&[0])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }

    /// The tar file has ended.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.finish()?.flush()
    }
}

/// Passes bytes on and has them recorded.
pub(super) struct Recorded<'a, R> {
    /// The tar file.
    pub inner: R,
    /// Who records.
    pub recorder: &'a mut Recorder,
}

impl<R: Read> Read for Recorded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.recorder.take(&buffer[..length])?;
        Ok(length)
    }
}

/// Part of a recipe.
enum Part {
    Plain(Vec<u8>),
    Content(PathBuf, u64),
}

/// The parts of a recipe, one after the other.
struct Parts<R>(R);

impl<R: Read> Parts<R> {
    fn next(&mut self) -> io::Result<Option<Part>> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the recipe of a layer is damaged");
        let mut kind = [0];
        if self.0.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut bytes = |length: usize| {
            let mut bytes = vec![0; length];
            self.0.read_exact(&mut bytes).map(|()| bytes)
        };
        if kind[0] == 0 {
            let length = u32::from_be_bytes(bytes(4)?.try_into().map_err(|_| wrong())?);
            // Never more than one piece and what came with it.
            let length = usize::try_from(length).ok().filter(|length| *length <= 64 * PIECE).ok_or_else(wrong)?;
            return Ok(Some(Part::Plain(bytes(length)?)));
        }
        let length = u16::from_be_bytes(bytes(2)?.try_into().map_err(|_| wrong())?);
        let path = PathBuf::from(OsStr::from_bytes(&bytes(usize::from(length))?));
        Ok(Some(Part::Content(path, u64::from_be_bytes(bytes(8)?.try_into().map_err(|_| wrong())?))))
    }
}

fn parts(recipe: &Path) -> io::Result<Parts<impl Read>> {
    Ok(Parts(BufReader::new(zstd::Decoder::new(File::open(recipe)?)?)))
}

/// Bytes of the tar file that a recipe makes.
pub(super) fn size(recipe: &Path) -> io::Result<u64> {
    let (mut parts, mut size) = (parts(recipe)?, 0_u64);
    while let Some(part) = parts.next()? {
        let more = match part {
            Part::Plain(bytes) => bytes.len() as u64,
            Part::Content(_, bytes) => bytes,
        };
        size = size.saturating_add(more);
    }
    Ok(size)
}

/// Writes the tar file of the layer in `dir`. Whether it is what it was is the caller's to verify.
pub(super) fn make(recipe: &Path, dir: &Path, out: &mut dyn Write) -> io::Result<()> {
    let (mut parts, root) = (parts(recipe)?, Root::open(dir)?);
    while let Some(part) = parts.next()? {
        let (path, size) = match part {
            Part::Plain(bytes) => {
                out.write_all(&bytes)?;
                continue;
            }
            Part::Content(path, size) => (path, size),
        };
        let fail = |why: &dyn std::fmt::Display| io::Error::other(format!("{} of the layer: {why}", path.display()));
        let inside = Path::new("/").join(&path);
        let fd = root.find(&inside, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).map_err(|e| fail(&e))?;
        let file = File::from(fd);
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() != size {
            return Err(fail(&"it is not what it was"));
        }
        if io::copy(&mut file.take(size), out)? != size {
            return Err(fail(&"it has ended early"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar file with all that has a form of its own, and the tree that it is of.
    fn made(dir: &Path) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content).unwrap();
            std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.join(path), content).unwrap();
        };
        add("small", b"x");
        add("empty", b"");
        add("block", &[7; 512]);
        add(&format!("long/{}", "n".repeat(150)), &[8; 100_000]);
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "link", "small").unwrap();
        tar.append_pax_extensions([("path", &b"pax/name"[..]), ("size", b"700")]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("other").unwrap();
        // Its own header says another size.
        header.set_size(700);
        header.set_cksum();
        tar.append(&header, &[9; 700][..]).unwrap();
        std::fs::create_dir_all(dir.join("pax")).unwrap();
        std::fs::write(dir.join("pax/name"), [9; 700]).unwrap();
        let mut bytes = tar.into_inner().unwrap();
        bytes.extend(b"noise after the end".repeat(3));
        bytes
    }

    fn recorded(tar: &[u8], recipe: &Path, step: usize) {
        let mut recorder = Recorder::create(recipe).unwrap();
        tar.chunks(step).for_each(|chunk| recorder.take(chunk).unwrap());
        recorder.finish().unwrap();
    }

    #[test]
    fn the_same_bytes_come_back_however_they_came() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, recipe) = (dir.path().join("tree"), dir.path().join("recipe"));
        let tar = made(&tree);
        for step in [1, 511, 512, 513, 4096, tar.len()] {
            recorded(&tar, &recipe, step);
            let mut out = Vec::new();
            make(&recipe, &tree, &mut out).unwrap();
            assert!(out == tar, "step {step}");
            assert_eq!(size(&recipe).unwrap(), tar.len() as u64);
        }
        let kept = std::fs::metadata(&recipe).unwrap().len();
        assert!(kept < 2000, "{kept} bytes: the content of files is not kept");
    }

    #[test]
    fn a_size_that_nothing_has_is_kept_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_path("file").unwrap();
        header.set_size(u64::MAX);
        header.set_cksum();
        let tar = [header.as_bytes(), &[1; 1000][..]].concat();
        let recipe = dir.path().join("recipe");
        recorded(&tar, &recipe, 512);
        let mut out = Vec::new();
        make(&recipe, dir.path(), &mut out).unwrap();
        assert!(out == tar);
    }

    #[test]
    fn what_was_changed_is_no_layer_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, recipe) = (dir.path().join("tree"), dir.path().join("recipe"));
        recorded(&made(&tree), &recipe, 4096);
        std::fs::write(tree.join("small"), "xy").unwrap();
        let error = make(&recipe, &tree, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(error, "small of the layer: it is not what it was");
        std::fs::remove_file(tree.join("small")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", tree.join("small")).unwrap();
        assert!(make(&recipe, &tree, &mut Vec::new()).unwrap_err().to_string().contains("ENOENT"), "nothing outside");
        let noise: Vec<u8> = (0..5000_u32).map(|at| (at * 7 % 251) as u8).collect();
        recorded(&noise, &recipe, 100);
        let mut out = Vec::new();
        make(&recipe, &tree, &mut out).unwrap();
        assert_eq!(out, noise);
    }
}
