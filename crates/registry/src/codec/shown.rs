//! What is shown and never stored: a Scale, a Status.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use meta::{Codec, Encoded, Fields, Key, Object, Pairs};
use schema::Schema;

use super::metadata;

/// JSON of a built-in kind as it is to be shown. Its revision, if it has one, stands in it.
struct Shown;

static SHOWN: LazyLock<Arc<Shown>> = LazyLock::new(|| Arc::new(Shown));

/// An object that was made for an answer, out of its JSON.
pub fn shown(key: Key, revision: u64, json: Bytes) -> Arc<Encoded> {
    Arc::new(Encoded::new(key, revision, json, SHOWN.clone()))
}

impl Codec for Shown {
    fn json(&self, object: &Encoded) -> Option<Bytes> {
        Some(object.stored().clone())
    }

    fn protobuf(&self, object: &Encoded) -> Option<Bytes> {
        let tree = self.tree(object)?;
        Schema::builtin(&tree.gvk())?.encode_proto(&tree)
    }

    fn metadata_message(&self, object: &Arc<Encoded>) -> Option<Bytes> {
        metadata::message(&self.tree(object)?)
    }

    fn tree(&self, object: &Encoded) -> Option<Object> {
        Object::from_value(schema::stored(object.stored()).ok()?).ok()
    }

    fn labels(&self, object: &Encoded) -> Pairs {
        self.tree(object).unwrap_or_default().labels().map(|(k, v)| (k.into(), v.into())).collect()
    }

    fn fields(&self, _: &Encoded) -> Fields {
        Fields::default()
    }

    fn row(&self, _: &Encoded) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}
