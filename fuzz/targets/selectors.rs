#![no_main]
//! `cargo fuzz run selectors`.

#[path = "../../crates/schema/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::selectors(data));
