#![no_main]
//! `cargo fuzz run layer`, as root: layers have owners and device nodes. Faster where `TMPDIR` is in memory.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    runtime::fuzzed::layer(&std::env::temp_dir().join(format!("ironclad-fuzz-{}", std::process::id())), data);
});
