//! Kubernetes' dialect of CEL: parser, type checker, evaluator with a cost limit, static cost estimate, libraries.
//!
//! Place in the straight line: vocabulary. CustomResourceDefinitions' rules and admission policies compile their expressions
//! with an [`Env`] that declares their variables, keep the [`Program`], and run it on values that are views of their own trees
//! ([`value::Items`], [`value::Entries`]).
//!
//! Invariants:
//! - pure and synchronous: no I/O, no task; whether an authorizer says yes is asked through a trait that the caller gives;
//! - texts of errors, costs and estimates are upstream's (cel-go 0.26 in `k8s.io/apiserver/pkg/cel/environment` of 1.36),
//!   because clients see them and because an estimate decides whether a CustomResourceDefinition is let in;
//! - every function is one row of a table in `library`: its signature, its overload, its cost and what it does;
//! - everything that an expression can make larger is bounded: its text, its depth, its nodes, its cost.
//!
//! Must not know: kinds, schemas of the API, HTTP, users.

pub mod ast;
pub mod authorizer;
pub mod check;
pub mod cost;
pub mod env;
pub mod escape;
pub mod library;
pub mod limits;
pub mod parse;
pub mod plan;
pub mod source;
pub mod types;
pub mod value;

pub use check::Checked;
pub use env::Env;
pub use plan::Program;
pub use source::{Issue, Issues};
pub use types::Type;
pub use value::{Error, Value};

/// More stack for what recurses: expressions are bounded in depth, the stacks they are compiled and run on are not ours.
pub(crate) fn deep<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(128 << 10, 2 << 20, run)
}
