//! No issued policy allows what its role, endpoint, client, tenant or ask denies, whatever they are.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = daypass_dialects::proof::check(bytes) {
        panic!("{fault}");
    }
});
