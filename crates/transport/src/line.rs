//! A whole body with a line break behind it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::Error;

/// Up to here one frame with a copy costs less than two.
const SMALL: usize = 16 * 1024;
const BREAK: &[u8] = b"\n";

/// See the module.
pub struct Line {
    parts: [Bytes; 2],
}

impl Line {
    /// These bytes, and a line break.
    pub fn new(bytes: Bytes) -> Self {
        if bytes.len() > SMALL {
            return Line { parts: [bytes, Bytes::from_static(BREAK)] };
        }
        let mut whole = BytesMut::with_capacity(bytes.len() + BREAK.len());
        whole.put(bytes);
        whole.put(BREAK);
        Line { parts: [whole.freeze(), Bytes::new()] }
    }

    fn left(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

impl http_body::Body for Line {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let next = self.parts.iter_mut().find(|part| !part.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body::Body;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn the_length_is_known_and_right() {
        for length in [0, 1, SMALL, SMALL + 1] {
            let line = Line::new(Bytes::from(vec![b'x'; length]));
            assert_eq!(line.size_hint().exact(), Some(length as u64 + 1));
            let whole = line.collect().now_or_never().expect("at once").expect("no error").to_bytes();
            assert_eq!((whole.len(), whole.last()), (length + 1, Some(&b'\n')));
        }
    }
}
