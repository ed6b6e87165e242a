//! Bounds of connections.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

/// The longest that a TLS handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest from a connection's first byte, or from the first byte of a further request, to the end of its head
/// (upstream: `ReadHeaderTimeout`).
pub const HEAD: Duration = Duration::from_secs(32);
/// The longest without a request (upstream: `IdleTimeout`).
pub const IDLE: Duration = Duration::from_secs(90);
/// Who does not take the next part of an answer for so long loses the connection.
pub const STALL: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a body that nobody wants which are read all the same, so that the client hears the answer; and for how long
/// (Go: `maxPostHandlerReadBytes`).
pub const DRAIN: u64 = 256 << 10;
/// See [`DRAIN`].
pub const DRAIN_TIME: Duration = Duration::from_secs(5);
/// After the last answer on a connection whose client still sends: so long, and so many bytes, until it is closed. Closed
/// at once, the kernel would throw away what the client has not read yet (Go: `rstAvoidanceDelay`).
pub const LINGER: Duration = Duration::from_secs(1);
/// See [`LINGER`].
pub const LINGER_BYTES: usize = 8 << 20;

/// HTTP/2 windows: what a client may send of one stream, and of all of a connection, before it is read.
pub const STREAM_WINDOW: u32 = 256 << 10;
/// See [`STREAM_WINDOW`].
pub const CONNECTION_WINDOW: u32 = 4 << 20;
/// Requests at once on one HTTP/2 connection: upstream's.
pub const STREAMS: u32 = 1000;
/// Streams that a client reset before they were looked at; more end the connection (CVE-2023-44487).
pub const RESET_STREAMS: usize = 20;
/// Streams that were reset here for a client's errors; more end the connection.
pub const ERROR_STREAMS: usize = 256;
/// Bytes of a request's head.
pub const HEAD_BYTES: usize = 64 << 10;
/// Over HTTP/2 one of so many bytes is read, so that it can be answered; beyond four times as many the connection ends (Go:
/// `DefaultMaxHeaderBytes`).
pub const HEAD_READ: u32 = 1152 << 10;
/// Bytes of frames that are put together to one head, over HTTP/2, to see whether its path is long.
pub const GATHERED: usize = 1280 << 10;
/// Bytes that HTTP/2 counts for each field of a head besides its name and value.
pub const FIELD: usize = 32;
/// Bytes of a first line, on a connection's first request, and of a path over HTTP/2 (Go: `DefaultMaxHeaderBytes`).
pub const LINE: usize = 1 << 20;
/// Lines at once that are longer than what the library below takes, and heads over HTTP/2 that are longer than [`HEAD_BYTES`].
/// Beyond that, who sends such a line is told so, and the connection of such a head ends.
pub const LONG_LINES: usize = 16;
/// How often an idle HTTP/2 connection is asked for a sign of life, so that the watches of dead clients end.
pub const PING: Duration = Duration::from_secs(30);

/// The part of the process's descriptors that one listener may use: `1/of` of them.
pub fn share(of: u64) -> usize {
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft).min(1 << 20);
    usize::try_from(soft / of.max(1)).unwrap_or(usize::MAX).max(8)
}
