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
mod error;
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
mod space;
mod tree;
mod users;

pub use api::*;
pub use cgroup::find as find_cgroups;
pub use config::Config;
pub use embedded::{Embedded, layers_in_use, teardown};
pub use error::{Error, Result};
pub use image::{Credentials, Inspected, Pruned, Pulled, Reference, Store};
pub use measure::{Size, tree_usage};
pub use root::{Kind, Root, absolute};
pub use security::*;
pub use space::Space;
pub use tree::remove_tree;
