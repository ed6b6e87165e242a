//! The kept corpus of the fuzz targets for documents.

mod fuzzed;
#[macro_use]
#[path = "../../../fuzz/kept.rs"]
mod kept;

corpus!(json, yaml, protobuf, structural, json_patch, strategic_patch, selectors, scalars);
