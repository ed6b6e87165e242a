//! SPDY/3.1 frames on a byte stream (the draft, 2.2 and 2.6).

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::headers::{Headers, Packer, Unpacker, invalid};

const VERSION: u16 = 3;
const FIN: u8 = 1;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
/// Largest control frame; data may be longer, and comes in parts.
const MAX_CONTROL: usize = 64 * 1024;
/// Largest part of data handed on at once.
const MAX_PART: usize = 32 * 1024;

/// One frame, or a part of a long data frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum Frame {
    SynStream { stream: u32, fin: bool, headers: Headers },
    SynReply { stream: u32, headers: Headers },
    Reset { stream: u32, status: u32 },
    Data { stream: u32, fin: bool, data: Bytes },
    Ping(u32),
    GoAway { last: u32 },
}

/// Reads frames.
pub struct Reader<R> {
    from: R,
    unpacker: Unpacker,
    /// Stream, end mark and missing bytes of a data frame that is not read to its end.
    open: Option<(u32, bool, usize)>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// From the connection's first byte.
    pub fn new(from: R) -> Self {
        Reader { from, unpacker: Unpacker::new(), open: None }
    }

    /// The next frame that matters; `None` at the end. Settings and window sizes do not: the peers of this
    /// protocol send as much as the connection takes.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((stream, fin, left)) = self.open.take() {
                return self.part(stream, fin, left).await.map(Some);
            }
            let mut head = [0; 8];
            match self.from.read_exact(&mut head).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                other => other?,
            };
            let [a, b, c, d, flags, x, y, z] = head;
            let (first, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([0, x, y, z]) as usize);
            if first >> 31 == 0 {
                self.open = Some((first, flags & FIN != 0, length));
                continue;
            }
            if length > MAX_CONTROL {
                return Err(invalid("a control frame is too long"));
            }
            let mut body = vec![0; length];
            self.from.read_exact(&mut body).await?;
            if let Some(frame) = self.control((first & 0xffff) as u16, flags, &body)? {
                return Ok(Some(frame));
            }
        }
    }

    async fn part(&mut self, stream: u32, fin: bool, left: usize) -> io::Result<Frame> {
        let mut data = vec![0; left.min(MAX_PART)];
        self.from.read_exact(&mut data).await?;
        let left = left - data.len();
        if left > 0 {
            self.open = Some((stream, fin, left));
        }
        Ok(Frame::Data { stream, fin: fin && left == 0, data: Bytes::from(data) })
    }

    fn control(&mut self, kind: u16, flags: u8, body: &[u8]) -> io::Result<Option<Frame>> {
        let word = |at: usize| {
            let bytes = body.get(at..at + 4).and_then(|b| b.first_chunk::<4>());
            bytes.map(|b| u32::from_be_bytes(*b)).ok_or_else(|| invalid("a control frame ends early"))
        };
        let id = |at| word(at).map(|w| w & 0x7fff_ffff);
        Ok(Some(match kind {
            SYN_STREAM => {
                let block = body.get(10..).ok_or_else(|| invalid("a control frame ends early"))?;
                let headers = self.unpacker.unpack(block)?;
                Frame::SynStream { stream: id(0)?, fin: flags & FIN != 0, headers }
            }
            SYN_REPLY => {
                let stream = id(0)?;
                Frame::SynReply { stream, headers: self.unpacker.unpack(&body[4..])? }
            }
            RST_STREAM => Frame::Reset { stream: id(0)?, status: word(4)? },
            PING => Frame::Ping(word(0)?),
            GOAWAY => Frame::GoAway { last: id(0)? },
            _ => return Ok(None),
        }))
    }
}

/// Writes frames.
pub struct Writer<W> {
    to: W,
    packer: Packer,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// From the connection's first byte.
    pub fn new(to: W) -> io::Result<Self> {
        Ok(Writer { to, packer: Packer::new()? })
    }

    /// Writes one; flush afterwards.
    pub async fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let (kind, flags, body) = match frame {
            Frame::Data { stream, fin, data } => {
                self.head(*stream, u8::from(*fin) * FIN, data.len()).await?;
                return self.to.write_all(data).await;
            }
            Frame::SynStream { stream, fin, headers } => {
                let mut body = stream.to_be_bytes().to_vec();
                // No associated stream, lowest priority, no slot.
                body.extend_from_slice(&[0; 6]);
                body.extend(self.packer.pack(headers)?);
                (SYN_STREAM, u8::from(*fin) * FIN, body)
            }
            Frame::SynReply { stream, headers } => {
                let mut body = stream.to_be_bytes().to_vec();
                body.extend(self.packer.pack(headers)?);
                (SYN_REPLY, 0, body)
            }
            Frame::Reset { stream, status } => (RST_STREAM, 0, [stream.to_be_bytes(), status.to_be_bytes()].concat()),
            Frame::Ping(id) => (PING, 0, id.to_be_bytes().to_vec()),
            Frame::GoAway { last } => (GOAWAY, 0, [last.to_be_bytes(), [0; 4]].concat()),
        };
        self.head(1 << 31 | u32::from(VERSION) << 16 | u32::from(kind), flags, body.len()).await?;
        self.to.write_all(&body).await
    }

    async fn head(&mut self, first: u32, flags: u8, length: usize) -> io::Result<()> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if length >> 24 != 0 {
            return Err(invalid("a frame is too long"));
        }
        let mut head = [0; 8];
        head[..4].copy_from_slice(&first.to_be_bytes());
        head[4..].copy_from_slice(&(u32::from(flags) << 24 | length).to_be_bytes());
        self.to.write_all(&head).await
    }

    /// Sends what is buffered.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.to.flush().await
    }

    /// Ends this direction.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.to.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back() {
        let headers: Headers = [("streamtype".to_owned(), "data".to_owned())].into();
        let long = Bytes::from(vec![7; MAX_PART + 1]);
        let frames = [
            Frame::SynStream { stream: 1, fin: false, headers: headers.clone() },
            Frame::SynReply { stream: 1, headers },
            Frame::Data { stream: 1, fin: false, data: Bytes::from_static(b"x") },
            Frame::Ping(3),
            Frame::Reset { stream: 1, status: 5 },
            Frame::GoAway { last: 1 },
        ];
        let mut wire = Vec::new();
        let mut writer = Writer::new(&mut wire).expect("ready");
        for frame in &frames {
            writer.write(frame).await.expect("written");
        }
        writer.write(&Frame::Data { stream: 5, fin: true, data: long.clone() }).await.expect("written");
        let mut reader = Reader::new(wire.as_slice());
        for frame in frames {
            assert_eq!(reader.next().await.expect("read"), Some(frame));
        }
        let parts = [(false, long.slice(..MAX_PART)), (true, long.slice(MAX_PART..))];
        for (fin, data) in parts {
            assert_eq!(reader.next().await.expect("read"), Some(Frame::Data { stream: 5, fin, data }));
        }
        assert_eq!(reader.next().await.expect("read"), None);
    }
}
