//! An answer of a name server about a domain's helpers, and a system's list of such servers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    haul_link::fuzzing::srv(bytes);
    haul_link::fuzzing::servers(&String::from_utf8_lossy(bytes));
});
