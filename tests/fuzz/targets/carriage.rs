#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    mdrm_authz_fuzz::carriage::check(input);
});
