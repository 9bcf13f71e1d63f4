#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| arawn_fuzz::pipelines::run(bytes));
