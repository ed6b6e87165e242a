//! A client as thin as can be, so that little of what is measured is its own work: HTTP/1.1 over TLS, one
//! request at a time on one connection.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How much is read at once: little, so that a thousand clients need little memory, and more while the answer
/// is long.
const CHUNK: usize = 16 * 1024;
const LONG: usize = 256 * 1024;

/// One connection.
pub struct Client {
    stream: TlsStream<TcpStream>,
    /// What was read and not used yet.
    buffer: Vec<u8>,
}

/// How the end of a body is known.
enum Length {
    Bytes(usize),
    Chunks,
}

/// A GET, ready to send.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: ironclad\r\naccept: application/json\r\n\r\n").into_bytes()
}

/// A POST of JSON, ready to send.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    request("POST", path, "application/json", body)
}

/// A request with a body, ready to send.
pub fn request(method: &str, path: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: ironclad\r\naccept: application/json\r\ncontent-type: {media}\r\n\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

impl Client {
    /// Connects and shakes hands.
    pub async fn connect(address: SocketAddr, tls: Arc<rustls::ClientConfig>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(ServerName::from(address.ip()), stream).await?;
        Ok(Client { stream, buffer: Vec::new() })
    }

    /// Sends a prepared request and returns the length of the answer's body; an error for anything but a success.
    pub async fn send(&mut self, request: &[u8]) -> Result<usize> {
        self.begin(request).await?;
        match self.head().await? {
            Length::Bytes(length) => self.skip(length).await,
            Length::Chunks => {
                let mut total = 0;
                while let Some(length) = self.chunk().await? {
                    total += self.skip(length).await?;
                    self.skip(2).await?;
                }
                self.skip(2).await?;
                Ok(total)
            }
        }
    }

    /// Sends the beginning of a request and does not wait for an answer.
    pub async fn begin(&mut self, part: &[u8]) -> Result<()> {
        self.stream.write_all(part).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends a prepared request and returns the answer's body, whose length the answer says.
    pub async fn body(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.begin(request).await?;
        let Length::Bytes(length) = self.head().await? else { bail!("the answer does not say its length") };
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Sends a prepared request and returns the answer's status and body, whatever they are. An error: the connection
    /// ended before the answer did.
    pub async fn answer(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.begin(request).await?;
        let (code, length) = self.status().await?;
        let mut body = Vec::new();
        match length {
            Length::Bytes(length) => self.take(length, &mut body).await?,
            Length::Chunks => {
                while let Some(length) = self.chunk().await? {
                    self.take(length, &mut body).await?;
                    self.skip(2).await?;
                }
                self.skip(2).await?;
            }
        }
        Ok((code, body))
    }

    /// Takes bytes of a body.
    async fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Result<()> {
        while self.buffer.len() < length {
            self.more().await.context("in a body")?;
        }
        body.extend(self.buffer.drain(..length));
        Ok(())
    }

    /// GETs a path and returns the length of the body.
    pub async fn get(&mut self, path: &str) -> Result<usize> {
        self.send(&get(path)).await
    }

    /// POSTs JSON.
    pub async fn post(&mut self, path: &str, body: &[u8]) -> Result<usize> {
        self.send(&post(path, body)).await
    }

    /// Watches until an event is the one waited for.
    pub async fn watch_until(&mut self, path: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
        let mut found = Ok(false);
        self.watch(path, |line| {
            found = serde_json::from_slice(line).map(|event| is_it(&event));
            !matches!(found, Ok(false))
        })
        .await?;
        Ok(found.map(drop)?)
    }

    /// Hands every event of a watch over, as its line, until that returns `true`.
    pub async fn watch(&mut self, path: &str, mut event: impl FnMut(&[u8]) -> bool) -> Result<()> {
        self.stream.write_all(&get(path)).await?;
        self.stream.flush().await?;
        let Length::Chunks = self.head().await? else { bail!("the watch is no stream") };
        let mut line = Vec::new();
        while let Some(length) = self.chunk().await? {
            while self.buffer.len() < length + 2 {
                self.more().await?;
            }
            line.extend(self.buffer.drain(..length + 2).take(length));
            let mut used = 0;
            while let Some(end) = line[used..].iter().position(|b| *b == b'\n') {
                if event(&line[used..used + end]) {
                    return Ok(());
                }
                used += end + 1;
            }
            line.drain(..used);
        }
        bail!("the watch ended")
    }

    async fn more(&mut self) -> Result<()> {
        let room = if self.buffer.len() >= CHUNK { LONG } else { CHUNK };
        self.buffer.reserve(room);
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
        Ok(())
    }

    /// Reads up to the body; an error for anything but a success.
    async fn head(&mut self) -> Result<Length> {
        let (code, length) = self.status().await?;
        if !(200..300).contains(&code) {
            // The reason, if it did not come with the head.
            if self.buffer.is_empty() {
                self.more().await.ok();
            }
            bail!("{code}: {}", String::from_utf8_lossy(&self.buffer));
        }
        Ok(length)
    }

    /// Reads up to the body, whatever the status is.
    async fn status(&mut self) -> Result<(u16, Length)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(end) = response.parse(&self.buffer)? else {
                self.more().await?;
                continue;
            };
            let value = |name: &str| response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
            let length = match value("content-length") {
                Some(text) => Length::Bytes(std::str::from_utf8(text)?.parse()?),
                None => Length::Chunks,
            };
            let code = response.code.unwrap_or(0);
            self.buffer.drain(..end);
            return Ok((code, length));
        }
    }

    /// The length of the next chunk; `None` after the last.
    async fn chunk(&mut self) -> Result<Option<usize>> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete((end, length))) => {
                    self.buffer.drain(..end);
                    return Ok((length > 0).then_some(usize::try_from(length)?));
                }
                Ok(httparse::Status::Partial) => self.more().await?,
                Err(_) => bail!("a chunk without a length"),
            }
        }
    }

    /// Drops bytes of a body; returns how many.
    async fn skip(&mut self, length: usize) -> Result<usize> {
        let mut left = length;
        loop {
            let here = left.min(self.buffer.len());
            left -= here;
            if left == 0 {
                self.buffer.drain(..here);
                return Ok(length);
            }
            self.buffer.clear();
            self.buffer.reserve(left.min(LONG));
            self.more().await.context("in a body")?;
        }
    }
}
