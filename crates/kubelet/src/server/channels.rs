//! Numbered channels between a client and a program, whatever carries them
//! (upstream: `cri-streaming/pkg/streaming/remotecommand`).

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

/// Standard input.
pub const STDIN: u8 = 0;
/// Standard output.
pub const STDOUT: u8 = 1;
/// Standard error.
pub const STDERR: u8 = 2;
/// How it ended.
pub const ERROR: u8 = 3;
/// Terminal sizes.
pub const RESIZE: u8 = 4;
/// Tells that the channel in its only byte is closed.
pub const CLOSE: u8 = 255;

/// Messages that wait to be sent; writers wait when it is full.
pub const QUEUE: usize = 16;

/// What the client sends.
pub type Input = BoxStream<'static, (u8, Bytes)>;

/// An open connection.
pub struct Channels {
    /// What the client sends; its end is the client's.
    pub input: Input,
    /// What the client gets.
    pub output: Output,
    /// The client reads a `Status` at the end; an older one reads the error's text, if there is one.
    pub status: bool,
}

/// Sends messages; cheap to clone. The connection closes when all are gone.
#[derive(Clone)]
pub struct Output(mpsc::Sender<(u8, Bytes)>);

impl Output {
    /// An output, and what comes out of it.
    pub fn new() -> (Self, mpsc::Receiver<(u8, Bytes)>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Output(sender), queue)
    }

    /// Sends on a channel. False when the client is gone.
    pub async fn send(&self, channel: u8, data: impl Into<Bytes>) -> bool {
        self.0.send((channel, data.into())).await.is_ok()
    }
}
