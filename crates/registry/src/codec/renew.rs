//! Data in an older form gets today's when the store opens: JSON of kinds that are stored as protobuf.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kinds::Descriptor;
use meta::{Codec, Encoded, Key};
use schema::proto;
use store::Entry;

use super::Stored;
use crate::kind::Kind;

/// For [`store::Disk::open_renewed`]: today's form of what an earlier program has stored. What cannot be read stays as it
/// is, and so does what belongs to no built-in kind.
pub fn renew(kinds: &[Descriptor]) -> impl Fn(&Entry) -> Option<Bytes> + Send + use<> {
    let mut codecs: BTreeMap<Arc<str>, Arc<Stored>> = BTreeMap::new();
    for descriptor in kinds.iter().filter(|descriptor| Kind::is_stored(descriptor)) {
        codecs.entry(descriptor.storage.clone()).or_insert_with(|| Stored::new(descriptor, Arc::default()));
    }
    move |entry| {
        if entry.value.starts_with(proto::MAGIC) {
            return None;
        }
        let (_, codec) = codecs.iter().find(|(prefix, _)| entry.key.starts_with(&***prefix))?;
        if !codec.schema.has_proto() {
            return None;
        }
        let tree = codec.tree(&Encoded::new(Key::new("", ""), entry.modified, entry.value.clone(), codec.clone()))?;
        Some(codec.bytes(&tree)).filter(|bytes| bytes.starts_with(proto::MAGIC))
    }
}
