#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| polyport_fuzz::run("request_gemini", data));
