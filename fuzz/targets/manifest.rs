#![no_main]
//! `cargo fuzz run manifest`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| runtime::fuzzed::manifest(data));
