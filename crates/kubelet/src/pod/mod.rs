//! The life of a pod on this node: observe, decide, do.

pub mod admit;
pub mod backoff;
pub mod decide;
pub mod end;
pub mod eviction;
pub mod handler;
pub mod hooks;
pub mod launch;
pub mod last_words;
pub mod observed;
pub mod outcome;
pub mod preempt;
pub mod probes;
pub mod resize;
pub mod shortage;
pub mod sources;
pub mod start;
pub mod stop;
pub mod told;
pub mod unsupported;
pub mod worker;
pub mod work;
pub mod write;

#[cfg(test)]
mod decide_tests;
