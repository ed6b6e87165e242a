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
mod unpacking;

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

/// Reads a document as each of those that images and registries have (for [`crate::fuzzed`]).
pub(crate) fn decode(data: &[u8]) {
    if let Ok(manifest) = manifest::Manifest::parse(data) {
        drop(manifest.checked().map(|config| config.size));
        drop(manifest.for_this_machine().map(|entry| entry.digest.clone()));
    }
    drop(serde_json::from_slice::<manifest::ConfigFile>(data));
    drop(serde_json::from_slice::<Vec<manifest::DockerImage>>(data));
    registry::decode(data);
}

/// Unpacks a layer that may have a megabyte and a hundred files (for [`crate::fuzzed`]).
pub(crate) fn unpack_small(data: &[u8], dir: &std::path::Path) {
    let mut room = stage::Room::at_most(std::path::Path::new("/"), 1 << 20, 100);
    // Its digest is that of nothing: what is unpacked is refused in the end.
    drop(stage::layer(data, None, &stage::digest(b""), dir, &mut room));
}
