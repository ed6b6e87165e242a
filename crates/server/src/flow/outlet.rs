//! The body of an answer: it belongs to the turn, which ends when the client has taken it. It is handed over in pieces, and
//! whoever sends much lets others run in between.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::oneshot;
use transport::{Body, Error};

use super::budget::Share;
use super::turn::Turn;
use crate::limits;

/// Marks answers whose bytes are made while they are sent: little of them is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Streamed;

/// The body of an answer.
pub struct Outlet {
    inner: Body,
    turn: Option<Arc<Turn>>,
    /// Of a watch: it stays counted as long as it lasts.
    _watch: Option<Arc<Turn>>,
    _share: Option<Share>,
    /// What is left of a large frame.
    rest: Bytes,
    /// Bytes since others were let run.
    sent: usize,
}

/// Marks the answer to a watch whose events do not go by the answer's body: the turn goes where they go.
#[derive(Clone)]
pub struct Elsewhere(Arc<Mutex<Option<oneshot::Sender<Arc<Turn>>>>>);

impl Elsewhere {
    /// The mark, and where the turn arrives; nothing does for a request that has none.
    pub fn new() -> (Self, oneshot::Receiver<Arc<Turn>>) {
        let (sender, receiver) = oneshot::channel();
        (Elsewhere(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    fn give(&self, turn: Arc<Turn>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever would have it is gone: so is the turn.
            let _ = sender.send(turn);
        }
    }
}

/// The events of a watch that go elsewhere: the seat is held until there is nothing more to say at once.
pub struct Events<S> {
    events: S,
    turn: Arc<Turn>,
}

impl<S> Events<S> {
    /// Of that turn.
    pub fn new(events: S, turn: Arc<Turn>) -> Self {
        begins(&turn);
        Events { events, turn }
    }
}

impl<S: Stream + Unpin> Stream for Events<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = Pin::new(&mut self.events).poll_next(context);
        if !matches!(polled, Poll::Ready(Some(_))) {
            self.turn.end();
        }
        polled
    }
}

/// A client that does not take the beginning of its watch has no seat for ever.
fn begins(turn: &Arc<Turn>) {
    let weak = Arc::downgrade(turn);
    tokio::spawn(async move {
        tokio::time::sleep(limits::WATCH_BEGINS).await;
        if let Some(turn) = weak.upgrade() {
            turn.end();
        }
    });
}

/// Makes an answer part of the turn.
pub fn attach(response: Response<Body>, turn: Arc<Turn>) -> Response<Body> {
    if let Some(elsewhere) = response.extensions().get::<Elsewhere>() {
        elsewhere.give(turn);
        return response;
    }
    let streamed = response.extensions().get::<Streamed>().is_some();
    response.map(|inner| {
        let hint = inner.size_hint();
        // A small answer is handed over in one piece: its connection has it before anybody else could run.
        if inner.is_end_stream() || hint.exact().is_some_and(|bytes| bytes <= limits::ANSWER_SMALL) {
            turn.end();
            return inner;
        }
        let bytes = hint.lower() as usize;
        let share = (!streamed && bytes >= limits::ANSWER_COUNTED).then(|| {
            let mut share = turn.share();
            share.add(bytes);
            share
        });
        let watch = turn.watch.then(|| turn.clone());
        if watch.is_some() {
            begins(&turn);
        }
        Body::new(Outlet { inner, turn: Some(turn), _watch: watch, _share: share, rest: Bytes::new(), sent: 0 })
    })
}

impl Outlet {
    fn end(&mut self) {
        if let Some(turn) = self.turn.take() {
            turn.end();
        }
    }

    fn piece(&mut self, data: Bytes) -> Frame<Bytes> {
        let mut data = data;
        self.rest = data.split_off(data.len().min(limits::PIECE));
        self.sent += data.len();
        Frame::data(data)
    }
}

impl http_body::Body for Outlet {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.sent >= limits::PIECE {
            // Whoever encrypts and sends without end would keep others from running.
            this.sent = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(this.piece(rest))));
        }
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(data) => this.piece(data),
                Err(frame) => frame,
            }))),
            Poll::Ready(other) => {
                this.end();
                Poll::Ready(other)
            }
            Poll::Pending => {
                // A watch that has said what there is needs no seat to wait for more.
                if this._watch.is_some() {
                    this.end();
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        match hint.exact() {
            Some(exact) => hint.set_exact(exact + rest),
            None => hint.set_lower(hint.lower() + rest),
        }
        hint
    }
}
