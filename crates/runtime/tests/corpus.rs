//! The kept corpus of the fuzz targets for images. Needs root: layers have owners and device nodes.

#[macro_use]
#[path = "../../../fuzz/kept.rs"]
mod kept;

mod fuzzed {
    pub use runtime::fuzzed::manifest;

    pub fn layer(data: &[u8]) {
        let scratch = tempfile::tempdir().expect("a directory");
        runtime::fuzzed::layer(scratch.path(), data);
    }
}

corpus!(manifest, layer);
