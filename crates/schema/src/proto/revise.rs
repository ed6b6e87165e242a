//! What is changed in, cut out of or put around protobuf without decoding it.

use bytes::{BufMut, Bytes, BytesMut};

use super::MAGIC;
use super::wire::{Reader, Wire};

/// Numbers of the fields on the way to the revision: `Unknown.raw`, `metadata`, `ObjectMeta.resourceVersion`.
const RAW: u32 = 2;
const METADATA: u32 = 1;
const RESOURCE_VERSION: u32 = 6;
/// `ObjectMeta.labels`.
const LABELS: u32 = 11;

/// The two empty strings that end an envelope (`contentEncoding`, `contentType`).
const ENVELOPE_END: &[u8] = &[0x1a, 0, 0x22, 0];

/// Where a field stands in a message: its tag's beginning, its content's beginning and end.
type Place = (usize, usize, usize);

/// The object in its envelope with another `metadata.resourceVersion`, which may be empty. `None`: it is no enveloped
/// object with metadata.
pub fn with_resource_version(enveloped: &[u8], version: &str) -> Option<Bytes> {
    let unknown = enveloped.strip_prefix(MAGIC)?;
    let raw = place(unknown, RAW)?;
    let message = &unknown[raw.1..raw.2];
    let metadata = place(message, METADATA)?;
    let fields = &message[metadata.1..metadata.2];
    let (from, to) = gap(fields)?;
    let new_fields = from + (fields.len() - to) + 1 + varint_len(version.len()) + version.len();
    let new_message = metadata.0 + 1 + varint_len(new_fields) + new_fields + (message.len() - metadata.2);
    let around = MAGIC.len() + raw.0 + (unknown.len() - raw.2);
    // Exactly what it takes: these bytes are kept.
    let mut out = Vec::with_capacity(around + 1 + varint_len(new_message) + new_message);
    out.put_slice(&enveloped[..MAGIC.len() + raw.0]);
    open(&mut out, RAW, new_message);
    out.put_slice(&message[..metadata.0]);
    open(&mut out, METADATA, new_fields);
    out.put_slice(&fields[..from]);
    open(&mut out, RESOURCE_VERSION, version.len());
    out.put_slice(version.as_bytes());
    out.put_slice(&fields[to..]);
    out.put_slice(&message[metadata.2..]);
    out.put_slice(&unknown[raw.2..]);
    Some(Bytes::from(out))
}

/// The object's message without its envelope, as lists hold it: a part of the same bytes.
pub fn content(enveloped: &Bytes) -> Option<Bytes> {
    let (_, from, to) = place(enveloped.strip_prefix(MAGIC)?, RAW)?;
    Some(enveloped.slice(MAGIC.len() + from..MAGIC.len() + to))
}

/// The message of the object's metadata: a part of the same bytes.
pub fn metadata(enveloped: &Bytes) -> Option<Bytes> {
    let message = content(enveloped)?;
    let (_, from, to) = place(&message, METADATA)?;
    Some(message.slice(from..to))
}

/// The labels of an enveloped object, in the order of the bytes. `None`: it is no enveloped object with metadata, or its
/// labels are no text.
pub fn labels(enveloped: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut labels = Vec::new();
    let mut reader = Reader::new(at(enveloped, &[METADATA])?);
    while let Some((number, wire)) = reader.field().ok()? {
        if let (LABELS, Wire::Bytes(entry)) = (number, wire) {
            let text = |number| place(entry, number).map_or(Some(""), |(_, from, to)| std::str::from_utf8(&entry[from..to]).ok());
            labels.push((text(1)?, text(2)?));
        }
    }
    Some(labels)
}

/// The text at the end of a path of field numbers in an enveloped object; empty if it is not there. `None`: it is no
/// enveloped object, or that is no text.
pub fn text_at<'b>(enveloped: &'b [u8], path: &[u32]) -> Option<&'b str> {
    let message = at(enveloped, &[])?;
    let found = path.iter().try_fold(message, |message, number| place(message, *number).map(|(_, from, to)| &message[from..to]));
    std::str::from_utf8(found.unwrap_or_default()).ok()
}

/// The message at a path of field numbers in an enveloped object.
fn at<'b>(enveloped: &'b [u8], path: &[u32]) -> Option<&'b [u8]> {
    let unknown = enveloped.strip_prefix(MAGIC)?;
    let step = |message: &'b [u8], number: &u32| place(message, *number).map(|(_, from, to)| &message[from..to]);
    path.iter().try_fold(step(unknown, &RAW)?, step)
}

/// The message of an object that is nothing but this metadata.
pub fn partial(metadata: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(metadata.len() + 6);
    open(&mut out, METADATA, metadata.len());
    out.put_slice(metadata);
    out.freeze()
}

/// A message in an envelope.
pub fn wrap(api_version: &str, kind: &str, message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + api_version.len() + kind.len() + 32);
    head(&mut out, api_version, kind, message.len());
    out.put_slice(message);
    out.put_slice(ENVELOPE_END);
    out.freeze()
}

/// A list in its envelope, which is written item by item: what comes before them, before each of them, and after them.
/// `metadata` is the list's, `items` their messages.
pub fn list_head(api_version: &str, kind: &str, metadata: &[u8], items: &[Bytes]) -> Bytes {
    let length = |item: &Bytes| 1 + varint_len(item.len()) + item.len();
    let all = 1 + varint_len(metadata.len()) + metadata.len() + items.iter().map(length).sum::<usize>();
    let mut out = BytesMut::with_capacity(metadata.len() + api_version.len() + kind.len() + 32);
    head(&mut out, api_version, kind, all);
    open(&mut out, 1, metadata.len());
    out.put_slice(metadata);
    out.freeze()
}

/// What stands before an item of a list that has so many bytes.
pub fn item_head(out: &mut BytesMut, length: usize) {
    open(out, 2, length);
}

/// How long that is.
pub fn item_head_len(length: usize) -> usize {
    1 + varint_len(length)
}

/// What stands after the items.
pub const LIST_END: &[u8] = ENVELOPE_END;

/// One frame of a watch: the event with an enveloped object, after its length in four bytes. The event itself has no
/// envelope (upstream: the serializer for streams is the raw one).
pub fn watch_frame(event: &str, object: &[u8], out: &mut BytesMut) {
    let raw = 1 + varint_len(object.len()) + object.len();
    let length = 1 + varint_len(event.len()) + event.len() + 1 + varint_len(raw) + raw;
    out.reserve(length + 4);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    open(out, 1, event.len());
    out.put_slice(event.as_bytes());
    open(out, 2, raw);
    open(out, 1, object.len());
    out.put_slice(object);
}

/// An envelope up to its content of that length.
fn head(out: &mut BytesMut, api_version: &str, kind: &str, length: usize) {
    out.put_slice(MAGIC);
    let part = |text: &str| 1 + varint_len(text.len()) + text.len();
    open(out, 1, part(api_version) + part(kind));
    for (number, text) in [(1, api_version), (2, kind)] {
        open(out, number, text.len());
        out.put_slice(text.as_bytes());
    }
    open(out, RAW, length);
}

/// Number and length of a field of bytes. All numbers here fit into one byte.
fn open(out: &mut impl BufMut, number: u32, length: usize) {
    out.put_u8((number << 3 | 2) as u8);
    let mut left = length;
    while left >= 0x80 {
        out.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}

fn varint_len(value: usize) -> usize {
    ((usize::BITS - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// The first field of that number that holds bytes.
fn place(message: &[u8], wanted: u32) -> Option<Place> {
    let mut reader = Reader::new(message);
    loop {
        let before = message.len() - reader.left();
        let (number, wire) = reader.field().ok()??;
        if let (true, Wire::Bytes(bytes)) = (number == wanted, wire) {
            let end = message.len() - reader.left();
            return Some((before, end - bytes.len(), end));
        }
    }
}

/// From where to where the revision stands among an object's metadata; where it would stand if it is not there.
fn gap(fields: &[u8]) -> Option<(usize, usize)> {
    let mut reader = Reader::new(fields);
    loop {
        let before = fields.len() - reader.left();
        match reader.field().ok()? {
            Some((number, _)) if number < RESOURCE_VERSION => {}
            Some((RESOURCE_VERSION, _)) => return Some((before, fields.len() - reader.left())),
            _ => return Some((before, before)),
        }
    }
}
