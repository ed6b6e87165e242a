//! Images on this machine: unpacked layers and one index.
//!
//! ```text
//! images/index.json     what there is: replaced atomically, the only truth
//!        layers/<hex>/   one directory per layer, named after its content; complete from the moment it has this name
//!        tmp/<pid>-…/    work in progress; removed when its process is gone
//!        blobs/          what registries have sent of layers that are not unpacked yet
//!        lock            held by whoever changes something; the command line and the node agent may both
//! ```

mod archive;
mod blobs;
mod flights;
mod import;
mod index;
mod manifest;
mod mounted;
mod own;
mod pull;
mod reference;
mod registry;
mod stage;
mod store;
mod turns;
mod unpack;

pub use pull::{Credentials, Pulled};
pub use reference::Reference;
pub use store::Store;

pub(crate) use manifest::ImageConfig;
pub(crate) use store::Local;

use crate::Error;

/// An image error with the kubelet's reason for a failed fetch.
fn broken(message: impl Into<String>) -> Error {
    Error::Image { reason: "ErrImagePull", message: message.into() }
}
