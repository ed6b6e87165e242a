//! A connection to a kubelet or a pod whose first request has a longer query than the library above can say.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use transport::long::Rest;

/// Puts the rest of the query where it belongs in the first line that is written.
pub struct Lengthened<S> {
    stream: S,
    rest: Option<Rest>,
    /// Whether there was a rest: then bytes come in one piece.
    long: bool,
    /// The beginning, and how much of it was written.
    beginning: (Vec<u8>, usize),
}

impl<S: AsyncWrite + Unpin> Lengthened<S> {
    /// Without a rest everything passes as it is.
    pub fn new(stream: S, rest: Option<Rest>) -> Self {
        Lengthened { stream, long: rest.is_some(), rest, beginning: (Vec::new(), 0) }
    }

    /// Writes what waits.
    fn poll_beginning(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (bytes, written) = &mut self.beginning;
        while *written < bytes.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        *bytes = Vec::new();
        *written = 0;
        Poll::Ready(Ok(()))
    }
}

/// The same head with the rest of the query before the version. The library writes a first line at once.
fn lengthened(head: &[u8], rest: &str) -> io::Result<Vec<u8>> {
    let line = head.iter().position(|byte| *byte == b'\r').unwrap_or(0);
    let version = head[..line].iter().rposition(|byte| *byte == b' ');
    let version = version.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a request without a first line"))?;
    Ok([&head[..version], rest.as_bytes(), &head[version..]].concat())
}

impl<S: AsyncRead + Unpin> AsyncRead for Lengthened<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lengthened<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(rest) = self.rest.take() {
            self.beginning.0 = lengthened(bytes, rest.text())?;
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_beginning(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_beginning(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_beginning(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.long {
            let first = buffers.iter().find(|buffer| !buffer.is_empty()).map_or(&[][..], |buffer| buffer);
            return self.poll_write(context, first);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        !self.long && self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_rest_stands_before_the_version() {
        let rest = "b".repeat(1 << 20);
        let (near, mut far) = tokio::io::duplex(1000);
        let mut long = Lengthened::new(near, Some(Rest::new(&rest, None)));
        let reads = tokio::spawn(async move {
            let mut all = String::new();
            far.read_to_string(&mut all).await.expect("text");
            all
        });
        long.write_all(b"GET /?a HTTP/1.1\r\nhost: a b\r\n\r\n").await.expect("written");
        long.write_all(b"more").await.expect("written");
        long.shutdown().await.expect("ended");
        drop(long);
        assert!(reads.await.expect("read") == format!("GET /?a{rest} HTTP/1.1\r\nhost: a b\r\n\r\nmore"));
        assert_eq!(lengthened(b"GET", "x").expect_err("no line").kind(), io::ErrorKind::InvalidData);
    }
}
