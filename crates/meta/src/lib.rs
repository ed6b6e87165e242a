//! The vocabulary that every other crate speaks: objects, names, errors, identities.
//!
//! Place in the straight line: everywhere; it is what the stations hand to each other.
//!
//! Invariants:
//! - pure and synchronous: no clock, no I/O, no task;
//! - the JSON tree inside [`Object`] is reached through its methods, so that its
//!   representation can change without touching another crate;
//! - an [`Encoded`] is one revision of an object, shared by cache, readers and watchers: only the forms made of it come and go.
//!
//! Must not know: kinds, schemas, HTTP, the store.

pub mod duration;
pub mod encoded;
pub mod field;
pub mod identity;
pub mod jsonpath;
pub mod limits;
pub mod names;
pub mod object;
pub mod pattern;
pub mod quantity;
pub mod random;
pub mod selector;
pub mod status;
pub mod text;
pub mod time;
pub mod url;

pub use encoded::{Codec, Encoded, Fields, Pairs};
pub use identity::{Attributes, Info, User};
pub use names::{Gvk, Gvr, Key};
pub use object::Object;
pub use quantity::Quantity;
pub use status::{Reason, Status};
