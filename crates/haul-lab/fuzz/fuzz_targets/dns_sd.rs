//! The records of a datagram of multicast DNS, as the library reads them that speaks it for haul,
//! and what haul makes of an announcement.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The library's entrance demands that all questions are kept, and its reader leaves those of
    // types that it does not know out: so there are none.
    let mut records = bytes.to_vec();
    if let Some(questions) = records.get_mut(4..6) {
        questions.fill(0);
    }
    mdns_sd::fuzz_api::parse_packet(&records);
    haul_link::fuzzing::announcement(bytes);
});
