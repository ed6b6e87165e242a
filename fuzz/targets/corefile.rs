#![no_main]
//! `cargo fuzz run corefile`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns::fuzzed::corefile(data));
