//! The body of a request: what its reader leaves of it is read to the end, within bounds, so that the client hears the
//! answer instead of an error.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, Request};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use transport::{Body, Error};

use crate::limits::{DRAIN, DRAIN_TIME};
use crate::line::Line;

/// How much of a body is still to come: at least, as far as its length is known.
#[derive(Debug, Default)]
pub struct Unread {
    left: AtomicU64,
}

/// A body that is not going to be asked for: the client waits for the word to send it.
const WAITS: u64 = u64::MAX;

impl Unread {
    /// Whether it is more than will be read after the answer.
    pub fn is_much(&self) -> bool {
        self.left.load(Ordering::Relaxed) > DRAIN
    }
}

/// A body that arrives.
pub struct Received {
    inner: Option<Incoming>,
    unread: Arc<Unread>,
    line: Arc<Line>,
    /// The client waits for a sign, and has not got it.
    waits: bool,
}

impl Received {
    /// Takes a request apart from its connection; with how much of its body is unread, if it has one.
    pub fn wrap(request: Request<Incoming>, line: &Arc<Line>) -> (Request<Body>, Option<Arc<Unread>>) {
        if request.body().is_end_stream() {
            return (request.map(|_| transport::empty()), None);
        }
        let unread = Arc::new(Unread::default());
        let waits = continues(request.headers());
        let left = if waits { WAITS } else { request.body().size_hint().lower() };
        unread.left.store(left, Ordering::Relaxed);
        let (counted, line) = (unread.clone(), line.clone());
        (request.map(|inner| Body::new(Received { inner: Some(inner), unread: counted, line, waits })), Some(unread))
    }
}

fn continues(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        this.waits = false;
        let polled = Pin::new(&mut *inner).poll_frame(context);
        let left = if inner.is_end_stream() { 0 } else { inner.size_hint().lower() };
        this.unread.left.store(left, Ordering::Relaxed);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.inner = None;
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take().filter(|inner| !self.waits && !inner.is_end_stream()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(drain(inner, self.line.clone()));
        }
    }
}

/// Reads what is left and throws it away. Where that is too much, the connection lingers.
async fn drain(mut inner: Incoming, line: Arc<Line>) {
    let all = async {
        let mut read = 0;
        while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut inner).poll_frame(context)).await {
            read += frame.data_ref().map_or(0, Bytes::len) as u64;
            if read > DRAIN {
                return false;
            }
        }
        true
    };
    if !tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(false) {
        line.linger();
    }
}
