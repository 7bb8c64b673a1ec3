//! No URL makes a request that a server could read as two, or tells secrets to a stranger.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| haul_fetch::fuzzing::url(text));
