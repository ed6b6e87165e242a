#![no_main]
//! `cargo fuzz run yaml`.

#[path = "../../crates/schema/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::yaml(data));
