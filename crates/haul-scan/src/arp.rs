//! ARP over Ethernet for IPv4 (RFC 826): requests to frames, frames to what they say.

use crate::Mac;
use std::net::Ipv4Addr;

/// The length of a request without the padding that the network card adds.
const FRAME: usize = 42;
/// The `EtherType` of ARP.
const ARP: [u8; 2] = [0x08, 0x06];
/// Hardware: Ethernet. Protocol: IPv4. Lengths of their addresses: 6 and 4.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// What an ARP packet says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) operation: Operation,
    pub(crate) sender_mac: Mac,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Request,
    Reply,
}

/// The broadcast frame that asks who has `target`.
pub(crate) fn request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[0..6].copy_from_slice(&Mac::BROADCAST.octets());
    frame[6..12].copy_from_slice(&mac.octets());
    frame[12..14].copy_from_slice(&ARP);
    frame[14..20].copy_from_slice(&ETHERNET_IPV4);
    frame[20..22].copy_from_slice(&REQUEST);
    frame[22..28].copy_from_slice(&mac.octets());
    frame[28..32].copy_from_slice(&sender.octets());
    frame[38..42].copy_from_slice(&target.octets());
    frame
}

/// What a frame says, or `None` if it is not ARP from one machine for IPv4 on Ethernet.
pub(crate) fn decode(frame: &[u8]) -> Option<Packet> {
    let frame: &[u8; FRAME] = frame.first_chunk()?;
    if frame[12..14] != ARP || frame[14..20] != ETHERNET_IPV4 {
        return None;
    }
    let operation = match [frame[20], frame[21]] {
        REQUEST => Operation::Request,
        REPLY => Operation::Reply,
        _ => return None,
    };
    let sender_mac = Mac::new(octets(frame, 22));
    let (sender, target) = (octets::<4>(frame, 28).into(), octets::<4>(frame, 38).into());
    sender_mac.is_of_one_machine().then_some(Packet { operation, sender_mac, sender, target })
}

fn octets<const N: usize>(frame: &[u8; FRAME], at: usize) -> [u8; N] {
    std::array::from_fn(|place| frame[at + place])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: Mac = Mac::new([2, 0, 0, 0, 0, 1]);
    const THEIRS: Mac = Mac::new([2, 0, 0, 0, 0, 9]);

    /// The frame by which `mac` answers a request.
    pub(crate) fn reply(mac: Mac, request: &[u8]) -> Vec<u8> {
        let mut frame = request.to_vec();
        frame.copy_within(6..12, 0);
        frame[6..12].copy_from_slice(&mac.octets());
        frame[20..22].copy_from_slice(&REPLY);
        frame.copy_within(22..32, 32);
        frame[22..28].copy_from_slice(&mac.octets());
        frame[28..32].copy_from_slice(&request[38..42]);
        frame
    }

    #[test]
    fn a_request_is_these_bytes() {
        let frame = request(OURS, Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 21));
        let golden = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // to everybody
            2, 0, 0, 0, 0, 1, // from us
            0x08, 0x06, // ARP
            0, 1, 0x08, 0, 6, 4, // Ethernet, IPv4 and the lengths of their addresses
            0, 1, // request
            2, 0, 0, 0, 0, 1, 10, 77, 0, 1, // we are this
            0, 0, 0, 0, 0, 0, 10, 77, 0, 21, // who is that?
        ];
        assert_eq!(frame, golden);
    }

    #[test]
    fn a_reply_says_who_has_the_address() {
        let (us, them) = (Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 21));
        let packet = decode(&reply(THEIRS, &request(OURS, us, them)));
        let expected =
            Packet { operation: Operation::Reply, sender_mac: THEIRS, sender: them, target: us };
        assert_eq!(packet, Some(expected));
    }

    #[test]
    fn what_is_not_from_one_machine_or_cut_short_says_nothing() {
        let good = request(OURS, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        assert!(decode(&good).is_some());
        assert_eq!(decode(&good[..41]), None);
        for at in 12..22 {
            let mut bad = good;
            bad[at] ^= 0x40;
            assert_eq!(decode(&bad), None, "byte {at}");
        }
        for mac in [Mac::BROADCAST, Mac::new([0; 6])] {
            assert_eq!(decode(&request(mac, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)), None);
        }
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(mut frame in prop::collection::vec(any::<u8>(), 0..80), arp: bool) {
            if arp && frame.len() >= 20 {
                frame[12..14].copy_from_slice(&ARP);
                frame[14..20].copy_from_slice(&ETHERNET_IPV4);
            }
            let _ = decode(&frame);
        }
    }
}
