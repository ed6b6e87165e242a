//! Between the store and the cache: stored bytes become objects, and the forms of objects that readers ask for.
//!
//! What is stored is what upstream stores (`storagebackend`, `runtime/serializer/protobuf`): a built-in kind as protobuf
//! in the envelope of its storage version, a kind without a protobuf form as JSON, both without a revision, which is the
//! store's. The cells of a table are a [`kinds::Marked`]. Of a read-only answer nothing is decoded that it does not show: the revision is put into the bytes.

mod converter;
mod metadata;
mod renew;
mod shown;
mod warm;

use std::any::Any;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use kinds::{Descriptor, Now, Rules};
use meta::{Codec, Encoded, Fields, Key, Object, Pairs, Status};
use schema::{Schema, proto};
use store::Entry;

use crate::cache::NODE_FIELD;

pub(crate) use converter::{Calls, Converter};
pub use renew::renew;
pub use shown::shown;
pub(crate) use warm::Warm;

/// What marks in rows are known by. Nobody who writes an object knows it.
static SECRET: LazyLock<u64> = LazyLock::new(rand::random);

/// The codec of one version of a kind.
pub(crate) struct Stored {
    schema: Schema,
    rules: Arc<dyn Rules>,
    warm: Arc<Warm>,
    /// Where the protobuf form names an object's node.
    node: Option<Vec<u32>>,
    /// Whether what it reads is filled in with defaults.
    fills: bool,
}

/// What is written for an object.
pub(crate) struct Prepared {
    /// The bytes to store.
    pub bytes: Bytes,
    /// What was made beside them.
    pub note: Arc<Note>,
}

/// The object's JSON, made for the write and its answer; the watch cache takes it over.
pub(crate) struct Note {
    json: Bytes,
    /// Where the revision belongs, once it is known.
    revision_at: Option<usize>,
    labels: Pairs,
    fields: Fields,
}

impl Note {
    /// The JSON of the object with the revision of its write.
    fn json(&self, revision: u64) -> Bytes {
        let Some(at) = self.revision_at else { return self.json.clone() };
        let mut digits = itoa::Buffer::new();
        [&self.json[..at], digits.format(revision).as_bytes(), &self.json[at..]].concat().into()
    }

    /// The object that a write has made.
    pub fn encoded(&self, key: Key, entry: &Entry, codec: Arc<Stored>) -> Encoded {
        let encoded = Encoded::new(key, entry.modified, entry.value.clone(), codec);
        encoded.with_facts(self.labels.clone(), self.fields.clone()).with_json(self.json(entry.modified))
    }

    /// Bytes of its JSON, without the revision.
    pub fn len(&self) -> usize {
        self.json.len()
    }
}

impl Stored {
    /// The codec of a descriptor's kind. `warm` hears of objects that have forms.
    pub fn new(descriptor: &Descriptor, warm: Arc<Warm>) -> Arc<Self> {
        let node = descriptor.schema.proto_path(NODE_FIELD);
        Arc::new(Stored { schema: descriptor.schema.clone(), rules: descriptor.rules.clone(), warm, node, fills: true })
    }

    /// The same for what a webhook has made: its defaults are those of the version that it comes from.
    pub fn unfilled(&self) -> Self {
        let (schema, rules) = (self.schema.clone(), self.rules.clone());
        Stored { schema, rules, warm: self.warm.clone(), node: self.node.clone(), fills: false }
    }

    /// The fields of its objects.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What its objects are.
    pub fn gvk(&self) -> &meta::Gvk {
        self.schema.gvk()
    }

    /// Whether its objects behave by these rules.
    pub fn follows(&self, rules: &Arc<dyn Rules>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// What is written for an object in the form of this kind.
    pub fn prepare(self: &Arc<Self>, object: &Object) -> Prepared {
        let (json, revision_at) = self.schema.encode(object, true);
        let note = Arc::new(Note { json, revision_at, labels: labels_of(object), fields: self.fields_of(object) });
        let bytes = self.bytes(object);
        debug_assert_eq!(self.read_back(&bytes), note.json(1), "what is read is another than what was written");
        Prepared { bytes, note }
    }

    /// What readers will see of stored bytes that get the revision 1.
    fn read_back(self: &Arc<Self>, bytes: &Bytes) -> Bytes {
        let encoded = Encoded::new(Key::new("", ""), 1, bytes.clone(), self.clone());
        self.json(&encoded).unwrap_or_default()
    }

    /// An object that comes from another version: of a custom resource what the stored version does not know is dropped,
    /// since no reader would see it.
    pub fn fitted(&self, object: Object) -> Result<Object, Status> {
        if self.schema.node().is_none() {
            return Ok(object);
        }
        let decoded = self.schema.decode_value(&object.into_value());
        let mut object = decoded.map_err(|error| Status::internal(error.to_string()))?.object;
        if self.fills {
            self.schema.default(&mut object);
        }
        Ok(object)
    }

    /// Hears of an object that was replaced or deleted: its forms go soon.
    pub fn retire(&self, object: &Arc<Encoded>) {
        if object.has_forms() {
            self.warm.retire(object);
        }
    }

    /// The same without what readers need.
    pub fn bytes(&self, object: &Object) -> Bytes {
        if let Some(mut stored) = self.rules.to_stored(object) {
            stored.remove("metadata.resourceVersion");
            return schema::go_json(&stored.into_value()).into();
        }
        let enveloped = self.schema.encode_proto(object).and_then(|bytes| proto::with_resource_version(&bytes, ""));
        enveloped.unwrap_or_else(|| {
            let mut object = object.clone();
            object.remove("metadata.resourceVersion");
            self.schema.encode(&object, false).0
        })
    }

    /// An object that is not stored in this version, or not at all: as it is, with its JSON.
    pub fn encode(self: &Arc<Self>, of: &Encoded, object: &Object) -> Arc<Encoded> {
        let (json, _) = self.schema.encode(object, false);
        Encoded::new(of.key.clone(), of.revision, self.bytes(object), self.clone()).with_json(json).into()
    }

    /// JSON of a kind that is stored so, or that an earlier program has stored so.
    fn json_tree(&self, stored: &[u8]) -> Result<Object, String> {
        let tree = Object::from_value(schema::stored(stored)?).map_err(|_| "it is no JSON object".to_owned())?;
        Ok(self.rules.from_stored(tree))
    }

    /// A custom resource as its definition has it today: another version may have been stored when it was written, fields
    /// may have gone, and defaults may have come.
    fn custom(&self, stored: &[u8]) -> Result<Object, String> {
        let mut object = self.schema.decode_json(stored).map_err(|error| error.to_string())?.object;
        object.set("apiVersion", self.schema.gvk().api_version());
        if self.fills {
            self.schema.default(&mut object);
        }
        Ok(object)
    }

    fn fields_of(&self, object: &Object) -> Fields {
        self.rules.selectable(object).into_iter().map(|(field, value)| (field, value.into())).collect()
    }

    /// The node that an object of the kind names ([`NODE_FIELD`]). Protobuf is walked for it, not decoded.
    pub fn node(&self, object: &Encoded) -> Box<str> {
        match self.node.as_ref().and_then(|path| proto::text_at(object.stored(), path)) {
            Some(node) => node.into(),
            None => object.field(NODE_FIELD).into(),
        }
    }
}

/// The `apiVersion` of stored JSON; empty if it says none.
fn version_of(stored: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(default, rename = "apiVersion")]
        api_version: String,
    }
    // Custom resources are stored with their fields in order, of which it is the first.
    let first = stored.strip_prefix(br#"{"apiVersion":""#).and_then(|rest| rest.split(|byte| *byte == b'"').next());
    match first.and_then(|first| std::str::from_utf8(first).ok()) {
        Some(plain) if !plain.contains('\\') => plain.to_owned(),
        _ => serde_json::from_slice::<Head>(stored).map(|head| head.api_version).unwrap_or_default(),
    }
}

fn labels_of(object: &Object) -> Pairs {
    object.labels().map(|(k, v)| (k.into(), v.into())).collect()
}

impl Codec for Stored {
    fn json(&self, object: &Encoded) -> Option<Bytes> {
        Some(self.schema.encode(&self.tree(object)?, false).0)
    }

    fn protobuf(&self, object: &Encoded) -> Option<Bytes> {
        if !object.stored().starts_with(proto::MAGIC) {
            return self.schema.encode_proto(&self.tree(object)?);
        }
        let mut digits = itoa::Buffer::new();
        proto::with_resource_version(object.stored(), digits.format(object.revision))
    }

    fn metadata(&self, object: &Encoded) -> Option<Bytes> {
        self.schema.node()?;
        metadata::json(&self.tree(object)?)
    }

    fn metadata_message(&self, object: &Arc<Encoded>) -> Option<Bytes> {
        match self.schema.has_proto() {
            true => proto::metadata(&object.protobuf()?),
            false => metadata::message(&self.tree(object)?),
        }
    }

    fn tree(&self, object: &Encoded) -> Option<Object> {
        let stored = object.stored();
        let decoded = if stored.starts_with(proto::MAGIC) {
            self.schema.decode_proto(stored).map(|decoded| decoded.object).map_err(|error| error.to_string())
        } else if self.schema.node().is_some() {
            self.custom(stored)
        } else {
            self.json_tree(stored)
        };
        match decoded {
            Ok(mut tree) => {
                tree.set("metadata.resourceVersion", object.revision.to_string());
                Some(tree)
            }
            Err(error) => {
                tracing::error!(kind = %self.schema.gvk().kind, key = %object.key, rv = object.revision, error, "a stored object cannot be read");
                None
            }
        }
    }

    fn labels(&self, object: &Encoded) -> Pairs {
        match proto::labels(object.stored()) {
            Some(labels) => labels.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            None => self.tree(object).map(|tree| labels_of(&tree)).unwrap_or_default(),
        }
    }

    fn fields(&self, object: &Encoded) -> Fields {
        self.tree(object).map(|tree| self.fields_of(&tree)).unwrap_or_default()
    }

    fn row(&self, object: &Encoded) -> Option<Arc<dyn Any + Send + Sync>> {
        let tree = self.tree(object)?;
        let now = Now::marks(*SECRET);
        let cells = serde_json::Value::Array(self.rules.row(&tree, &now)).to_string();
        Some(Arc::new(now.cut(&cells)))
    }

    fn made(&self, object: &Arc<Encoded>) {
        self.warm.add(object);
    }
}
