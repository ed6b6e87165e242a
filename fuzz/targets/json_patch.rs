#![no_main]
//! `cargo fuzz run json_patch`.

#[path = "../../crates/schema/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::json_patch(data));
