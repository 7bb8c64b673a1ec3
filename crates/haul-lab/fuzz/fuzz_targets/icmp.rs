//! A packet as an ICMP echo, and a frame as one by IPv6.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haul_scan::fuzzing::icmp(bytes));
