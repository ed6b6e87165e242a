//! The body of a request while it is read: it has to come, its bytes count, and while the client makes the server wait it
//! holds no seat.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body as _, Frame, SizeHint};
use meta::{Reason, Status};
use tokio::time::{Instant, Sleep};
use transport::{Body, Error};

use super::budget::Share;
use super::turn::Turn;
use crate::limits;

/// A body that is being read on behalf of a turn.
pub struct Intake {
    inner: Body,
    turn: Arc<Turn>,
    share: Share,
    /// Since the body was waited for for the first time.
    slow: Option<Slow>,
    /// The way back to the seats.
    back: Option<Own<Result<(), Status>>>,
    /// The way to more bytes.
    room: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    lent: bool,
    ended: bool,
    /// It was asked for, and the connection had no time to hand it over yet.
    asked: bool,
}

/// A future that only its owner polls, and which therefore may be shared.
struct Own<T>(std::sync::Mutex<BoxFuture<'static, T>>);

impl<T> Own<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<T> {
        let future = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        future.as_mut().poll(context)
    }
}

/// The clock of a body that does not come at once.
struct Slow {
    began: Instant,
    /// The end of the present window, and what came in it.
    window: Pin<Box<Sleep>>,
    came: usize,
}

impl Intake {
    /// The body, to be read by whoever has this turn.
    pub fn wrap(inner: Body, turn: Arc<Turn>) -> Body {
        if inner.is_end_stream() {
            return inner;
        }
        let share = turn.share();
        Body::new(Intake { inner, turn, share, slow: None, back: None, room: None, lent: false, ended: false, asked: false })
    }

    /// Notes that the client is waited for; an error when that took too long.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if !self.lent && self.turn.lend() {
            self.lent = true;
            self.share.add(limits::BODY_LEAST);
        }
        let slow = self.slow.get_or_insert_with(|| Slow {
            began: Instant::now(),
            window: Box::pin(tokio::time::sleep(limits::BODY_WINDOW)),
            came: 0,
        });
        while slow.window.as_mut().poll(context).is_ready() {
            let late = slow.began.elapsed() >= limits::BODY_TIME;
            if late || slow.came < limits::BODY_PROGRESS {
                return Poll::Ready(Err(too_slow()));
            }
            slow.came = 0;
            let window = Instant::now() + limits::BODY_WINDOW;
            slow.window.as_mut().reset(window);
        }
        Poll::Pending
    }

    /// The end, or the seats first if they were lent.
    fn finish(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.lent && self.back.is_none() {
            self.back = Some(Own(std::sync::Mutex::new(Box::pin(self.turn.clone().resume()))));
        }
        let Some(back) = &mut self.back else { return Poll::Ready(None) };
        let seated = ready!(back.poll(context));
        (self.back, self.lent) = (None, false);
        Poll::Ready(seated.err().map(|status| Err(status.into())))
    }
}

/// The refusal of a body that does not come.
fn too_slow() -> Status {
    let mut status = Status::new(Reason::Timeout, "the body of the request did not come in time");
    status.code = 408;
    status
}

impl http_body::Body for Intake {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        // A body whose length was said ends with its last byte: nobody waits for its connection to say so.
        this.ended |= this.inner.is_end_stream();
        if this.ended {
            return this.finish(context);
        }
        if this.share.is_over() && this.room.is_none() {
            this.room = Some(Box::pin(this.share.room()));
        }
        if let Some(room) = &mut this.room {
            if room.as_mut().poll(context).is_pending() {
                return this.wait(context).map(|late| late.err().map(|status| Err(status.into())));
            }
            this.room = None;
        }
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.share.add(bytes);
                if let Some(slow) = &mut this.slow {
                    slow.came += bytes;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Ready(None) => {
                this.ended = true;
                this.finish(context)
            }
            // The connection reads a body only when it is asked for: most of them are there by then.
            Poll::Pending if !std::mem::replace(&mut this.asked, true) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => this.wait(context).map(|late| late.err().map(|status| Err(status.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
