#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mop_insight::fuzzing::fuzz_inspection(data));
