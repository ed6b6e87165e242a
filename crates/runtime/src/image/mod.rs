//! Images on this machine: unpacked layers and one index.
//!
//! ```text
//! images/index.json     what there is: replaced atomically, the only truth
//!        layers/<hex>/   one directory per layer, named after its content and that of the layers below it (their chain);
//!                        complete from the moment it has this name
//!        recipes/<hex> how to make the layer's tar file again
//!        configs/<hex> the configuration file of each image
//!        tmp/<pid>-…/    work in progress; removed when its process is gone
//!        blobs/          what registries have sent of layers that are not unpacked yet
//!        lock            held by whoever changes something; the command line and the node agent may both
//! ```

mod archive;
mod attributes;
mod below;
mod blobs;
mod copies;
mod copy;
mod counting;
mod flights;
mod held;
mod import;
mod inspect;
mod keep;
mod index;
mod manifest;
mod mounted;
mod own;
mod platform;
mod pull;
mod push;
mod reference;
mod recipe;
mod registry;
mod save;
mod search;
mod stage;
mod store;
mod turns;
mod unpack;
mod unpacking;
mod volumes;

pub use inspect::{Inspected, Pruned};
pub use pull::{Credentials, Pulled};
pub use reference::Reference;
pub use store::Store;

pub(crate) use copies::Places;
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
        let _ = manifest.is_image();
    }
    let mut search = search::Search::listed(manifest::Descriptor::default());
    if let Ok(Some(step)) = search.next() {
        drop(search.take(&step, data));
        drop(search.next());
    }
    drop(serde_json::from_slice::<manifest::ConfigFile>(data));
    drop(serde_json::from_slice::<Vec<manifest::DockerImage>>(data));
    registry::decode(data);
}

/// Unpacks a layer that may have a megabyte and a hundred files (for [`crate::fuzzed`]).
pub(crate) fn unpack_small(data: &[u8], dir: &std::path::Path) {
    let mut room = stage::Room::at_most(std::path::Path::new("/"), 1 << 20, 100);
    // Its digest is that of nothing: what is unpacked is refused in the end.
    drop(stage::layer(data, (None, &stage::digest(b"")), dir, &[], &mut room));
    // What was read of it can be made again, or is refused; either ends.
    let recipe = recipe::beside(dir);
    if recipe::size(&recipe).is_ok_and(|size| size <= 8 << 20) {
        drop(recipe::make(&recipe, dir, &mut std::io::sink()));
    }
    let _ = std::fs::remove_file(recipe);
}
