//! Who is asking, and whether they may: certificates, tokens, authenticators, authorizers, and the
//! roles that every cluster starts with.
//!
//! Place in the straight line: `route → authenticate → flow control → authorize → verb`.
//!
//! Invariants:
//! - authorizing is synchronous and reads only indexes in memory, which [`Authorization::observe`]
//!   keeps current from changes; nothing is parsed for a request;
//! - what no authenticator vouches for is anonymous or refused, what no authorizer allows is refused;
//! - private keys lie in files of mode 0600 and appear in no error and no log line.
//!
//! Must not know: HTTP, the store, admission. Other objects are read through [`Lookup`].

pub mod authn;
pub mod authz;
pub mod bootstrap;
mod cache;
pub mod delegated;
pub mod identity;
mod lookup;
pub mod pki;
pub mod token;

pub use authn::{Authentication, Authenticator, Credentials, Unauthorized};
pub use authz::{Authorization, Authorizer, Decision, Event, Verdict};
pub use lookup::Lookup;
