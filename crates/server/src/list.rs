//! The body of a LIST: the encoded items one after the other, never encoded again.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Frame, SizeHint};
use kinds::Descriptor;
use meta::{Encoded, Status};
use registry::api::List;
use schema::proto;
use serde_json::{Map, Value};
use transport::Error;

/// Bytes handed to the connection at once: large enough that TLS records and system calls are full,
/// small enough that a list of any size needs little memory, and that others need not wait for it.
const CHUNK: usize = 64 * 1024;

/// What a list ends with; the line break is Go's encoder's.
const END: Bytes = Bytes::from_static(b"]}\n");

/// Bodies from this size on are compressed, if the client accepts it (upstream: `responsewriters`).
pub const GZIP_FROM: u64 = 128 * 1024;

/// `{"resourceVersion":"7","continue":"…","remainingItemCount":3}`.
pub fn metadata(list: &List) -> String {
    let mut out = format!(r#"{{"resourceVersion":"{}""#, list.revision);
    if !list.continue_token.is_empty() {
        out.push_str(&format!(r#","continue":{}"#, serde_json::Value::from(&*list.continue_token)));
    }
    if let Some(count) = list.remaining.filter(|_| !list.continue_token.is_empty()) {
        out.push_str(&format!(r#","remainingItemCount":{count}"#));
    }
    out.push('}');
    out
}

/// Cuts the type fields off an item: upstream's typed lists print items without them. The encoding puts
/// them first, so nothing is parsed.
#[derive(Debug)]
struct Trim {
    prefix: String,
}

impl Trim {
    fn new(kind: &Descriptor) -> Self {
        Trim { prefix: format!(r#"{{"kind":"{}","apiVersion":"{}","#, kind.gvk.kind, kind.gvk.api_version()) }
    }

    /// What to print after an opening brace, or the whole item if it does not begin as expected.
    fn item<'a>(&self, json: &'a [u8]) -> (&'static [u8], &'a [u8]) {
        match json.strip_prefix(self.prefix.as_bytes()) {
            Some(rest) => (b"{", rest),
            None => (b"", json),
        }
    }
}

/// An item without what is not printed of it.
fn trimmed<'a>(trim: &Option<Trim>, json: &'a [u8]) -> (&'static [u8], &'a [u8]) {
    trim.as_ref().map_or((b"".as_slice(), json), |trim| trim.item(json))
}

/// How items are put into a list.
#[derive(Debug)]
enum Form {
    /// JSON, with commas between them; built-in kinds without their type fields.
    Json(Option<Trim>),
    /// Protobuf messages, each behind its length.
    Protobuf,
}

/// The body. Its length is known from the start.
#[derive(Debug)]
pub struct ListBody {
    head: Bytes,
    items: Vec<Bytes>,
    next: usize,
    form: Form,
    end: Bytes,
    left: u64,
}

impl ListBody {
    /// A list of the kind as JSON. 500 when an item cannot be read.
    pub fn json(kind: &Descriptor, list: &List) -> Result<Self, Status> {
        if kind.is_custom() {
            return ListBody::custom(kind, list);
        }
        let (metadata, gvk) = (metadata(list), &kind.gvk);
        let head = format!(
            r#"{{"kind":"{}List","apiVersion":"{}","metadata":{metadata},"items":["#,
            gvk.kind,
            gvk.api_version()
        );
        let items = list.items.iter().map(Encoded::json).collect::<Result<_, _>>()?;
        Ok(ListBody::new(head.into(), items, Form::Json(Some(Trim::new(kind))), END))
    }

    /// A list of custom resources: keys in the order of the alphabet, and a token also where there is none.
    fn custom(kind: &Descriptor, list: &List) -> Result<Self, Status> {
        let head = format!(r#"{{"apiVersion":"{}","items":["#, kind.gvk.api_version());
        let token = Value::from(&*list.continue_token);
        let remaining = list.remaining.filter(|_| !list.continue_token.is_empty());
        let remaining = remaining.map(|count| format!(r#""remainingItemCount":{count},"#)).unwrap_or_default();
        let end = format!(
            r#"],"kind":"{}","metadata":{{"continue":{token},{remaining}"resourceVersion":"{}"}}}}"#,
            kind.list_kind(),
            list.revision
        );
        let items = list.items.iter().map(Encoded::json).collect::<Result<_, _>>()?;
        Ok(ListBody::new(head.into(), items, Form::Json(None), (end + "\n").into()))
    }

    /// A list of messages as protobuf, in its envelope.
    pub fn protobuf(api_version: &str, kind: &str, list: &List, items: Vec<Bytes>) -> Result<Self, Status> {
        let metadata: Map<String, Value> = serde_json::from_str(&metadata(list)).map_err(Status::internal)?;
        let head = proto::list_head(api_version, kind, &proto::list_metadata(&metadata), &items);
        Ok(ListBody::new(head, items, Form::Protobuf, Bytes::from_static(proto::LIST_END)))
    }

    fn new(head: Bytes, items: Vec<Bytes>, form: Form, end: Bytes) -> Self {
        let mut body = ListBody { head, items, next: 0, form, end, left: 0 };
        let all: usize = body.items.iter().enumerate().map(|(at, item)| body.length(at, item)).sum();
        body.left = (body.head.len() + all + body.end.len()) as u64;
        body
    }

    /// Bytes that an item takes.
    fn length(&self, at: usize, item: &Bytes) -> usize {
        match &self.form {
            Form::Json(trim) => {
                let (brace, rest) = trimmed(trim, item);
                usize::from(at > 0) + brace.len() + rest.len()
            }
            Form::Protobuf => proto::item_head_len(item.len()) + item.len(),
        }
    }

    /// Bytes still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next part; empty at the end.
    fn chunk(&mut self) -> Bytes {
        if self.left == 0 {
            return Bytes::new();
        }
        let mut out = BytesMut::with_capacity(CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK)) + 4096);
        out.extend_from_slice(&std::mem::take(&mut self.head));
        while out.len() < CHUNK && self.next < self.items.len() {
            let item = std::mem::take(&mut self.items[self.next]);
            match &self.form {
                Form::Json(trim) => {
                    out.extend_from_slice(if self.next > 0 { b"," } else { b"" });
                    let (brace, rest) = trimmed(trim, &item);
                    out.extend_from_slice(brace);
                    out.extend_from_slice(rest);
                }
                Form::Protobuf => {
                    proto::item_head(&mut out, item.len());
                    out.extend_from_slice(&item);
                }
            }
            self.next += 1;
        }
        if self.next == self.items.len() && (out.len() + self.end.len()) as u64 == self.left {
            out.extend_from_slice(&self.end);
        }
        self.left -= out.len() as u64;
        out.freeze()
    }

    /// All of it at once, for forms that cannot be streamed.
    pub fn whole(mut self) -> Bytes {
        let mut out = BytesMut::with_capacity(usize::try_from(self.left).unwrap_or(0));
        while self.left > 0 {
            out.extend_from_slice(&self.chunk());
        }
        out.freeze()
    }
}

impl http_body::Body for ListBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let chunk = self.chunk();
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The same, compressed on the way.
pub struct GzipBody {
    list: ListBody,
    /// `None` after the trailer was written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl GzipBody {
    /// Compresses at level 1, as upstream: the network is rarely slower.
    pub fn new(list: ListBody) -> Self {
        GzipBody { list, encoder: Some(GzEncoder::new(Vec::new(), Compression::new(1))) }
    }

    fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let part = self.list.chunk();
            if part.is_empty() {
                let encoder = self.encoder.take()?;
                return Some(encoder.finish().map(Bytes::from).map_err(Error::from));
            }
            let encoder = self.encoder.as_mut()?;
            if let Err(error) = encoder.write_all(&part) {
                return Some(Err(error.into()));
            }
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Some(Ok(ready.into()));
            }
        }
    }
}

impl http_body::Body for GzipBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.chunk().map(|chunk| chunk.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use meta::Key;

    fn list(count: usize) -> ListBody {
        let kind = kinds::all().into_iter().find(|k| &*k.resource == "configmaps").expect("there");
        let item = |n: usize| {
            let (name, data) = (format!("c{n}"), "x".repeat(1000));
            let json = format!(
                r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{name}"}},"data":{{"a":"{data}"}}}}"#
            );
            registry::shown(Key::new("d", &name), 1, json.into())
        };
        let items = (0..count).map(item).collect();
        let list = List { items, revision: 7, continue_token: "t".into(), remaining: Some(2) };
        ListBody::json(&kind, &list).expect("readable")
    }

    #[tokio::test]
    async fn chunks_make_the_announced_length_and_one_document() {
        for count in [0, 1, 900] {
            let body = list(count);
            let length = body.left();
            let bytes = body.collect().await.expect("streams").to_bytes();
            assert_eq!(bytes.len() as u64, length);
            let tree: Value = serde_json::from_slice(&bytes).expect("is JSON");
            assert_eq!(tree["kind"], "ConfigMapList");
            assert_eq!(tree["metadata"]["remainingItemCount"], 2);
            assert_eq!(tree["items"].as_array().map(Vec::len), Some(count));
            assert!(tree["items"][0].get("kind").is_none());
        }
    }

    #[tokio::test]
    async fn the_compressed_body_is_the_same() {
        let packed = GzipBody::new(list(900)).collect().await.expect("streams").to_bytes();
        let mut plain = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&*packed), &mut plain).expect("unpacks");
        assert_eq!(plain, list(900).whole());
    }
}
