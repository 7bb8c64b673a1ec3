//! No datagram breaks the reader of asks, and what is read is written again as it came.
#![no_main]

use haul_link::{Group, GroupKey};
use haul_wire::Ask;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static GROUP: LazyLock<Group> =
    LazyLock::new(|| Group { first: GroupKey::fresh(), second: Some(GroupKey::fresh()) });

fuzz_target!(|datagram: &[u8]| {
    let Ok(ask) = Ask::parse(datagram) else { return };
    assert_eq!(datagram.len(), Ask::LEN);
    assert_eq!(Ask::parse(&ask.to_bytes()), Ok(ask));
    assert!(!GROUP.vouches(&ask, u64::from(ask.expires)), "nobody knows this group's keys");
});
