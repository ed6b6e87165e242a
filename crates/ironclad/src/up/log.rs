//! The log: lines that a thread of its own writes to standard error, so that a full disk, a closed pipe or a reader that
//! has stopped costs lines and nothing else. A file that has grown large is put aside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait to be written; further ones are counted and dropped.
const WAITING: usize = 4096;
/// Bytes of a file, from which on it is put aside.
const LARGE: u64 = 16 << 20;
/// Files that were put aside and are kept: `ironclad.log.1` is the newest.
const KEPT: u32 = 3;
/// How long the end waits for the last lines.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where `tracing` writes. Clones write to the same log.
#[derive(Clone)]
pub struct Log {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

enum Line {
    Text(Vec<u8>),
    /// Answered when everything before it has been written.
    Flush(SyncSender<()>),
}

impl Log {
    /// A log on standard error. `path` is the file that standard error leads to, if it does: it is put aside when it is
    /// large.
    pub fn start(path: Option<PathBuf>) -> io::Result<Self> {
        Self::over(Output { path, write: Box::new(io::stderr()), large: LARGE })
    }

    fn over(output: Output) -> io::Result<Self> {
        let (lines, queue) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = dropped.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || output.run(&queue, &lost))?;
        Ok(Log { lines, dropped })
    }

    /// Waits, within bounds, until what was logged has been written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let until = Instant::now() + PATIENCE;
        while self.lines.try_send(Line::Flush(done.clone())).is_err() && Instant::now() < until {
            std::thread::yield_now();
        }
        drop(done);
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Write for Log {
    /// Takes a whole line. Never fails, never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Line::Text(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

struct Output {
    path: Option<PathBuf>,
    write: Box<dyn Write + Send>,
    large: u64,
}

impl Output {
    fn run(mut self, queue: &Receiver<Line>, dropped: &AtomicU64) {
        loop {
            match queue.recv_timeout(Duration::from_secs(3600)) {
                Ok(Line::Text(line)) => self.line(&line, dropped),
                Ok(Line::Flush(done)) => drop(done.send(())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn line(&mut self, line: &[u8], dropped: &AtomicU64) {
        let before = dropped.swap(0, Ordering::Relaxed);
        if before > 0 {
            let note = format!("({before} lines of the log could not be written)\n");
            if self.write.write_all(note.as_bytes()).is_err() {
                dropped.fetch_add(before, Ordering::Relaxed);
            }
        }
        if self.write.write_all(line).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(path) = self.path.as_deref().filter(|path| is_large(path, self.large)) {
            // Where that fails, it goes on in the same file.
            if let Ok(file) = put_aside(path)
                && nix::unistd::dup2_stderr(&file).is_err()
            {
                self.write = Box::new(file);
            }
        }
    }
}

fn is_large(path: &Path, large: u64) -> bool {
    fs::metadata(path).is_ok_and(|file| file.size() >= large)
}

/// Renames the file and those put aside before, and opens a new one.
fn put_aside(path: &Path) -> io::Result<File> {
    let aside = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    for n in (1..KEPT).rev() {
        match fs::rename(aside(n), aside(n + 1)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    fs::rename(path, aside(1))?;
    open(path)
}

/// Opens the log's file to append to it.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Fails while it is told to.
    #[derive(Clone, Default)]
    struct Moody(Arc<Mutex<(bool, Vec<u8>)>>);

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().expect("lock");
            if state.0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told_later() {
        let moody = Moody::default();
        let mut log = Log::over(Output { path: None, write: Box::new(moody.clone()), large: LARGE }).expect("starts");
        let mut say = |text: &str| {
            log.write_all(text.as_bytes()).expect("never fails");
            Log::flush(&log);
        };
        say("one\n");
        moody.0.lock().expect("lock").0 = true;
        say("two\n");
        say("three\n");
        moody.0.lock().expect("lock").0 = false;
        say("four\n");
        let text = String::from_utf8(moody.0.lock().expect("lock").1.clone()).expect("text");
        assert_eq!(text, "one\n(2 lines of the log could not be written)\nfour\n");
    }

    #[test]
    fn a_reader_who_has_stopped_holds_nobody_up() {
        let (reader, writer) = io::pipe().expect("pipe");
        let mut log = Log::over(Output { path: None, write: Box::new(writer), large: LARGE }).expect("starts");
        for _ in 0..2 * WAITING {
            log.write_all(&[b'x'; 100]).expect("never fails");
        }
        assert!(log.dropped.load(Ordering::Relaxed) > 0, "more than a pipe and the queue take");
        drop(reader);
        assert!(log.write_all(b"nobody listens\n").is_ok());
    }

    #[test]
    fn files_are_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("ironclad.log");
        for n in 0..6 {
            let mut file = open(&path).expect("opens");
            assert!(!is_large(&path, 3));
            writeln!(file, "{n}.").expect("writes");
            assert!(is_large(&path, 3));
            put_aside(&path).expect("renames");
        }
        let mut names: Vec<_> = fs::read_dir(dir.path()).expect("dir").map(|f| f.expect("entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["ironclad.log", "ironclad.log.1", "ironclad.log.2", "ironclad.log.3"]);
        assert_eq!(fs::read_to_string(dir.path().join("ironclad.log.1")).expect("reads"), "5.\n");
    }
}
