#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mop_contract::fuzzing::fuzz_json(data));
