//! The stream below HTTP: it notes that the client speaks, and ends such that the client hears the last answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::limits::{LINGER, LINGER_BYTES};
use crate::first::FirstLine;
use crate::heads::Heads;
use crate::line::Line;
use crate::slots::Slot;

/// A connection's bytes. Its place is free when this is dropped, also after an upgrade.
pub struct Wire {
    stream: TlsStream<TcpStream>,
    line: Arc<Line>,
    /// While the first line comes.
    first: Option<FirstLine>,
    /// Over HTTP/2, and what it has put out that was not read yet.
    heads: Option<Heads>,
    waiting: Vec<u8>,
    read: usize,
    _slot: Slot,
    /// After the last word.
    end: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Wire {
    /// The stream of that line.
    pub fn new(stream: TlsStream<TcpStream>, line: Arc<Line>, slot: Slot, heads: Option<Heads>) -> Self {
        let first = heads.is_none().then(FirstLine::new);
        Wire { stream, line, first, heads, waiting: Vec::new(), read: 0, _slot: slot, end: None }
    }

    /// Reads frames of HTTP/2.
    fn frames(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.read < self.waiting.len() {
                let left = &self.waiting[self.read..];
                let part = &left[..left.len().min(buffer.remaining())];
                buffer.put_slice(part);
                self.read += part.len();
                if self.read == self.waiting.len() {
                    (self.waiting, self.read) = (Vec::new(), 0);
                }
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let Some(heads) = self.heads.as_mut().filter(|_| buffer.filled().len() > before) else { return Poll::Ready(Ok(())) };
            self.line.heard();
            if heads.passes(&buffer.filled()[before..]) {
                return Poll::Ready(Ok(()));
            }
            heads.pass(&buffer.filled()[before..], &mut self.waiting)?;
            buffer.set_filled(before);
        }
    }

    /// Reads and throws away what the client still sends, until it has heard that nobody listens.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (sleep, read) = self.end.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), 0));
        let mut bytes = [0; 16 << 10];
        while *read < LINGER_BYTES && sleep.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let tcp = Pin::new(self.stream.get_mut().0);
            if ready!(tcp.poll_read(context, &mut buffer)).is_err() || buffer.filled().is_empty() {
                break;
            }
            *read += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.heads.is_some() {
            return self.frames(context, buffer);
        }
        let before = buffer.filled().len();
        loop {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            self.line.heard();
            let Some(first) = &mut self.first else { return Poll::Ready(Ok(())) };
            let kept = first.pass(&mut buffer.filled_mut()[before..]);
            if let Some(cut) = first.over() {
                self.line.cut(cut);
                self.first = None;
            }
            buffer.set_filled(before + kept);
            // Nothing would mean the end.
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.line.lingers() { self.linger(context) } else { Poll::Ready(Ok(())) }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
