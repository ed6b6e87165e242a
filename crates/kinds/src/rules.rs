//! What makes one kind differ from another.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use meta::field::Errors;
use meta::{Object, Status, User};
use serde_json::Value;

use crate::Now;
use crate::custom::conversion::Conversion;

/// A word of a kind: of the program's own text, or of a definition that came at run time.
pub type Word = Cow<'static, str>;

/// One column of `kubectl get` (upstream: `metav1.TableColumnDefinition`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading in title case.
    pub name: Word,
    /// `string`, `integer`, `date` …
    pub kind: Word,
    /// `name` for the first column, else empty.
    pub format: Word,
    /// For `kubectl explain`-like readers.
    pub description: Word,
    /// 0: always shown; 1: with `-o wide`.
    pub priority: i32,
}

impl Column {
    /// A column of a built-in kind.
    pub const fn of(
        name: &'static str,
        kind: &'static str,
        format: &'static str,
        description: &'static str,
        priority: i32,
    ) -> Column {
        let (name, kind) = (Cow::Borrowed(name), Cow::Borrowed(kind));
        Column { name, kind, format: Cow::Borrowed(format), description: Cow::Borrowed(description), priority }
    }
}

/// The request that a change belongs to, as far as a kind's behaviour may depend on it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Who asks.
    pub user: User,
    /// When.
    pub now: Timestamp,
    /// Nothing will be stored.
    pub dry_run: bool,
}

/// A kind's own behaviour. The generic life cycle (names, uid, timestamps, generation, finalizers,
/// resourceVersion) is not its business. Every method has the behaviour of the simplest kinds as default.
pub trait Rules: Send + Sync + 'static {
    /// Fills in defaults beyond those of the schema. Idempotent. Runs after decoding, after mutating
    /// admission, and on every embedded template.
    fn default(&self, _object: &mut Object) {}

    /// Makes a new object fit to be stored: clears what a client may not set at creation (status).
    fn prepare_create(&self, _object: &mut Object, _context: &Context) {}

    /// The same for an update of the main resource: restores what it may not touch (status).
    fn prepare_update(&self, _new: &mut Object, _old: &Object, _context: &Context) {}

    /// The same for an update of a subresource: `status` restores everything but the status.
    fn prepare_subresource(&self, _subresource: &str, _new: &mut Object, _old: &Object, _context: &Context) {}

    /// All that is wrong with a new object; `metadata` is checked before by the life cycle.
    fn validate(&self, _object: &Object) -> Errors {
        Errors::new()
    }

    /// All that is wrong with a change of the main resource, `validate(new)` included. What holds for the metadata
    /// of every kind was checked before; most kinds check metadata again here, and clients see that.
    fn validate_update(&self, new: &Object, _old: &Object) -> Errors {
        self.validate(new)
    }

    /// All that is wrong with a change of a subresource.
    fn validate_subresource(&self, _subresource: &str, _new: &Object, _old: &Object) -> Errors {
        Errors::new()
    }

    /// All that is wrong with a change of the main resource (empty) or of a subresource, and what whoever asks for it is warned
    /// of on the way.
    fn judge(&self, subresource: &str, new: &Object, old: &Object) -> (Errors, Vec<String>) {
        let errors = match subresource {
            "" => self.validate_update(new, old),
            other => self.validate_subresource(other, new, old),
        };
        (errors, Vec::new())
    }

    /// What validating an object, or a change of a subresource, may take beyond looking at each of its bytes: like so many
    /// bytes more.
    fn effort(&self, _subresource: &str) -> usize {
        0
    }

    /// What is done to an object that was found good (upstream: `Canonicalize`, and what is done on every read).
    fn canonicalize(&self, _object: &mut Object) {}

    /// What is wrong with `metadata.name`, one message each. The default is a DNS subdomain;
    /// `prefix`: the value is a `generateName`.
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        meta::text::dns1123_subdomain(name, prefix)
    }

    /// Warnings for the client about a new or changed object.
    fn warnings(&self, _new: &Object, _old: Option<&Object>) -> Vec<String> {
        Vec::new()
    }

    /// The same for a change of the status.
    fn status_warnings(&self, new: &Object, old: &Object) -> Vec<String> {
        self.warnings(new, Some(old))
    }

    /// Whether a change raises `metadata.generation`. The default: anything outside `metadata` and `status`
    /// changed, for kinds that have generations at all (`has_generation`).
    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        let spec = |o: &Object| {
            let mut fields = o.fields().clone();
            fields.remove("metadata");
            fields.remove("status");
            fields
        };
        spec(new) != spec(old)
    }

    /// Whether objects carry `metadata.generation`, 1 at creation.
    fn has_generation(&self) -> bool {
        false
    }

    /// Whether names, labels and the like are checked as those of other kinds are.
    fn checks_metadata(&self) -> bool {
        true
    }

    /// Whether finalizers without a prefix must be known ones.
    fn checks_finalizers(&self) -> bool {
        true
    }

    /// The group that messages about wrong objects name, if not the kind's own.
    fn shown_group(&self) -> Option<&'static str> {
        None
    }

    /// The warning that every request for the kind gets.
    fn deprecated(&self) -> Option<&str> {
        None
    }

    /// What an update of the status leaves as it is, as server-side apply knows it (upstream: `GetResetFields` of
    /// the status strategy).
    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }

    /// What an update of the main resource (empty) or of a part of it leaves as it is, where that is something of the kind's
    /// own: what it does not change it does not manage (upstream: `GetResetFields`). `None`: an update of the object leaves
    /// its status, one of the status what [`Rules::kept_by_status`] says.
    fn kept_by(&self, _subresource: &str) -> Option<&'static [&'static [&'static str]]> {
        None
    }

    /// Whether PUT on an absent name creates it.
    fn create_on_update(&self) -> bool {
        false
    }

    /// Whether PUT without resourceVersion is allowed.
    fn unconditional_update(&self) -> bool {
        true
    }

    /// How long a deletion of the object is to be graceful, in seconds, given what the client asked for.
    /// `None`: this kind has no graceful deletion, it goes at once.
    fn grace_period(&self, _object: &Object, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// Why the object of a name cannot be deleted, if it cannot. A deletion of all that is selected does not ask.
    fn undeletable(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// What begins the deletion of an object of a kind that has its own way: marks it, with whatever keeps it. `false`: the
    /// kind goes as others do.
    fn begin_deletion(&self, _object: &mut Object, _now: Timestamp) -> bool {
        false
    }

    /// Why no new object is taken now, if none is.
    fn refuses_new(&self) -> Option<&'static str> {
        None
    }

    /// What deletion does to dependents when the client does not say: `true` orphans them.
    fn orphans_by_default(&self) -> bool {
        false
    }

    /// Whether other objects can depend on one. If not, a deletion says nothing to the garbage collector
    /// (upstream: `rest.Unsupported`).
    fn has_dependents(&self) -> bool {
        true
    }

    /// Whether a finished deletion is answered with the object; else with a Status (upstream:
    /// `Store.ReturnDeletedObject`).
    fn returns_deleted(&self) -> bool {
        false
    }

    /// How long an object lives after its last change; `None`: until it is deleted.
    fn time_to_live(&self) -> Option<std::time::Duration> {
        None
    }

    /// Fields beyond `metadata.name` and `metadata.namespace` that field selectors may name, with
    /// the object's values.
    fn selectable(&self, _object: &Object) -> Vec<(Word, String)> {
        Vec::new()
    }

    /// Columns of the table. The default is Name and Age.
    fn columns(&self) -> &[Column] {
        &NAME_AND_AGE
    }

    /// The cells, one a column.
    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        vec![object.name().into(), crate::rules::age(object, now).into()]
    }

    /// The JSON that is stored for an object of a kind that upstream stores so, in a form that is not served. `None`: it is
    /// stored as protobuf of the version that it has here.
    fn to_stored(&self, _object: &Object) -> Option<Object> {
        None
    }

    /// Turns what [`Rules::to_stored`] made into the object that it was made of.
    #[allow(clippy::wrong_self_convention, reason = "it is a conversion of the kind, not of the rules")]
    fn from_stored(&self, object: Object) -> Object {
        object
    }

    /// Who converts objects between the versions of the kind, where that is not [`Rules::from_storage`] and
    /// [`Rules::to_storage`] but somebody else, who is called.
    fn conversion(&self) -> Option<&Arc<Conversion>> {
        None
    }

    /// Turns the stored form into this version's. The default: they are the same.
    #[allow(clippy::wrong_self_convention, reason = "it is a conversion of the kind, not of the rules")]
    fn from_storage(&self, object: Object) -> Result<Object, Status> {
        Ok(object)
    }

    /// Turns this version's form into the stored one.
    fn to_storage(&self, object: Object) -> Result<Object, Status> {
        Ok(object)
    }
}

/// Name and Age.
pub static NAME_AND_AGE: [Column; 2] = [
    Column::of("Name", "string", "name", "Name of the object", 0),
    Column::of("Age", "string", "", "Time since creation", 0),
];

/// The object's age as kubectl shows it; `<unknown>` without a creation time.
pub fn age(object: &Object, now: &Now) -> String {
    let created = meta::time::parse(object.str_at("metadata.creationTimestamp"));
    now.since(created)
}
