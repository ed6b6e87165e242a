//! The metadata of an object alone, in the form of the built-in type.

use bytes::Bytes;
use meta::{Gvk, Object};
use schema::{Schema, proto};

/// As JSON.
pub fn json(object: &Object) -> Option<Bytes> {
    let (schema, partial) = partial(object)?;
    let (json, _) = schema.encode(&partial, false);
    let from = json.windows(KEY.len()).position(|at| at == KEY)? + KEY.len();
    // It is the last field.
    Some(json.slice(from..json.len() - 1))
}

/// As a protobuf message.
pub fn message(object: &Object) -> Option<Bytes> {
    let (schema, partial) = partial(object)?;
    proto::metadata(&schema.encode_proto(&partial)?)
}

const KEY: &[u8] = br#""metadata":"#;

fn partial(object: &Object) -> Option<(Schema, Object)> {
    let gvk = Gvk::new("meta.k8s.io", "v1", "PartialObjectMetadata");
    let mut partial = Object::default();
    partial.set_gvk(&gvk);
    partial.set("metadata", object.at("metadata")?.clone());
    Some((Schema::builtin(&gvk)?, partial))
}
