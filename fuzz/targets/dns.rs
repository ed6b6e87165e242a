#![no_main]
//! `cargo fuzz run dns`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns::fuzzed::dns(data));
