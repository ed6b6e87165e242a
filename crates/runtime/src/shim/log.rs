//! Container logs as the CRI writes them: `<time> <stream> <tag> <line>`, one record a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::clock;

/// Longest line of one record; longer ones are cut and tagged `P` (partial). containerd's default.
const MAX_LINE: usize = 16 * 1024;

/// An open log file.
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    /// Opens or makes the file and the directories above it.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mut log = Self { path, file: None };
        log.reopen()?;
        Ok(log)
    }

    /// Opens the file at the old path again, after rotation has renamed it.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        // A link in its place would take the container's words to any file of the node.
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&self.path);
        self.file = Some(file?);
        Ok(())
    }

    /// Appends records. A full disk loses them: the container goes on, as with every other runtime.
    fn append(&mut self, records: &[u8]) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(records);
        }
    }
}

/// The unfinished line of one stream.
pub(super) struct Lines {
    name: &'static str,
    rest: Vec<u8>,
}

impl Lines {
    /// For `stdout` or `stderr`.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, rest: Vec::new() }
    }

    /// Takes what a read brought.
    pub(super) fn push(&mut self, bytes: &[u8], log: &mut Log) {
        let mut records = Vec::new();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.fill(end, &mut records);
                    self.record("F", &mut records);
                }
                None => self.fill(part, &mut records),
            }
        }
        log.append(&records);
        // The buffer of a long line is not kept: many shims, most of them idle.
        if self.rest.is_empty() && self.rest.capacity() > 1024 {
            self.rest = Vec::new();
        }
    }

    /// Ends the stream: what is left had no newline, and is shown without one, as with containerd.
    pub(super) fn finish(&mut self, log: &mut Log) {
        if !self.rest.is_empty() {
            let mut records = Vec::new();
            self.record("P", &mut records);
            log.append(&records);
        }
    }

    fn fill(&mut self, mut bytes: &[u8], records: &mut Vec<u8>) {
        while self.rest.len() + bytes.len() > MAX_LINE {
            let (now, later) = bytes.split_at(MAX_LINE - self.rest.len());
            self.rest.extend_from_slice(now);
            self.record("P", records);
            bytes = later;
        }
        self.rest.extend_from_slice(bytes);
    }

    fn record(&mut self, tag: &str, records: &mut Vec<u8>) {
        clock::write_rfc3339(clock::now(), records);
        for word in [" ", self.name, " ", tag, " "] {
            records.extend_from_slice(word.as_bytes());
        }
        records.append(&mut self.rest);
        records.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_partial_and_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c/0.log");
        let mut log = Log::open(path.clone()).unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o137, 0, "for root and his group alone");
        let mut lines = Lines::new("stdout");
        lines.push(b"one\ntw", &mut log);
        lines.push(b"o\n", &mut log);
        lines.push(&vec![b'x'; MAX_LINE + 2], &mut log);
        lines.finish(&mut log);
        let text = fs::read_to_string(path).unwrap();
        let tail: Vec<&str> = text.lines().map(|line| line.split_once(" stdout ").unwrap().1).collect();
        assert_eq!(tail[..2], ["F one", "F two"]);
        assert_eq!(tail[2].len(), MAX_LINE + 2);
        assert!(tail[2].starts_with("P x"));
        assert_eq!(tail[3], "P xx");
        let link = dir.path().join("c/1.log");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(Log::open(link).is_err() && !dir.path().join("elsewhere").exists());
    }
}
