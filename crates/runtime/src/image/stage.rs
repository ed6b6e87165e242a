//! From compressed, unverified bytes to a complete layer directory.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::unpack::unpack;

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

fn hex(bytes: &[u8]) -> String {
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

/// Name of the directory of a layer with this digest.
pub(super) fn layer_name(diff_id: &str) -> String {
    diff_id.trim_start_matches("sha256:").chars().take(NAME).collect()
}

/// Unpacks a layer into `dir` and verifies its digests: of the stream, if known, and of what was in it.
pub(super) fn layer(stream: impl Read, blob: Option<&str>, diff_id: &str, dir: &Path) -> io::Result<u64> {
    let wrong = |what: &str, found: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("layer digest is {found} instead of {what}"))
    };
    fs::create_dir_all(dir)?;
    let mut outer = Digesting::new(stream);
    let bytes = {
        let mut inner = Digesting::new(decompress(&mut outer)?);
        let bytes = unpack(&mut inner, dir)?;
        let found = inner.finish()?;
        if found != diff_id {
            return Err(wrong(diff_id, &found));
        }
        bytes
    };
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
