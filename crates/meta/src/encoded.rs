//! A committed object in the forms that readers ask for: each is made once, when somebody asks for it first, shared by
//! everybody, and let go when nobody asks any more.

use std::any::Any;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::names::{Gvk, Key};
use crate::object::Object;
use crate::status::Status;

/// What makes forms out of stored bytes. Pure; one for each kind.
pub trait Codec: Send + Sync {
    /// The object as JSON in upstream's field order, its revision in it; `None`: the stored bytes cannot be read.
    fn json(&self, object: &Encoded) -> Option<Bytes>;

    /// The object as protobuf in its envelope, its revision in it; `None`: the kind has no such form, or the stored
    /// bytes cannot be read.
    fn protobuf(&self, object: &Encoded) -> Option<Bytes>;

    /// The value of the object's `metadata` as JSON, in the order of the built-in type, where that is not how it stands in
    /// [`Codec::json`].
    fn metadata(&self, _object: &Encoded) -> Option<Bytes> {
        None
    }

    /// The object's metadata as a protobuf message; `None`: the stored bytes cannot be read.
    fn metadata_message(&self, object: &Arc<Encoded>) -> Option<Bytes>;

    /// The object as a tree, its revision in it; `None`: the stored bytes cannot be read.
    fn tree(&self, object: &Encoded) -> Option<Object>;

    /// Its labels.
    fn labels(&self, object: &Encoded) -> Pairs;

    /// The kind's selectable fields beyond name and namespace.
    fn fields(&self, object: &Encoded) -> Fields;

    /// What the kind's printer makes of it: cells of a table, in the printer's own form. `None`: it has none, or the
    /// stored bytes cannot be read.
    fn row(&self, object: &Encoded) -> Option<Arc<dyn Any + Send + Sync>>;

    /// Told when the first form of an object was made: whoever is told asks it to let go after a while
    /// ([`Encoded::let_go`]).
    fn made(&self, _object: &Arc<Encoded>) {}
}

/// One revision of an object: its stored bytes, and what was made of them. Only the forms change after it was built, and
/// those only come and go.
pub struct Encoded {
    /// Namespace and name.
    pub key: Key,
    /// Revision of the write that made it.
    pub revision: u64,
    stored: Bytes,
    codec: Arc<dyn Codec>,
    labels: OnceLock<Pairs>,
    fields: OnceLock<Fields>,
    forms: Mutex<Option<Arc<Forms>>>,
}

/// Labels in a compact form.
pub type Pairs = Box<[(Box<str>, Box<str>)]>;

/// Selectable fields in a compact form.
pub type Fields = Box<[(Cow<'static, str>, Box<str>)]>;

#[derive(Default)]
struct Forms {
    /// Whether anybody has asked since the last call of [`Encoded::let_go`].
    asked: AtomicBool,
    json: OnceLock<Option<Bytes>>,
    protobuf: OnceLock<Option<Bytes>>,
    metadata: OnceLock<Option<Bytes>>,
    row: OnceLock<Option<Arc<dyn Any + Send + Sync>>>,
    versions: Mutex<Vec<(Gvk, Arc<Encoded>)>>,
}

impl Encoded {
    /// Wraps stored bytes.
    pub fn new(key: Key, revision: u64, stored: Bytes, codec: Arc<dyn Codec>) -> Self {
        Encoded { key, revision, stored, codec, labels: OnceLock::new(), fields: OnceLock::new(), forms: Mutex::new(None) }
    }

    /// The same when its JSON is known, because it was made for the write. Nobody is told that it has a form: whoever
    /// keeps it says so ([`Codec::made`]).
    pub fn with_json(self, json: Bytes) -> Self {
        let forms = Forms { asked: AtomicBool::new(true), json: OnceLock::from(Some(json)), ..Forms::default() };
        Encoded { forms: Mutex::new(Some(Arc::new(forms))), ..self }
    }

    /// The same when it is known what selectors ask.
    pub fn with_facts(self, labels: Pairs, fields: Fields) -> Self {
        Encoded { labels: labels.into(), fields: fields.into(), ..self }
    }

    /// The bytes as they are stored.
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// The same stored bytes under another revision: the last state of what is gone since then.
    pub fn at(&self, revision: u64) -> Arc<Self> {
        Arc::new(Encoded::new(self.key.clone(), revision, self.stored.clone(), self.codec.clone()))
    }

    /// The object as JSON, in upstream's field order, without a trailing newline. 500 when the stored bytes cannot be read.
    pub fn json(self: &Arc<Self>) -> Result<Bytes, Status> {
        self.forms().json.get_or_init(|| self.codec.json(self)).clone().ok_or_else(|| self.unreadable())
    }

    /// The object as protobuf in its envelope; `None` if its kind has no such form.
    pub fn protobuf(self: &Arc<Self>) -> Option<Bytes> {
        self.forms().protobuf.get_or_init(|| self.codec.protobuf(self)).clone()
    }

    /// The value of the object's `metadata` as it stands in its JSON. 500 when the stored bytes cannot be read.
    pub fn metadata(self: &Arc<Self>) -> Result<Bytes, Status> {
        let json = self.json()?;
        let make = || self.codec.metadata(self).or_else(|| metadata(&json));
        self.forms().metadata.get_or_init(make).clone().ok_or_else(|| self.unreadable())
    }

    /// The object's metadata as a protobuf message. 500 when the stored bytes cannot be read.
    pub fn metadata_message(self: &Arc<Self>) -> Result<Bytes, Status> {
        self.codec.metadata_message(self).ok_or_else(|| self.unreadable())
    }

    /// The object's cells in a table ([`Codec::row`]).
    pub fn row(self: &Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        self.forms().row.get_or_init(|| self.codec.row(self)).clone()
    }

    /// The object as a tree of its own. 500 when the stored bytes cannot be read.
    pub fn object(&self) -> Result<Object, Status> {
        self.codec.tree(self).ok_or_else(|| self.unreadable())
    }

    /// The same object in another version of its kind; `make` converts it when it is asked for first.
    pub fn version(
        self: &Arc<Self>,
        gvk: &Gvk,
        make: impl FnOnce() -> Result<Arc<Encoded>, Status>,
    ) -> Result<Arc<Encoded>, Status> {
        let forms = self.forms();
        let mut versions = lock(&forms.versions);
        if let Some((_, known)) = versions.iter().find(|(other, _)| other == gvk) {
            return Ok(known.clone());
        }
        let made = make()?;
        versions.push((gvk.clone(), made.clone()));
        Ok(made)
    }

    /// The same object in another version of its kind, if that was made and not let go.
    pub fn known(self: &Arc<Self>, gvk: &Gvk) -> Option<Arc<Encoded>> {
        let forms = lock(&self.forms).clone()?;
        forms.asked.store(true, Ordering::Relaxed);
        let versions = lock(&forms.versions);
        versions.iter().find(|(other, _)| other == gvk).map(|(_, known)| known.clone())
    }

    /// Labels. They are read when a selector asks first, so that an object which none looks at costs nothing.
    pub fn labels(&self) -> &[(Box<str>, Box<str>)] {
        self.labels.get_or_init(|| self.codec.labels(self))
    }

    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels().iter().find(|(k, _)| **k == *key).map(|(_, v)| &**v)
    }

    /// One selectable field's value; empty when the kind has no such selectable field. Read as labels are.
    pub fn field(&self, path: &str) -> &str {
        let fields = self.fields.get_or_init(|| self.codec.fields(self));
        fields.iter().find(|(f, _)| *f == path).map_or("", |(_, v)| v)
    }

    /// Whether anything was made of it.
    pub fn has_forms(&self) -> bool {
        lock(&self.forms).is_some()
    }

    /// Drops all forms at once: of a revision that is over, few ask for any.
    pub fn forget(&self) {
        *lock(&self.forms) = None;
    }

    /// Drops all forms for which nobody has asked since the last call; says whether any are left.
    pub fn let_go(&self) -> bool {
        let mut forms = lock(&self.forms);
        if forms.as_ref().is_some_and(|forms| forms.asked.swap(false, Ordering::Relaxed)) {
            return true;
        }
        *forms = None;
        false
    }

    fn forms(self: &Arc<Self>) -> Arc<Forms> {
        let mut forms = lock(&self.forms);
        if let Some(known) = &*forms {
            known.asked.store(true, Ordering::Relaxed);
            return known.clone();
        }
        let new = Arc::new(Forms { asked: AtomicBool::new(true), ..Forms::default() });
        *forms = Some(new.clone());
        drop(forms);
        self.codec.made(self);
        new
    }

    fn unreadable(&self) -> Status {
        Status::internal(format!("unreadable stored object: {}", self.key))
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.stored.len();
        f.debug_struct("Encoded").field("key", &self.key).field("revision", &self.revision).field("bytes", &bytes).finish()
    }
}

/// Only the metadata of an object, cut out of its JSON.
fn metadata(json: &Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let head: Head<'_> = serde_json::from_slice(json).ok()?;
    Some(json.slice_ref(head.metadata.get().as_bytes()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts what it is asked to make.
    #[derive(Default)]
    struct Counting {
        json: AtomicUsize,
        made: AtomicUsize,
    }

    impl Codec for Counting {
        fn json(&self, object: &Encoded) -> Option<Bytes> {
            self.json.fetch_add(1, Ordering::SeqCst);
            Some(object.stored().clone())
        }

        fn protobuf(&self, _: &Encoded) -> Option<Bytes> {
            None
        }

        fn tree(&self, _: &Encoded) -> Option<Object> {
            None
        }

        fn metadata_message(&self, _: &Arc<Encoded>) -> Option<Bytes> {
            None
        }

        fn labels(&self, _: &Encoded) -> Pairs {
            Pairs::default()
        }

        fn fields(&self, _: &Encoded) -> Fields {
            Fields::default()
        }

        fn row(&self, _: &Encoded) -> Option<Arc<dyn Any + Send + Sync>> {
            None
        }

        fn made(&self, _: &Arc<Encoded>) {
            self.made.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_form_is_made_once_and_let_go_when_nobody_asks() {
        let codec = Arc::new(Counting::default());
        let encoded = Arc::new(Encoded::new(Key::new("d", "a"), 3, Bytes::from_static(b"{}"), codec.clone()));
        let counts = || (codec.json.load(Ordering::SeqCst), codec.made.load(Ordering::SeqCst));
        assert!(!encoded.let_go(), "nothing was made");
        assert_eq!(encoded.json().expect("readable"), "{}");
        assert_eq!(encoded.json().expect("readable"), "{}");
        assert_eq!(counts(), (1, 1));
        assert!(encoded.let_go(), "it was asked for just now");
        encoded.json().expect("readable");
        assert!(encoded.let_go() && !encoded.let_go());
        assert_eq!(counts(), (1, 1));
        encoded.json().expect("readable");
        assert_eq!(counts(), (2, 2));
        encoded.forget();
        assert!(!encoded.let_go(), "they are gone");
        assert!(encoded.object().is_err_and(|status| status.code == 500));
    }

    #[test]
    fn metadata_is_cut_out_as_it_stands() {
        let json = br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","labels":{"x":"}"}},"data":{}}"#;
        let codec = Arc::new(Counting::default());
        let encoded = Arc::new(Encoded::new(Key::new("d", "a"), 3, Bytes::from_static(json), codec));
        assert_eq!(encoded.metadata().expect("readable"), r#"{"name":"a","labels":{"x":"}"}}"#);
    }

    #[test]
    fn other_versions_are_converted_once() {
        let codec = Arc::new(Counting::default());
        let encoded = Arc::new(Encoded::new(Key::new("d", "a"), 3, Bytes::from_static(b"{}"), codec));
        let gvk = Gvk::new("events.k8s.io", "v1", "Event");
        let other = encoded.at(3);
        let first = encoded.version(&gvk, || Ok(other.clone())).expect("converts");
        let again = encoded.version(&gvk, || Err(Status::internal("not asked again"))).expect("known");
        assert!(Arc::ptr_eq(&first, &again));
        assert!(encoded.known(&gvk).is_some_and(|known| Arc::ptr_eq(&first, &known)));
        encoded.forget();
        assert!(encoded.known(&gvk).is_none(), "it was let go");
    }
}
