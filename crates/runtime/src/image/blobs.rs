//! Blobs on their way from a registry into the store: each is fetched once for all who want it, goes on where it was
//! broken off, and is a file until it has been unpacked.
//!
//! ```text
//! images/blobs/<registry>-<hex>.part   the beginning of a blob, locked by who fetches it
//!              <registry>-<hex>        as many bytes as its manifest says, unverified: unpacking does that
//! ```
//!
//! A registry resumes its own files alone: what one has sent cannot spoil what comes from another.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::time::Instant;

use super::flights::Flights;
use super::manifest::Descriptor;
use super::registry::{Session, Source, Trouble};
use super::stage;
use super::turns::Ear;
use crate::{Credentials, limits};

/// What a download is for: its registry, who asks, and the digest. The repository only where that matters.
type Key = (String, Option<Credentials>, String, String);
type Fetched = Result<Arc<Blob>, Trouble>;

/// See the module.
#[derive(Debug)]
pub(super) struct Blobs {
    dir: PathBuf,
    flights: Flights<Key, Fetched>,
}

/// A blob that is there. Its file goes when it was unpacked, or could not be: else the next try needs it.
#[derive(Debug)]
pub(super) struct Blob {
    file: File,
    path: PathBuf,
    used: AtomicBool,
}

/// One image's blobs, and who they are fetched for.
pub(super) struct Order {
    /// The registry, by the name that images have it by.
    pub host: String,
    /// The conversation.
    pub session: Session,
    /// Who asks.
    pub credentials: Option<Credentials>,
    /// The repository.
    pub repository: String,
    /// Hears of every byte. No turn: another image's download goes on with this order when its turn has ended.
    pub ear: Ear,
}

impl Blobs {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, flights: Flights::default() }
    }

    /// Makes the directory; removes what nobody has fetched at for a long time.
    pub(super) fn sweep(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if age > limits::KEPT && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Has a blob.
    pub(super) async fn fetch(&self, order: &Arc<Order>, blob: &Descriptor) -> Fetched {
        let key = |repository: &str| {
            (order.host.clone(), order.credentials.clone(), blob.digest.clone(), repository.to_owned())
        };
        let (work, own) = self.flights.join(key(""), || self.begin(order, blob));
        match work.await {
            // It was another image's, and may be for its repository alone that there is no such blob.
            Err(_) if !own => self.flights.join(key(&order.repository), || self.begin(order, blob)).0.await,
            fetched => fetched,
        }
    }

    fn begin(&self, order: &Arc<Order>, blob: &Descriptor) -> BoxFuture<'static, Fetched> {
        let (order, blob, path) = (order.clone(), blob.clone(), self.path(&order.host, &blob.digest));
        async move {
            let size = u64::try_from(blob.size).map_err(|_| Trouble::Wrong(format!("{} has no size", blob.digest)))?;
            if let Some(found) = Blob::open(&path, size) {
                return Ok(found);
            }
            let local = |e: io::Error| Trouble::Local(format!("{}: {e}", path.display()));
            let (part, mut file) = open_part(&path).map_err(local)?;
            let mut download = Download { order: &order, blob: &blob, size, file: &mut file, have: 0, host: None };
            download.run().await?;
            fs::rename(&part, &path).map_err(local)?;
            // The lock becomes one for readers, and is not let go and taken anew: a process that was forked meanwhile has
            // the file until its exec, and would keep everybody else out.
            let file = file.into_std().await;
            Blob::of(file, &path).map_err(|e| Trouble::Local(format!("{}: {e}", path.display())))
        }
        .boxed()
    }

    fn path(&self, host: &str, digest: &str) -> PathBuf {
        let registry: String = stage::digest(host.as_bytes()).chars().skip("sha256:".len()).take(16).collect();
        self.dir.join(format!("{registry}-{}", digest.trim_start_matches("sha256:")))
    }
}

/// The file for the beginning of a blob. Another process may be at it: then this one has a file of its own.
fn open_part(path: &Path) -> io::Result<(PathBuf, tokio::fs::File)> {
    let mut part = path.with_extension("part");
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&part)?;
        match file.try_lock() {
            Ok(()) => return Ok((part, tokio::fs::File::from_std(file))),
            Err(TryLockError::WouldBlock) => part = path.with_extension(format!("{}.part", uuid::Uuid::new_v4().simple())),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}

impl Blob {
    fn open(path: &Path, size: u64) -> Option<Arc<Self>> {
        let file = File::open(path).ok()?;
        if file.metadata().ok()?.len() != size {
            return None;
        }
        Self::of(file, path).ok()
    }

    /// Of an open file: locked, so that nobody sweeps it.
    fn of(file: File, path: &Path) -> Result<Arc<Self>, TryLockError> {
        file.try_lock_shared()?;
        Ok(Arc::new(Self { file, path: path.to_owned(), used: AtomicBool::new(false) }))
    }

    /// The bytes, for unpacking.
    pub(super) fn reader(self: &Arc<Self>) -> impl Read + use<> {
        self.used.store(true, Ordering::Relaxed);
        At { blob: self.clone(), at: 0 }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if self.used.load(Ordering::Relaxed) {
            // What stays is swept.
            let _ = fs::remove_file(&self.path);
        }
    }
}

struct At {
    blob: Arc<Blob>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.blob.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// One blob on its way.
struct Download<'a> {
    order: &'a Order,
    blob: &'a Descriptor,
    size: u64,
    file: &'a mut tokio::fs::File,
    have: u64,
    /// Who sends it.
    host: Option<usize>,
}

impl Download<'_> {
    async fn run(&mut self) -> Result<(), Trouble> {
        let local = |e: io::Error| Trouble::Local(e.to_string());
        self.have = self.file.metadata().await.map_err(local)?.len();
        if self.have > self.size {
            self.go_to(0).await?;
        }
        let (mut tries, mut pause) = (0, self.order.session.waits.pause);
        while self.have < self.size {
            let before = self.have;
            let trouble = match self.attempt().await {
                Ok(()) => Trouble::Broken(format!("{} ended after {} of {} bytes", self.blob.digest, self.have, self.size)),
                Err(trouble) => trouble,
            };
            if self.have == self.size {
                break;
            }
            if let Some(host) = self.host.take() {
                self.order.session.leave(host);
            }
            if matches!(trouble, Trouble::Shorter(_)) {
                self.go_to(0).await?;
            }
            if self.have.saturating_sub(before) >= limits::PROGRESS {
                (tries, pause) = (0, self.order.session.waits.pause);
            }
            tries += 1;
            if !trouble.passes() || tries >= limits::TRIES {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.file.flush().await.map_err(local)
    }

    /// Goes on from a byte; what comes after it is gone.
    async fn go_to(&mut self, at: u64) -> Result<(), Trouble> {
        let local = |e: io::Error| Trouble::Local(e.to_string());
        self.file.flush().await.map_err(local)?;
        self.file.set_len(at).await.map_err(local)?;
        self.file.seek(io::SeekFrom::Start(at)).await.map_err(local)?;
        self.have = at;
        Ok(())
    }

    /// One request, and what comes of it. It may end early.
    async fn attempt(&mut self) -> Result<(), Trouble> {
        let mut source = self.order.session.blob(&self.blob.digest, self.have).await?;
        self.host = Some(source.host);
        self.go_to(source.start).await?;
        let stall = self.order.session.waits.stall;
        let (mut since, mut bytes) = (Instant::now(), 0);
        while let Some(chunk) = self.next(&mut source, since + stall).await? {
            let length = chunk.len() as u64;
            if self.have + length > self.size {
                return Err(Trouble::Wrong(format!("{} has more than its {} bytes", self.blob.digest, self.size)));
            }
            self.file.write_all(&chunk).await.map_err(|e| Trouble::Local(e.to_string()))?;
            self.have += length;
            self.order.ear.heard(length);
            bytes += length;
            if bytes >= limits::PROGRESS {
                (since, bytes) = (Instant::now(), 0);
            }
        }
        Ok(())
    }

    async fn next(&self, source: &mut Source, until: Instant) -> Result<Option<bytes::Bytes>, Trouble> {
        match tokio::time::timeout_at(until, source.next()).await {
            Ok(next) => next,
            Err(_) => {
                let stall = self.order.session.waits.stall;
                Err(Trouble::Wrong(format!("{}: no progress within {stall:?}", self.blob.digest)))
            }
        }
    }
}
