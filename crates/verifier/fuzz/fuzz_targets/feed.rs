#![no_main]

#[path = "../../tests/it/fuzz.rs"]
#[expect(dead_code, reason = "each target has one of the functions")]
mod fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::feed(bytes);
});
