//! The kept corpora of the fuzz targets for questions to the cluster DNS, and for its Corefile.

#[macro_use]
#[path = "../../../fuzz/kept.rs"]
mod kept;

use dns::fuzzed;

corpus!(dns, corefile);
