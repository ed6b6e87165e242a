//! Bounds of what a client may make the server do.

use std::time::Duration;

/// One connection at most for so many descriptors of the process: its own parts need the others.
pub const DESCRIPTORS: u64 = 2;
/// How long open requests may take to end after the server was told to stop.
pub const GRACE: Duration = Duration::from_secs(10);
/// Bytes of all bodies that are being read and of all answers that were not taken yet.
pub const BYTES: usize = 256 << 20;
/// What a body that is waited for counts at least, in bytes: the request around it takes memory too.
pub const BODY_LEAST: usize = 16 << 10;
/// The longest that the beginning of a watch holds a seat.
pub const WATCH_BEGINS: Duration = Duration::from_secs(30);
/// Answers up to this size, in bytes, do not keep their turn until they were taken.
pub const ANSWER_SMALL: u64 = 8 << 10;
/// Answers from this size on count, in bytes.
pub const ANSWER_COUNTED: usize = 64 << 10;
/// The longest that a body may take to come, from the moment when it is waited for.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// In each such time, …
pub const BODY_WINDOW: Duration = Duration::from_secs(5);
/// … at least so many bytes of a body must come.
pub const BODY_PROGRESS: usize = 4 << 10;
/// The longest answer of a webhook, in bytes: objects of a batch may each have grown as far as objects may.
pub const WEBHOOK_ANSWER: usize = 12 << 20;
/// What is shown of a webhook's refusal, in characters.
pub const WEBHOOK_REFUSAL: usize = 2048;
/// Webhooks whose connections and authorities are remembered (upstream: `defaultCacheSize`).
pub const WEBHOOKS: usize = 200;
/// Connections to a webhook that wait to be used again.
pub const WEBHOOK_IDLE: usize = 8;
/// How long they wait.
pub const WEBHOOK_IDLE_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer that are handed to its connection at once: then others run.
pub const PIECE: usize = 64 << 10;
