//! Reads a log and stays with it, through rotations, woken by the kernel.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use nix::sys::inotify::AddWatchFlags;
use tokio::sync::mpsc;

use super::line::Filter;
use super::pieces::Open;
use super::tail;
use crate::changes::Changes;

const CHUNK: usize = 32 * 1024;
/// A record is never so long; what is, is shown in parts.
const LONGEST: usize = 1 << 20;

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
        let mut open = Open::current(&self.path)?;
        let start = self.tail_lines.map_or(Ok(0), |lines| tail::start(open.file(), lines))?;
        open.file().seek(SeekFrom::Start(start))?;
        let mut rest = Vec::new();
        let Some(alive) = alive else {
            self.drain(&mut open, &mut rest, output).await?;
            return self.last(&rest, output).await;
        };
        tokio::pin!(alive);
        let mut ended = false;
        loop {
            if !self.drain(&mut open, &mut rest, output).await? {
                return Ok(());
            }
            if let Some(next) = open.next(&self.path)? {
                // What was written between the last read and the rename is still to be shown.
                if !self.drain(&mut open, &mut rest, output).await? {
                    return Ok(());
                }
                open = next;
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
        &mut self, open: &mut Open, rest: &mut Vec<u8>, output: &mpsc::Sender<Vec<u8>>,
    ) -> std::io::Result<bool> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = open.read(&mut buffer)?;
            if n == 0 {
                return Ok(!self.filter.is_exhausted());
            }
            rest.extend_from_slice(&buffer[..n]);
            let mut shown = Vec::new();
            let lines = rest.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            let whole = if lines == 0 && rest.len() > LONGEST { rest.len() } else { lines };
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

/// The directory is watched: a rotation exchanges the file.
fn watch(path: &Path) -> std::io::Result<Changes> {
    let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    Changes::of(path.parent().unwrap_or(path), flags)
}

async fn wait(changes: Option<&Changes>) -> std::io::Result<()> {
    // Which change it was does not matter.
    match changes {
        Some(changes) => changes.next().await.map(drop),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    use super::super::pieces::{beside, compress};

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

    /// However slow the reader is: what was put away twice and compressed meanwhile is read in its turn.
    #[tokio::test]
    async fn nothing_is_lost_when_a_log_is_rotated_faster_than_it_is_read() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("0.log");
        append(&path, "0");
        let (sender, mut lines) = mpsc::channel(1);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let reader = Reader { path: path.clone(), filter: Filter::default(), tail_lines: None };
        let task = tokio::spawn(reader.run(sender, Some(async move { drop(ended.await) })));
        // It has opened the first file.
        assert_eq!(lines.recv().await.as_deref(), Some(&b"0\n"[..]));
        for i in 1..=5 {
            for piece in beside(&path).expect("listed").pieces.iter().filter(|piece| !piece.is_compressed) {
                compress(piece).expect("compressed");
            }
            std::fs::rename(&path, dir.path().join(format!("0.log.2026010{i}-000000"))).expect("renamed");
            append(&path, &i.to_string());
        }
        end.send(()).expect("still following");
        let mut read = Vec::new();
        while let Some(line) = lines.recv().await {
            read.extend(line);
        }
        assert_eq!(String::from_utf8(read).expect("text"), "1\n2\n3\n4\n5\n");
        task.await.expect("no panic");
    }
}
