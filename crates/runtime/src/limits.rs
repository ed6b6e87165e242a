//! Every limit on what registries and images may ask of this node. Those that others have too are the same as in
//! `meta::limits`; the node agent, which knows both, holds them together.

use std::time::Duration;

/// The largest manifest, index or configuration of an image, in bytes (containerd: `MaxManifestSize`; registries take no
/// larger ones).
pub const DOCUMENT: u64 = 4 << 20;
/// The largest answer with a token, in bytes. A token travels in a header of every request.
pub const TOKEN: u64 = 64 << 10;
/// What is read of the body of a refusal, in bytes; and what is told of it, in characters.
pub const REFUSAL: u64 = 16 << 10;
/// See [`REFUSAL`].
pub const REFUSAL_TOLD: usize = 512;
/// Redirects of one request (Go's `net/http`).
pub const REDIRECTS: usize = 10;
/// Headers of an answer.
pub const HEADERS: usize = 100;
/// Layers of an image: more cannot be mounted (containerd says the same of "some runtimes").
pub const LAYERS: usize = 128;
/// Places of an image that each of its containers has a copy of (`VOLUME`).
pub const VOLUMES: usize = 128;
/// Entries of an index.
pub const INDEX: usize = 1024;
/// How deep indexes may lie in indexes; and the documents that are read to find the image for this machine.
pub const NESTED: usize = 4;
/// See [`NESTED`].
pub const DOCUMENTS: usize = 64;
/// What all layers of an image may be when they are unpacked, in bytes, however much room there is.
pub const UNPACKED: u64 = 256 << 30;
/// Files, directories and links of an image.
pub const ENTRIES: u64 = 4 << 20;
/// Looks into the layers of an image for directories that the layers above do not name.
pub const LOOKS: u64 = 64 << 20;
/// The part of a file system, in hundredths, that an image must leave free, bytes and inodes (upstream's
/// `evictionHard`: `nodefs.available<10%`).
pub const RESERVE: u64 = 10;
/// But not more than this, in bytes: enough for the store, and large disks are used.
pub const RESERVE_BYTES: u64 = 1 << 30;

/// The longest until a connection is there, TLS included (containerd: 30 s for TCP).
pub const CONNECT: Duration = Duration::from_secs(30);
/// The longest until an answer begins.
pub const HEAD: Duration = Duration::from_secs(60);
/// The longest silence within an answer: then another try goes on from there.
pub const IDLE: Duration = Duration::from_secs(60);
/// The longest time without progress (containerd: `image_pull_progress_timeout`).
pub const STALL: Duration = Duration::from_secs(300);
/// What counts as progress, in bytes: who sends less in [`STALL`] sends nothing.
pub const PROGRESS: u64 = 64 << 10;
/// Tries for one blob without [`PROGRESS`] in between, and the pause after the first, which doubles.
pub const TRIES: u32 = 5;
/// See [`TRIES`].
pub const PAUSE: Duration = Duration::from_secs(1);

/// Images that are fetched at the same time.
pub const PULLS: usize = 32;
/// The same, of one registry.
pub const PULLS_EACH: usize = 4;
/// Layers of an image that are fetched at the same time (containerd: `max_concurrent_downloads`).
pub const BLOBS: usize = 3;
/// Images that are unpacked at the same time.
pub const UNPACKING: usize = 2;
/// Where all [`PULLS`] are taken, who has heard nothing for so long gives way.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long the beginning of a blob is kept for another try.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The times that one store waits for registries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// See [`CONNECT`].
    pub connect: Duration,
    /// See [`HEAD`].
    pub head: Duration,
    /// See [`IDLE`].
    pub idle: Duration,
    /// See [`STALL`].
    pub stall: Duration,
    /// See [`PAUSE`].
    pub pause: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { connect: CONNECT, head: HEAD, idle: IDLE, stall: STALL, pause: PAUSE }
    }
}
