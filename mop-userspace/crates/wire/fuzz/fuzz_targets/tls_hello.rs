#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mop_wire::fuzzing::fuzz_tls_hello(data));
