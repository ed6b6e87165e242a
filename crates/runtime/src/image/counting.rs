//! Bytes on their way out, counted into a digest.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

use super::stage;

/// Passes bytes on; knows their digest and how many they were.
pub(super) struct Counting<W> {
    inner: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Counting<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    /// `sha256:…` and bytes.
    pub(super) fn finish(self) -> (String, u64) {
        (stage::hex(self.context.finish().as_ref()), self.bytes)
    }
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.context.update(&buffer[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
