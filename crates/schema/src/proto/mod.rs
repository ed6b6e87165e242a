//! Protobuf, as upstream's `generated.proto` files define it: the tables say which number each field has.
//!
//! A message travels in an envelope: four magic bytes, then `runtime.Unknown` with the kind, the bytes of
//! the object, and two strings that are always empty.

mod decode;
mod encode;
pub(crate) mod plan;
mod revise;
pub(crate) mod wire;

use bytes::Bytes;
use meta::Object;
use serde_json::{Map, Value};

use crate::model::Type;
pub use plan::Node;
pub use revise::{LIST_END, content, item_head, item_head_len, labels, list_head, metadata, text_at, partial, watch_frame, with_resource_version, wrap};
use wire::{Backward, Reader};

/// What every enveloped message begins with.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// Whether the type has a protobuf form (`Table` has none).
pub fn has_form(t: &Type) -> bool {
    t.fields.iter().all(|f| !f.tags.is_empty() || matches!(f.name.as_ref(), "kind" | "apiVersion"))
}

/// An object without its envelope, as lists hold it.
pub fn message(root: &Type, map: &Map<String, Value>) -> Vec<u8> {
    let mut out = Backward::default();
    encode::structure(&mut out, root.plan(), root, Some(map));
    out.finish()
}

/// An object in its envelope; kind and version are those in the tree.
pub fn envelope(root: &Type, object: &Object) -> Bytes {
    wrap(object.api_version(), object.kind(), &message(root, object.fields()))
}

/// The message of a list's metadata.
pub fn list_metadata(metadata: &Map<String, Value>) -> Vec<u8> {
    let list_meta = match crate::table::builtin().definition("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta") {
        Some(row) => crate::table::builtin().get(row),
        None => unreachable!("the table has ListMeta"),
    };
    message(list_meta, metadata)
}

/// What an envelope holds.
pub struct Opened<'b> {
    /// `apiVersion`, or empty.
    pub api_version: String,
    /// `kind`, or empty.
    pub kind: String,
    /// The message.
    pub message: &'b [u8],
}

/// Opens an envelope. The errors are upstream's.
pub fn open(bytes: &[u8]) -> Result<Opened<'_>, String> {
    if bytes.is_empty() {
        return Err("empty data".to_owned());
    }
    let Some(unknown) = bytes.strip_prefix(MAGIC) else {
        return Err("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".to_owned());
    };
    let mut opened = Opened { api_version: String::new(), kind: String::new(), message: b"" };
    let mut reader = Reader::new(unknown);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => {
                let mut type_meta = Reader::new(value.bytes()?);
                while let Some((number, value)) = type_meta.field()? {
                    match number {
                        1 => opened.api_version = value.text()?,
                        2 => opened.kind = value.text()?,
                        _ => {}
                    }
                }
            }
            2 => opened.message = value.bytes()?,
            _ => {}
        }
    }
    Ok(opened)
}

/// Decodes an enveloped object.
pub fn read(root: &Type, bytes: &[u8]) -> Result<Map<String, Value>, String> {
    read_at(root, bytes, 1)
}

/// The same of one whose root is that deep in a document: one, if it is the document.
fn read_at(root: &Type, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, String> {
    let opened = open(bytes)?;
    let mut map = Map::new();
    decode::structure(root.plan(), root, opened.message, &mut map, depth)?;
    for (name, value) in [("apiVersion", opened.api_version), ("kind", opened.kind)] {
        if !value.is_empty() && root.field(name).is_some_and(|(_, f)| f.tags.is_empty()) {
            map.insert(name.to_owned(), Value::String(value));
        }
    }
    Ok(map)
}

/// Decodes an object that has no envelope.
pub fn read_message(root: &Type, message: &[u8]) -> Result<Map<String, Value>, String> {
    let mut map = Map::new();
    decode::structure(root.plan(), root, message, &mut map, 1)?;
    Ok(map)
}
