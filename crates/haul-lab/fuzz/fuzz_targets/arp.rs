//! An Ethernet frame as ARP, and what a scan makes of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haul_scan::fuzzing::arp(bytes));
