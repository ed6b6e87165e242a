//! The files that one log consists of: the one that is written to, `0.log`, and those before it,
//! `0.log.YYYYMMDD-HHMMSS`, most of them with `.gz` (upstream: `pkg/kubelet/logs/container_log_manager.go`).

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::DateTime;

/// How a file is stamped when it is put away. Stamps of one log grow, and sort as text.
const STAMP: &str = "%Y%m%d-%H%M%S";
/// Half of a compressed file.
const UNFINISHED: &str = ".tmp";

/// A file that was put away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// When, in UTC.
    pub stamp: String,
    /// Where it is.
    pub path: PathBuf,
    /// By gzip.
    pub is_compressed: bool,
}

/// What lies beside a log.
#[derive(Debug, Default)]
pub struct Beside {
    /// One for each stamp, the oldest first.
    pub pieces: Vec<Piece>,
    /// What an earlier agent had no time to finish or to remove.
    pub remains: Vec<PathBuf>,
}

/// Looks beside a log.
pub fn beside(log: &Path) -> io::Result<Beside> {
    let prefix = format!("{}.", log.file_name().unwrap_or_default().to_string_lossy());
    let mut found = Beside::default();
    for entry in fs::read_dir(log.parent().unwrap_or(log))? {
        let (name, path) = { let entry = entry?; (entry.file_name(), entry.path()) };
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&prefix)) else { continue };
        if rest.ends_with(UNFINISHED) {
            found.remains.push(path);
            continue;
        }
        let (stamp, is_compressed) = rest.strip_suffix(".gz").map_or((rest, false), |stamp| (stamp, true));
        if DateTime::strptime(STAMP, stamp).is_ok() {
            found.pieces.push(Piece { stamp: stamp.to_owned(), path, is_compressed });
        }
    }
    found.pieces.sort_by(|a, b| (&a.stamp, !a.is_compressed).cmp(&(&b.stamp, !b.is_compressed)));
    // The compressed one has its name when it is whole: the other is left over.
    let mut last = None;
    for piece in std::mem::take(&mut found.pieces) {
        match last.as_ref() == Some(&piece.stamp) {
            true => found.remains.push(piece.path),
            false => {
                last = Some(piece.stamp.clone());
                found.pieces.push(piece);
            }
        }
    }
    Ok(found)
}

/// The stamp of a file that is put away now: later than the newest one, also when the clock was set back.
pub fn stamp(now: Timestamp, newest: Option<&Piece>) -> String {
    let of_clock = now.strftime(STAMP).to_string();
    let Some(newest) = newest.filter(|newest| newest.stamp >= of_clock) else { return of_clock };
    let next = DateTime::strptime(STAMP, &newest.stamp).ok().and_then(|at| at.checked_add(jiff::Span::new().seconds(1)).ok());
    next.map_or(of_clock, |next| next.strftime(STAMP).to_string())
}

/// Compresses a piece in its place. What is half done when this fails is removed.
pub fn compress(piece: &Piece) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let with = |end: &str| PathBuf::from(format!("{}{end}", piece.path.display()));
    let (half, whole) = (with(UNFINISHED), with(".gz"));
    let done = (|| {
        let mut from = super::open(&piece.path)?;
        // Whatever has that name already is not written through.
        let to = File::options().write(true).create_new(true).mode(0o640).open(&half)?;
        let mut zipped = flate2::write::GzEncoder::new(to, flate2::Compression::default());
        io::copy(&mut from, &mut zipped)?;
        zipped.finish()?.sync_data()?;
        fs::rename(&half, &whole)
    })();
    match done {
        Ok(()) => fs::remove_file(&piece.path),
        Err(error) => {
            let _ = fs::remove_file(&half);
            Err(error)
        }
    }
}

/// One file of a log that is being read.
pub struct Open {
    /// That of its name, if it was put away before it was opened.
    stamp: Option<String>,
    file: File,
    text: Box<dyn Read + Send>,
}

impl Open {
    /// The file that is written to.
    pub fn current(log: &Path) -> io::Result<Self> {
        let file = super::open(log)?;
        Ok(Open { stamp: None, text: Box::new(file.try_clone()?), file })
    }

    fn piece(piece: &Piece) -> io::Result<Self> {
        let file = super::open(&piece.path)?;
        let text = file.try_clone()?;
        let text: Box<dyn Read + Send> =
            if piece.is_compressed { Box::new(MultiGzDecoder::new(BufReader::new(text))) } else { Box::new(text) };
        Ok(Open { stamp: Some(piece.stamp.clone()), file, text })
    }

    /// The file itself, where it is not compressed. What reads it reads on from where this leaves it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file that goes on where this one ends, once there is one: nothing is written to this one any more then.
    /// `None` while there is none.
    pub fn next(&self, log: &Path) -> io::Result<Option<Self>> {
        if self.is_at(log)? {
            return Ok(None);
        }
        let stamp = self.stamp.clone().or_else(|| self.stamp_now(log));
        loop {
            let after = |found: Beside| found.pieces.into_iter().find(|piece| Some(&piece.stamp) > stamp.as_ref());
            let later = after(beside(log)?).filter(|_| stamp.is_some());
            let opened = match &later {
                Some(piece) => Self::piece(piece),
                None => Self::current(log),
            };
            match opened {
                // It was put away after the look, compressed, or removed: the next look sees it by its new name.
                Err(e) if e.kind() == io::ErrorKind::NotFound && later.is_some() => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
                Ok(_) if later.is_none() && stamp.is_some() && after(beside(log)?).is_some() => {}
                Ok(next) => return Ok(Some(next)),
            }
        }
    }

    /// Whether it is the one that is written to, or nothing has taken its place yet.
    fn is_at(&self, log: &Path) -> io::Result<bool> {
        let here = self.file.metadata()?;
        match fs::symlink_metadata(log) {
            Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(self.stamp.is_none()),
            Err(e) => Err(e),
        }
    }

    /// What it was stamped with when it was put away, compressed since or not: the kernel knows its last name.
    fn stamp_now(&self, log: &Path) -> Option<String> {
        let path = fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).ok()?;
        let name = path.file_name()?.to_str()?.trim_end_matches(" (deleted)");
        let stamp = name.strip_prefix(log.file_name()?.to_str()?)?.strip_prefix('.')?;
        DateTime::strptime(STAMP, stamp).is_ok().then(|| stamp.to_owned())
    }
}

impl Read for Open {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, names: &[&str]) {
        names.iter().for_each(|name| fs::write(dir.join(name), *name).expect("written"));
    }

    #[test]
    fn what_lies_beside_a_log_is_told_apart() {
        let dir = tempfile::tempdir().expect("directory");
        put(dir.path(), &["0.log", "1.log.20260101-000000", "0.log.20260102-000000", "0.log.20260101-000000.gz",
            "0.log.20260101-000000", "0.log.20260102-000000.tmp", "0.log.note", "0.log.20260199-000000"]);
        let found = beside(&dir.path().join("0.log")).expect("looked");
        let names: Vec<_> = found.pieces.iter().map(|p| (p.stamp.as_str(), p.is_compressed)).collect();
        assert_eq!(names, [("20260101-000000", true), ("20260102-000000", false)]);
        let mut remains: Vec<_> = found.remains.iter().map(|p| p.file_name().expect("name").to_str().expect("text")).collect();
        remains.sort_unstable();
        assert_eq!(remains, ["0.log.20260101-000000", "0.log.20260102-000000.tmp"]);
    }

    #[test]
    fn stamps_grow_also_when_the_clock_is_set_back() {
        let newest = |stamp: &str| Piece { stamp: stamp.to_owned(), path: PathBuf::new(), is_compressed: false };
        let now: Timestamp = "2026-01-01T00:00:05Z".parse().expect("time");
        assert_eq!(stamp(now, None), "20260101-000005");
        assert_eq!(stamp(now, Some(&newest("20251231-235959"))), "20260101-000005");
        assert_eq!(stamp(now, Some(&newest("20260101-000005"))), "20260101-000006");
        assert_eq!(stamp(now, Some(&newest("20261231-235959"))), "20270101-000000");
    }

    #[test]
    fn a_piece_is_compressed_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("directory");
        put(dir.path(), &["0.log", "0.log.20260101-000000", "0.log.20260102-000000"]);
        let log = dir.path().join("0.log");
        let pieces = beside(&log).expect("looked").pieces;
        compress(&pieces[0]).expect("compressed");
        // Something of its name is in the way.
        fs::create_dir(dir.path().join("0.log.20260102-000000.tmp")).expect("made");
        assert!(compress(&pieces[1]).is_err());
        let now = beside(&log).expect("looked");
        assert_eq!(now.pieces.iter().map(|p| p.is_compressed).collect::<Vec<_>>(), [true, false]);
        let mut text = String::new();
        Open::piece(&now.pieces[0]).expect("opened").read_to_string(&mut text).expect("read");
        assert_eq!(text, "0.log.20260101-000000");
    }
}
