//! A datagram of the kernel as what it tells of neighbours.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haul_scan::fuzzing::neighbour(bytes));
