//! No field of a head makes its reader panic, and what is read keeps to its own rules.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| haul_fetch::fuzzing::fields(lines));
