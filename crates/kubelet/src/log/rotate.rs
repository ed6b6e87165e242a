//! Keeps logs small (upstream: `pkg/kubelet/logs/container_log_manager.go`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use runtime::Runtime;

use super::pieces::{self, Piece};
use crate::agent::Agent;
use crate::pod::observed::is_running;

/// Between looks (upstream: `containerLogMonitorInterval`).
const INTERVAL: Duration = Duration::from_secs(10);

/// When a log is rotated, and what is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes from which on a file is put away (upstream: `containerLogMaxSize`); `None`: never.
    pub max_size: Option<u64>,
    /// Files of one log, the one that is written to among them (upstream: `containerLogMaxFiles`).
    pub max_files: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { max_size: Some(10 << 20), max_files: 5 }
    }
}

impl Policy {
    /// From upstream's words: a quantity, where a negative one means that nothing is rotated, and a number above 1.
    pub fn parse(max_size: &str, max_files: i64) -> Result<Self, String> {
        let quantity = meta::Quantity::parse(max_size);
        let quantity = quantity.map_err(|why| format!("failed to parse container log max size {max_size:?}: {why}"))?;
        let files = usize::try_from(max_files).ok().filter(|files| *files > 1);
        let max_files = files.ok_or_else(|| format!("invalid MaxFiles {max_files}, must be > 1"))?;
        Ok(Policy { max_size: u64::try_from(quantity.value()).ok(), max_files })
    }
}

/// Rotates for ever.
pub async fn run(agent: Arc<Agent>) {
    let Some(max_size) = agent.config.log_rotation.max_size else { return std::future::pending().await };
    loop {
        tokio::time::sleep(INTERVAL).await;
        // Without pods there is nothing to ask the runtime for.
        if agent.pods.is_empty() {
            continue;
        }
        let pods = agent.runtime.pods().await.unwrap_or_default();
        for container in pods.iter().flat_map(|p| &p.containers).filter(|c| is_running(c)) {
            let (runtime, log) = (&*agent.runtime, &container.log_path);
            let done = match fs::metadata(log) {
                Ok(file) if file.len() < max_size => Ok(()),
                Ok(_) => rotate(runtime, &container.id, log, agent.config.log_rotation.max_files).await,
                // Somebody has removed it: what is written would be lost.
                Err(e) if e.kind() == io::ErrorKind::NotFound => runtime.reopen_log(&container.id).await.map_err(io::Error::other),
                Err(e) => Err(e),
            };
            if let Err(error) = done {
                tracing::warn!(container = container.name, %error, "log not rotated");
            }
        }
    }
}

/// Puts the file away, and compresses those that were put away before: who follows the log reads the newest one yet.
async fn rotate(runtime: &dyn Runtime, id: &str, log: &Path, max_files: usize) -> io::Result<()> {
    let path = log.to_owned();
    let newest = tokio::task::spawn_blocking(move || tidy(&path, max_files)).await.map_err(io::Error::other)??;
    let away = PathBuf::from(format!("{}.{}", log.display(), pieces::stamp(Timestamp::now(), newest.as_ref())));
    fs::rename(log, &away)?;
    if let Err(error) = runtime.reopen_log(id).await {
        // What the container writes goes into that file: it stays the log.
        fs::rename(&away, log)?;
        return Err(io::Error::other(error));
    }
    Ok(())
}

/// Makes room for one more file, and compresses the rest. The newest piece.
fn tidy(log: &Path, max_files: usize) -> io::Result<Option<Piece>> {
    let found = pieces::beside(log)?;
    for path in &found.remains {
        fs::remove_file(path)?;
    }
    let (surplus, kept) = found.pieces.split_at((found.pieces.len() + 2).saturating_sub(max_files).min(found.pieces.len()));
    for piece in surplus {
        fs::remove_file(&piece.path)?;
    }
    for piece in kept.iter().filter(|piece| !piece.is_compressed) {
        // On a full disk there is no room for it; putting files away is what helps then.
        if let Err(error) = pieces::compress(piece) {
            tracing::warn!(path = %piece.path.display(), %error, "log not compressed");
        }
    }
    Ok(found.pieces.last().cloned())
}

/// Removes the older files of a log that is gone.
pub fn remove_rotated(log: &Path) {
    let found = pieces::beside(log).unwrap_or_default();
    for path in found.pieces.into_iter().map(|piece| piece.path).chain(found.remains) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::debug!(path = %path.display(), %error, "rotated log not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::runtime::Fake;

    #[test]
    fn upstreams_words() {
        assert_eq!(Policy::parse("10Mi", 5), Ok(Policy::default()));
        assert_eq!(Policy::parse("-1", 2), Ok(Policy { max_size: None, max_files: 2 }));
        assert_eq!(Policy::parse("1Ki", 1), Err("invalid MaxFiles 1, must be > 1".to_owned()));
        let wrong = Policy::parse("much", 5).expect_err("no quantity");
        assert!(wrong.starts_with("failed to parse container log max size \"much\": "), "{wrong}");
    }

    #[tokio::test]
    async fn as_many_files_stay_as_are_wanted_and_all_but_two_are_compressed() {
        let dir = tempfile::tempdir().expect("directory");
        let log = dir.path().join("0.log");
        let runtime = Fake::new();
        for i in 0..7 {
            fs::write(&log, i.to_string()).expect("written");
            rotate(&runtime, "c", &log, 5).await.expect("rotated");
            assert!(!log.exists());
        }
        let pieces = pieces::beside(&log).expect("list").pieces;
        assert_eq!(pieces.iter().map(|p| p.is_compressed).collect::<Vec<_>>(), [true, true, true, false], "and the new one makes five");
        assert_eq!(fs::read_to_string(&pieces[3].path).expect("readable"), "6");
        remove_rotated(&log);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_reopened_stays_the_log() {
        let dir = tempfile::tempdir().expect("directory");
        let log = dir.path().join("0.log");
        fs::write(&log, "x").expect("written");
        let runtime = Fake::new();
        *runtime.reopens.lock().expect("lock") = false;
        assert!(rotate(&runtime, "c", &log, 5).await.is_err());
        assert_eq!(fs::read_to_string(&log).expect("there"), "x");
        assert!(pieces::beside(&log).expect("list").pieces.is_empty());
    }
}
