//! `admin.conf`: how kubectl and every other client gets in. It is written anew before its certificate ends,
//! also when the program runs for years, and when the clock was set back before its certificate begins.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auth::pki::{Leaf, Pki, Term};
use jiff::Timestamp;
use kubelet::clock::Jumps;
use tokio_util::sync::CancellationToken;

/// The longest sleep: a machine's clock may jump, and timers stand still while it is suspended.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The file and what goes into it.
#[derive(Clone)]
pub struct Kubeconfig {
    /// Where it lies.
    pub path: PathBuf,
    /// The API server's URL.
    pub server: String,
    /// Who signs.
    pub pki: Arc<Pki>,
    /// Who may read it.
    pub mode: u32,
    /// Told when it was written anew.
    pub renewed: Arc<dyn Fn() + Send + Sync>,
}

impl Kubeconfig {
    /// Writes it with a fresh certificate; returns when that is to be used.
    pub fn write(&self, now: Timestamp) -> Result<Term> {
        let (text, term) = self.pki.kubeconfig(&self.server, &Leaf::admin(), now)?;
        let temporary = self.path.with_extension("conf.new");
        // One that an interrupted start has left.
        let _ = std::fs::remove_file(&temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let rights = Permissions::from_mode(self.mode);
        file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.set_permissions(rights)))
            .and_then(|()| std::fs::rename(&temporary, &self.path))
            .with_context(|| format!("write {}", self.path.display()))?;
        Ok(term)
    }

    /// Writes it again whenever it is due, until `stop`.
    pub async fn keep_fresh(self, mut term: Term, stop: CancellationToken) {
        let jumps = Jumps::watch().inspect_err(|error| tracing::warn!(%error, "nobody tells when the clock is set")).ok();
        loop {
            let left = Duration::try_from(term.until.duration_since(Timestamp::now())).unwrap_or_default();
            // One that is not valid yet is written anew at once.
            let left = if term.is_over(Timestamp::now()) { Duration::ZERO } else { left.min(DAY) };
            let set = async {
                match &jumps {
                    Some(jumps) => drop(jumps.next().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(left) => {}
                () = set => {}
            }
            let now = Timestamp::now();
            if !term.is_over(now) {
                continue;
            }
            match self.write(now) {
                Ok(next) => {
                    tracing::info!(path = %self.path.display(), "kubeconfig renewed");
                    (self.renewed)();
                    term = next;
                }
                Err(error) => {
                    tracing::warn!(%error, "the kubeconfig could not be renewed, trying again tomorrow");
                    term = Term { from: now, until: now + DAY };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Span;

    #[tokio::test]
    async fn it_is_renewed_long_before_its_certificate_ends() {
        let dir = tempfile::tempdir().expect("directory");
        let now = Timestamp::now();
        let pki = Arc::new(Pki::open(&dir.path().join("pki"), now).expect("keys"));
        let path = dir.path().join("admin.conf");
        let (told, heard) = std::sync::mpsc::channel();
        let renewed = Arc::new(move || told.send(()).expect("heard"));
        let server = "https://127.0.0.1:6443".to_owned();
        let file = Kubeconfig { path: path.clone(), server, pki, mode: 0o640, renewed };
        let term = file.write(now).expect("written");
        assert!(term.until > now + Span::new().hours(200 * 24) && term.until < now + Span::new().hours(300 * 24));
        assert!(!term.is_over(now) && term.is_over(now - Span::new().hours(48)));

        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(heard.try_recv().is_err(), "it is no renewal");
        let before = std::fs::read_to_string(&path).expect("there");
        let stop = CancellationToken::new();
        // The clock was set back: the task writes at once, and then sleeps until it is stopped.
        let early = Term { from: now + Span::new().hours(48), ..term };
        let task = tokio::spawn(file.keep_fresh(early, stop.clone()));
        while std::fs::read_to_string(&path).expect("there") == before {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        task.await.expect("ends");
        heard.try_recv().expect("is told");
    }
}
