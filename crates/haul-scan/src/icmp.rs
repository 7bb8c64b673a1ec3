//! ICMP echo (RFC 792), and `ICMPv6` echo to all nodes of a link (RFC 4443), to bytes and from them.

use crate::Mac;
use std::net::{IpAddr, Ipv6Addr};

/// The length of an echo: its header and our token.
pub(crate) const ECHO: usize = 16;
/// The lengths of an Ethernet and of an IPv6 header.
const ETHERNET: usize = 14;
const IPV6: usize = 40;
const FRAME: usize = ETHERNET + IPV6 + ECHO;

const REQUEST: u8 = 8;
const REPLY: u8 = 0;
const REQUEST_6: u8 = 128;
const REPLY_6: u8 = 129;

/// The `EtherType` of IPv6, and the number of `ICMPv6` in its header.
const ETHERTYPE: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

/// Every node on the link (RFC 4291, 2.7.1), and its Ethernet group (RFC 2464, 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac::new([0x33, 0x33, 0, 0, 0, 1]);

/// What an echo carries, so that an answer is known to be to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) [u8; 8]);

impl Token {
    /// The identifier that an echo carries besides.
    const fn id(self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

/// The message that asks for an echo by IPv4.
pub(crate) fn request(token: Token) -> [u8; ECHO] {
    let mut message = echo(REQUEST, token);
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum);
    message
}

/// Whether an ICMP message is the echo that was asked for.
///
/// Its checksum is not looked at: the kernel has, and nobody can make up the token.
pub(crate) fn is_reply(message: &[u8], token: Token) -> bool {
    is_echo(message, REPLY, token)
}

/// The ICMP message in an IPv4 packet as a raw socket gives it.
pub(crate) fn message(packet: &[u8]) -> Option<&[u8]> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let (version, words) = (header[0] >> 4, header[0] & 0xf);
    let is_icmp = version == 4 && words >= 5 && header[9] == 1;
    packet.get(4 * usize::from(words)..).filter(|_| is_icmp)
}

/// The frame that asks every node on the link for an echo.
pub(crate) fn all_nodes_request(mac: Mac, source: Ipv6Addr, token: Token) -> [u8; FRAME] {
    let (source, all) = (source.octets(), ALL_NODES.octets());
    let mut message = echo(REQUEST_6, token);
    let sum = checksum(&[&source, &all, &[0, 0, 0, 16, 0, 0, 0, ICMPV6], &message]);
    message[2..4].copy_from_slice(&sum);
    let mut frame = [0; FRAME];
    frame[0..6].copy_from_slice(&ALL_NODES_MAC.octets());
    frame[6..12].copy_from_slice(&mac.octets());
    frame[12..14].copy_from_slice(&ETHERTYPE);
    // Version 6, the payload's length, what it is, and so many hops that none was taken.
    frame[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 16, ICMPV6, 255]);
    frame[22..38].copy_from_slice(&source);
    frame[38..54].copy_from_slice(&all);
    frame[54..].copy_from_slice(&message);
    frame
}

/// Whose echo a frame is: a machine's on this link, and asked for by us.
pub(crate) fn all_nodes_reply(frame: &[u8], token: Token) -> Option<(Ipv6Addr, Mac)> {
    let header: &[u8; ETHERNET + IPV6] = frame.first_chunk()?;
    let is_icmp = header[12..14] == ETHERTYPE && header[14] >> 4 == 6 && header[20] == ICMPV6;
    let message = frame.get(ETHERNET + IPV6..).filter(|_| is_icmp)?;
    let mac = Mac::new(std::array::from_fn(|place| header[6 + place]));
    let source = Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|place| header[22 + place]));
    let is_on_link = source.is_unicast_link_local() && mac.is_of_one_machine();
    (is_on_link && is_echo(message, REPLY_6, token)).then_some((source, mac))
}

/// The address that a machine gives itself on every link, if this is one.
pub(crate) fn link_local(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    }
}

/// A message without its checksum.
fn echo(kind: u8, token: Token) -> [u8; ECHO] {
    let mut message = [0; ECHO];
    message[0] = kind;
    message[4..6].copy_from_slice(&token.id());
    message[8..].copy_from_slice(&token.0);
    message
}

/// A datagram socket gives messages an identifier of its own, so only the token tells.
fn is_echo(message: &[u8], kind: u8, token: Token) -> bool {
    message.len() >= ECHO && message[..2] == [kind, 0] && message[8..ECHO] == token.0
}

/// The sum of RFC 1071 over parts of even lengths.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let pairs = parts.iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 = pairs.map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let [.., high, low] = (!folded).to_be_bytes();
    [high, low]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token([1, 2, 3, 4, 5, 6, 7, 8]);
    const OURS: Mac = Mac::new([2, 0, 0, 0, 0, 1]);
    const THEIRS: Mac = Mac::new([2, 0, 0, 0, 0, 9]);
    const US: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const THEM: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

    /// The frame by which a machine answers the question to all nodes.
    pub(crate) fn all_nodes_answer(mac: Mac, address: Ipv6Addr, request: &[u8]) -> Vec<u8> {
        let mut frame = request.to_vec();
        frame.copy_within(6..12, 0);
        frame[6..12].copy_from_slice(&mac.octets());
        frame.copy_within(22..38, 38);
        frame[22..38].copy_from_slice(&address.octets());
        frame[54] = REPLY_6;
        frame
    }

    #[test]
    fn a_request_is_these_bytes() {
        let golden = [8, 0, 0xe6, 0xe9, 1, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(request(TOKEN), golden);
        assert_eq!(checksum(&[&golden]), [0, 0], "the sum over all is zero");
    }

    #[test]
    fn an_answer_is_ours_by_its_token_whatever_its_identifier() {
        let mut reply = request(TOKEN);
        (reply[0], reply[4]) = (REPLY, 99);
        assert!(is_reply(&reply, TOKEN));
        assert!(!is_reply(&reply, Token([0; 8])));
        assert!(!is_reply(&reply[..15], TOKEN));
        assert!(!is_reply(&request(TOKEN), TOKEN), "our own question is no answer");
    }

    #[test]
    fn the_header_of_a_packet_is_as_long_as_it_says() {
        let packet = |first: u8, len: usize| {
            let mut packet = vec![0; len];
            (packet[0], packet[9]) = (first, 1);
            packet.extend(request(TOKEN));
            packet
        };
        for (first, len) in [(0x45, 20), (0x46, 24), (0x4f, 60)] {
            assert_eq!(message(&packet(first, len)), Some(&request(TOKEN)[..]));
        }
        for (first, len) in [(0x65, 20), (0x44, 20)] {
            assert_eq!(message(&packet(first, len)), None);
        }
        assert_eq!(message(&[0x4f; 30]), None);
    }

    #[test]
    fn the_question_to_all_nodes_has_a_right_checksum_and_its_answers_say_who_is_there() {
        let question = all_nodes_request(OURS, US, TOKEN);
        let pseudo = [0, 0, 0, 16, 0, 0, 0, ICMPV6];
        assert_eq!(checksum(&[&question[22..54], &pseudo, &question[54..]]), [0, 0]);
        let answer = all_nodes_answer(THEIRS, THEM, &question);
        assert_eq!(all_nodes_reply(&answer, TOKEN), Some((THEM, THEIRS)));
        assert_eq!(all_nodes_reply(&answer, Token([0; 8])), None);
        assert_eq!(all_nodes_reply(&question, TOKEN), None);
        let off_link = all_nodes_answer(THEIRS, Ipv6Addr::LOCALHOST, &question);
        assert_eq!(all_nodes_reply(&off_link, TOKEN), None);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120), six: bool) {
            if six && bytes.len() >= 21 {
                bytes[12..14].copy_from_slice(&ETHERTYPE);
                (bytes[14], bytes[20]) = (0x60, ICMPV6);
            }
            let _ = message(&bytes).map(|message| is_reply(message, TOKEN));
            let _ = all_nodes_reply(&bytes, TOKEN);
        }
    }
}
