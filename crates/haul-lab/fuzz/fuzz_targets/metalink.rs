//! No document makes the reader of Metalinks panic, and every name in it is safe.

#![no_main]

use haul_fetch::ways::Metalink;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| drop(Metalink::parse(document)));
