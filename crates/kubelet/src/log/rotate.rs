//! Keeps logs small: 5 files of 10 MiB per container (upstream: `containerLogMaxSize`, `containerLogMaxFiles`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::Agent;
use crate::pod::observed::is_running;

const LARGEST: u64 = 10 << 20;
const MOST_FILES: usize = 5;
/// Between looks (upstream: `containerLogMonitorInterval`).
const INTERVAL: Duration = Duration::from_secs(10);

/// Rotates for ever.
pub async fn run(agent: Arc<Agent>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // Without pods there is nothing to ask the runtime for.
        if agent.pods.is_empty() {
            continue;
        }
        let pods = agent.runtime.pods().await.unwrap_or_default();
        for container in pods.iter().flat_map(|p| &p.containers).filter(|c| is_running(c)) {
            if fs::metadata(&container.log_path).map_or(0, |m| m.len()) <= LARGEST {
                continue;
            }
            if let Err(error) = rotate(&container.log_path) {
                tracing::warn!(container = container.name, %error, "log not rotated");
            } else if let Err(error) = agent.runtime.reopen_log(&container.id).await {
                tracing::warn!(container = container.name, %error, "log not reopened");
            }
        }
    }
}

/// Renames the file and removes the oldest ones.
fn rotate(path: &Path) -> std::io::Result<()> {
    let mut old = rotated(path)?;
    old.sort();
    let surplus = (old.len() + 2).saturating_sub(MOST_FILES);
    for file in old.iter().take(surplus) {
        fs::remove_file(file)?;
    }
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    fs::rename(path, format!("{}.{stamp}", path.display()))
}

/// Removes the older files of a log that is gone.
pub fn remove_rotated(path: &Path) {
    for file in rotated(path).unwrap_or_default() {
        if let Err(error) = fs::remove_file(&file) {
            tracing::debug!(path = %file.display(), %error, "rotated log not removed");
        }
    }
}

fn rotated(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let prefix = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let entries = fs::read_dir(path.parent().unwrap_or(path))?;
    Ok(entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn five_files_stay() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("0.log");
        for i in 0..6 {
            std::fs::write(dir.path().join(format!("0.log.2020010{i}-000000")), "").expect("written");
        }
        std::fs::write(&path, "x").expect("written");
        super::rotate(&path).expect("rotated");
        assert!(!path.exists());
        assert_eq!(super::rotated(&path).expect("list").len(), 4, "and the new one makes five");
    }
}
