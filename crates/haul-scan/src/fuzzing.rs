//! Entrances for fuzz targets, each of which takes any bytes and must neither panic nor hang.

use crate::engine::{Engine, Evidence, Heard, Step, Tuning};
use crate::icmp::{self, Token};
use crate::{Medium, Policy, arp};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Frames as they come in by ARP, 42 octets each, and a scan that hears them.
pub fn arp(bytes: &[u8]) {
    let targets: Vec<_> = (1..32).map(|n| Ipv4Addr::new(10, 77, 0, n)).collect();
    let tuning = Tuning::arp(&Policy::default(), Medium::Wired);
    let mut engine = Engine::new(targets, tuning, 1);
    let mut now = Duration::ZERO;
    for frame in bytes.chunks(42) {
        match engine.poll(now) {
            Step::Probe(target) => engine.sent(now, target),
            Step::Wait(until) => now = until,
            Step::Settled | Step::Done => {}
        }
        if let Some(packet) = arp::decode(frame) {
            let mac = Some(packet.sender_mac);
            let heard = Heard { address: packet.sender, mac, evidence: Evidence::Answer };
            let _ = engine.heard(now, heard);
        }
    }
    let stats = engine.stats(now);
    assert!(stats.found <= stats.targets && (0.0..=1.0).contains(&stats.loss));
}

/// An answer to an echo as sockets and links give it.
pub fn icmp(bytes: &[u8]) {
    let token = Token(*b"haulfuzz");
    let _ = icmp::message(bytes).map(|message| icmp::is_reply(message, token));
    let _ = icmp::is_reply(bytes, token);
    if let Some((address, mac)) = icmp::all_nodes_reply(bytes, token) {
        assert!(address.is_unicast_link_local() && mac.is_of_one_machine());
    }
}

/// A datagram from the kernel.
pub fn neighbour(bytes: &[u8]) {
    let told = crate::linux::netlink::messages(bytes).count();
    assert!(told <= bytes.len() / 16, "every message has a header");
}
