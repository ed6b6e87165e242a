//! The kept corpus of the fuzz target for questions to the cluster DNS.

#[macro_use]
#[path = "../../../fuzz/kept.rs"]
mod kept;

use dns::fuzzed;

corpus!(dns);
