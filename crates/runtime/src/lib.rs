//! Pods and containers on one node, behind a trait in the shape of the CRI.
//!
//! Place in the straight line: the kubelet's executor calls it.
//!
//! Invariants:
//! - pods outlive the process that started them: each has a shim process of its own, and a new
//!   [`Runtime`] on the same directory finds all of them with their exit codes;
//! - exit codes, reasons and logs are kept until the container is removed;
//! - the process that hosts the runtime never forks without exec, changes directory, or becomes non-dumpable.
//!
//! Must not know: Kubernetes objects, pod addresses.

pub mod api;
mod apparmor;
mod cgroup;
mod clock;
mod config;
mod container;
mod disk;
mod embedded;
#[doc(hidden)]
pub mod fuzzed;
mod image;
pub mod limits;
mod measure;
mod mount;
mod overlay;
mod root;
mod seccomp;
mod security;
pub mod shim;
mod tree;
mod users;

pub use api::*;
pub use config::Config;
pub use embedded::{Embedded, layers_in_use, teardown};
pub use image::{Credentials, Pulled, Reference, Store};
pub use measure::tree_usage;
pub use root::{Kind, Root};
pub use security::*;
pub use tree::remove_tree;
