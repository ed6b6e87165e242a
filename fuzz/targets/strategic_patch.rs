#![no_main]
//! `cargo fuzz run strategic_patch`.

#[path = "../../crates/schema/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::strategic_patch(data));
