//! A datagram of multicast DNS as the library reads it that speaks it for haul, and what haul makes
//! of an announcement.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    mdns_sd::fuzz_api::parse_packet(bytes);
    haul_link::fuzzing::announcement(bytes);
});
