//! The life of a pod on this node: observe, decide, do.

pub mod admit;
pub mod backoff;
pub mod decide;
pub mod end;
pub mod hooks;
pub mod launch;
pub mod last_words;
pub mod observed;
pub mod outcome;
pub mod probes;
pub mod resize;
pub mod sources;
pub mod start;
pub mod unsupported;
pub mod worker;
pub mod work;
pub mod write;

#[cfg(test)]
mod decide_tests;
