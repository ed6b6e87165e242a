//! The body of an answer on its way: it keeps its connection busy, and tells it how it is taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{Method, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use transport::{Body, Error};

use crate::line::Line;
use crate::received::Unread;

/// Marks answers that last as long as there is something to say: nobody is late in taking those.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// A request that was begun. It ends when this is dropped.
pub struct Begun {
    line: Arc<Line>,
    number: u64,
}

/// A body of an answer.
pub struct Answer {
    inner: Option<Body>,
    begun: Begun,
    /// Whether the client may be late in taking it.
    timed: bool,
    /// It was asked for before.
    asked: bool,
    parts: u8,
}

impl Begun {
    /// A request came on the line.
    pub fn new(line: Arc<Line>) -> Self {
        let number = line.begin();
        Begun { line, number }
    }

    /// Whether it is its connection's first.
    pub fn is_first(&self) -> bool {
        self.number == 1
    }

    /// Makes an answer of the response: without a body to HEAD, and with a word on the connection's end where the rest of
    /// the request is not going to be read.
    pub fn answer(self, mut response: Response<Body>, method: &Method, version: Version, unread: Option<&Unread>) -> Response<Answer> {
        let timed = response.extensions().get::<Endless>().is_none();
        if unread.is_some_and(Unread::is_much) && version <= Version::HTTP_11 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if *method == Method::HEAD {
            if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
                response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
            }
            return response.map(|_| Answer { inner: None, begun: self, timed: false, asked: false, parts: 0 });
        }
        if timed {
            self.line.offer(self.number);
        }
        response.map(|body| Answer { inner: Some(body), begun: self, timed, asked: false, parts: 0 })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.line.end(self.number);
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        // The first time follows at once upon the offer of the answer.
        if this.timed && std::mem::replace(&mut this.asked, true) {
            this.begun.line.offer(this.begun.number);
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                this.parts = this.parts.saturating_add(1);
                if this.parts == 1 && this.timed && !inner.is_end_stream() {
                    this.begun.line.watch();
                }
            }
            // What the body holds is given back before the connection is.
            Poll::Ready(_) => this.inner = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::net::{IpAddr, Ipv4Addr};

    #[tokio::test]
    async fn head_has_the_length_of_a_body_and_no_body() {
        let line = Arc::new(Line::new(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let begun = Begun::new(line.clone());
        assert!(line.seen(0).idle.is_none());
        let response = Response::new(transport::full("twelve bytes"));
        let answer = begun.answer(response, &Method::HEAD, Version::HTTP_2, None);
        assert_eq!(answer.headers()[CONTENT_LENGTH], "12");
        assert!(answer.body().is_end_stream());
        assert!(answer.collect().await.expect("well").to_bytes().is_empty());
        assert!(line.seen(0).idle.is_some());
    }
}
