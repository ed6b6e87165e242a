//! The kept corpus of the fuzz target for the kernel's answers.

#[macro_use]
#[path = "../../../fuzz/kept.rs"]
mod kept;

use network::fuzzed;

corpus!(netlink);
