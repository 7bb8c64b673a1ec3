//! Whatever an origin sends, nothing past the part or the file is handed out, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| haul_fetch::fuzzing::response(bytes));
