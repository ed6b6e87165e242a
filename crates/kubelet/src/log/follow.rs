//! Reads a log and stays with it, through rotations, woken by the kernel.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::line::Filter;
use super::tail;

const CHUNK: usize = 32 * 1024;

/// What to read.
pub struct Reader {
    /// The file.
    pub path: PathBuf,
    /// What passes.
    pub filter: Filter,
    /// Only the last lines.
    pub tail_lines: Option<u64>,
}

impl Reader {
    /// Sends what is there, and with `alive` what comes, until `alive` ends: then nothing more is
    /// written to the log. The receiver's end ends the reading.
    pub async fn run(mut self, output: mpsc::Sender<Vec<u8>>, alive: Option<impl Future<Output = ()>>) {
        if let Err(error) = self.read(&output, alive).await {
            tracing::debug!(path = %self.path.display(), %error, "log not read to its end");
        }
    }

    async fn read(
        &mut self, output: &mpsc::Sender<Vec<u8>>, alive: Option<impl Future<Output = ()>>,
    ) -> std::io::Result<()> {
        let changes = match &alive {
            Some(_) => Some(watch(&self.path)?),
            None => None,
        };
        let mut file = super::open(&self.path)?;
        let mut at = self.tail_lines.map_or(Ok(0), |lines| tail::start(&file, lines))?;
        let mut rest = Vec::new();
        let Some(alive) = alive else {
            self.drain(&file, &mut at, &mut rest, output).await?;
            return self.last(&rest, output).await;
        };
        tokio::pin!(alive);
        let mut ended = false;
        loop {
            if !self.drain(&file, &mut at, &mut rest, output).await? {
                return Ok(());
            }
            if let Some(next) = rotated(&file, &self.path) {
                // What was written between the last read and the rename is still to be shown.
                self.drain(&file, &mut at, &mut rest, output).await?;
                (file, at) = (next, 0);
                continue;
            }
            if ended {
                return self.last(&rest, output).await;
            }
            tokio::select! {
                () = &mut alive => ended = true,
                () = output.closed() => return Ok(()),
                changed = wait(changes.as_ref()) => changed?,
            }
        }
    }

    /// Sends whole lines up to the present end. False when nobody listens or nothing may pass.
    async fn drain(
        &mut self, file: &File, at: &mut u64, rest: &mut Vec<u8>, output: &mpsc::Sender<Vec<u8>>,
    ) -> std::io::Result<bool> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = file.read_at(&mut buffer, *at)?;
            if n == 0 {
                return Ok(!self.filter.is_exhausted());
            }
            *at += n as u64;
            rest.extend_from_slice(&buffer[..n]);
            let mut shown = Vec::new();
            let whole = rest.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            for line in rest[..whole].split_inclusive(|b| *b == b'\n') {
                shown.extend(self.filter.show(line).into_iter().flatten());
            }
            rest.drain(..whole);
            if (!shown.is_empty() && output.send(shown).await.is_err()) || self.filter.is_exhausted() {
                return Ok(false);
            }
        }
    }

    async fn last(&mut self, rest: &[u8], output: &mpsc::Sender<Vec<u8>>) -> std::io::Result<()> {
        if let Some(shown) = Some(rest).filter(|r| !r.is_empty()).and_then(|r| self.filter.show(r)) {
            let _ = output.send(shown).await;
        }
        Ok(())
    }
}

/// The new file, if another one has taken the path.
fn rotated(file: &File, path: &Path) -> Option<File> {
    let next = super::open(path).ok()?;
    let (old, new) = (file.metadata().ok()?, next.metadata().ok()?);
    ((old.dev(), old.ino()) != (new.dev(), new.ino())).then_some(next)
}

struct Changes(Inotify);

impl AsRawFd for Changes {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// The directory is watched: a rotation exchanges the file.
fn watch(path: &Path) -> std::io::Result<AsyncFd<Changes>> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    inotify.add_watch(path.parent().unwrap_or(path), flags)?;
    // SAFETY: the descriptor belongs to the value that is registered with it, and never changes.
    unsafe { AsyncFd::register_with_interest(Changes(inotify), Interest::READABLE) }.map_err(Into::into)
}

async fn wait(changes: Option<&AsyncFd<Changes>>) -> std::io::Result<()> {
    let Some(changes) = changes else { return std::future::pending().await };
    let mut ready = changes.readable().await?;
    // Which change it was does not matter: all that are there are taken together.
    while changes.get_ref().0.read_events().is_ok_and(|events| !events.is_empty()) {}
    ready.clear_ready();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).expect("file");
        file.write_all(format!("2026-01-01T00:00:00Z stdout F {text}\n").as_bytes()).expect("written");
    }

    #[tokio::test]
    async fn following_survives_rotation_and_ends_with_the_container() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("0.log");
        append(&path, "old");
        append(&path, "1");
        let (sender, mut lines) = mpsc::channel(4);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let reader = Reader { path: path.clone(), filter: Filter::default(), tail_lines: Some(1) };
        let task = tokio::spawn(reader.run(sender, Some(async move { drop(ended.await) })));
        assert_eq!(lines.recv().await.as_deref(), Some(&b"1\n"[..]));
        append(&path, "2");
        assert_eq!(lines.recv().await.as_deref(), Some(&b"2\n"[..]));
        std::fs::rename(&path, dir.path().join("0.log.old")).expect("renamed");
        append(&path, "3");
        assert_eq!(lines.recv().await.as_deref(), Some(&b"3\n"[..]));
        end.send(()).expect("still following");
        assert_eq!(lines.recv().await, None);
        task.await.expect("no panic");
    }
}
