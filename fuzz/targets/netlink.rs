#![no_main]
//! `cargo fuzz run netlink`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| network::fuzzed::netlink(data));
