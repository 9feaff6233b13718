#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mop_outbox::fuzzing::fuzz_entry(data));
