//! The thread that writes, and what happens when it cannot go on.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::health::Health;
use super::writer::{self, Request, Spawn, Writer};
use crate::Error;

/// Told once when nobody knows any more what is on disk. It should not return.
pub type Lost = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes in one frame, and about how many bytes.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 16 << 20;
/// `EX_IOERR` of `sysexits.h`.
const EXIT: i32 = 74;

/// Ends the process at once, with one line: whoever supervises it starts it again.
pub(super) fn end_process() -> Lost {
    Arc::new(|why| {
        tracing::error!(error = why, "the store cannot go on, the process ends");
        // Standard error may be gone.
        let _ = writeln!(io::stderr(), "error: the store cannot go on: {why}");
        // SAFETY: nothing of the process is used any more. Handlers at exit could wait for this very thread.
        unsafe { libc::_exit(EXIT) }
    })
}

/// Has jobs done by a thread each; there is never more than one.
pub(super) fn elsewhere() -> Spawn {
    Box::new(|job| Builder::new().name("store-snapshot".to_owned()).spawn(job).map(drop))
}

/// Starts the thread. It serves until it is told to close, or nobody can ask any more.
pub(super) fn start(
    writer: Writer,
    health: Arc<Health>,
    queue: Receiver<Request>,
    lost: Lost,
) -> Result<JoinHandle<()>, Error> {
    let run = move || {
        let served = catch_unwind(AssertUnwindSafe(|| serve(writer, &health, &queue)));
        health.end();
        match served {
            Ok(Ok(())) => {}
            // The queue is dropped after this: who waits in it gets no answer.
            Ok(Err(writer::Lost(why))) => lost(&why),
            Err(_) => lost("the writer panicked"),
        }
    };
    let thread = Builder::new().name("store-writer".to_owned()).spawn(run);
    thread.map_err(|e| Error::Io(format!("start a thread: {e}")))
}

fn serve(mut writer: Writer, health: &Health, queue: &Receiver<Request>) -> Result<(), writer::Lost> {
    let mut requests = Vec::new();
    loop {
        let first = next(queue, writer.deadline());
        health.busy(Some(Instant::now()));
        let mut bytes = 0;
        match first {
            Ok(request) => {
                bytes += request.size();
                requests.push(request);
            }
            Err(RecvTimeoutError::Timeout) => writer.flush_lazy()?,
            Err(RecvTimeoutError::Disconnected) => requests.push(Request::Close),
        }
        while requests.len() < BATCH && bytes < BATCH_BYTES {
            let Ok(request) = queue.try_recv() else { break };
            bytes += request.size();
            requests.push(request);
        }
        let close = writer.serve(requests.drain(..))?;
        health.busy(None);
        if close {
            writer.close();
            return Ok(());
        }
    }
}

fn next(queue: &Receiver<Request>, deadline: Option<Instant>) -> Result<Request, RecvTimeoutError> {
    match deadline {
        None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))),
    }
}
