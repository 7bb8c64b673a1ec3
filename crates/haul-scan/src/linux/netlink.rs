//! The kernel's messages about neighbours (`rtnetlink(7)`), from bytes in this machine's order.

use crate::Mac;
use std::net::Ipv4Addr;
use std::time::Duration;

const DONE: u16 = 3;
const NEW_NEIGHBOUR: u16 = 28;
const DUMP_NEIGHBOURS: u16 = 30;
/// Request, and of all entries.
const DUMP: u16 = 0x301;
const IPV4: u8 = 2;

/// The lengths of the headers of a message and of a neighbour.
const MESSAGE: usize = 16;
const NEIGHBOUR: usize = 12;

const ADDRESS: u16 = 1;
const LINK_ADDRESS: u16 = 2;
const CACHE_INFO: u16 = 3;

/// A tick of the times that the kernel tells programs (`USER_HZ` is 100 on every platform).
const TICK: Duration = Duration::from_millis(10);

/// What the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Neighbour(Neighbour),
    /// All that was asked for has been said.
    Done,
}

/// An IPv4 machine on the link, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) interface: u32,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: Mac,
    pub(crate) state: State,
    /// The time since the entry was confirmed or last changed.
    pub(crate) age: Duration,
}

/// How sure the kernel is of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has just answered.
    Reachable,
    /// It was there some time ago; whether it still is will be looked at when that matters.
    Stale,
}

/// The request for all IPv4 neighbours.
pub(crate) fn dump_request() -> [u8; MESSAGE + NEIGHBOUR] {
    let mut message = [0; MESSAGE + NEIGHBOUR];
    message[0..4].copy_from_slice(&28_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&DUMP_NEIGHBOURS.to_ne_bytes());
    message[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    message[MESSAGE] = IPV4;
    message
}

/// The messages in a datagram that tell something; the rest of a broken one is left out.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message> {
    let all = std::iter::from_fn(move || {
        let len = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let message = datagram.get(..len).filter(|_| len >= MESSAGE)?;
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((u16_at(message, 4)?, &message[MESSAGE..]))
    });
    all.filter_map(|(kind, body)| match kind {
        NEW_NEIGHBOUR => neighbour(body).map(Message::Neighbour),
        DONE => Some(Message::Done),
        _ => None,
    })
}

/// The neighbour that a message tells of, if it is an IPv4 machine with a hardware address that was
/// ever heard.
fn neighbour(body: &[u8]) -> Option<Neighbour> {
    let (&family, attributes) = (body.first()?, body.get(NEIGHBOUR..)?);
    let (interface, state) = (u32_at(body, 4)?, state(u16_at(body, 8)?)?);
    if family != IPV4 {
        return None;
    }
    let address = <[u8; 4]>::try_from(attribute(attributes, ADDRESS)?).ok()?.into();
    let mac = Mac::new(attribute(attributes, LINK_ADDRESS)?.try_into().ok()?);
    let info = attribute(attributes, CACHE_INFO)?;
    let age = TICK * u32_at(info, 0)?.min(u32_at(info, 8)?);
    mac.is_of_one_machine().then_some(Neighbour { interface, address, mac, state, age })
}

/// The states in which a machine is or was there: not those set by hand, sought or given up.
const fn state(bits: u16) -> Option<State> {
    match bits {
        0x02 => Some(State::Reachable),
        0x04 | 0x08 | 0x10 => Some(State::Stale),
        _ => None,
    }
}

/// The value of the first attribute of that kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(u16_at(attributes, 0)?);
        let value = attributes.get(4..len)?;
        if u16_at(attributes, 2)? == wanted {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(MESSAGE + body.len()).unwrap();
        let header = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
        let mut message = [&header[..], body].concat();
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn told(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + value.len()).unwrap();
        let mut attribute = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        attribute.resize(attribute.len().next_multiple_of(4), 0);
        attribute
    }

    fn body(state: u16, mac: [u8; 6]) -> Vec<u8> {
        let header = [&[IPV4, 0, 0, 0][..], &7_u32.to_ne_bytes(), &state.to_ne_bytes(), &[0, 1]];
        let ticks = [300_u32, 0, 200, 1].map(u32::to_ne_bytes).concat();
        let attributes =
            [told(ADDRESS, &[10, 77, 0, 9]), told(LINK_ADDRESS, &mac), told(CACHE_INFO, &ticks)];
        [header.concat(), attributes.concat()].concat()
    }

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    #[test]
    fn a_datagram_tells_of_neighbours_and_of_the_end() {
        let datagram =
            [message(NEW_NEIGHBOUR, &body(2, MAC)), message(2, &[0; 20]), message(DONE, &[0; 4])];
        let expected = Neighbour {
            interface: 7,
            address: Ipv4Addr::new(10, 77, 0, 9),
            mac: Mac::new(MAC),
            state: State::Reachable,
            age: Duration::from_secs(2),
        };
        let told: Vec<_> = messages(&datagram.concat()).collect();
        assert_eq!(told, [Message::Neighbour(expected), Message::Done]);
    }

    #[test]
    fn what_is_sought_given_up_set_by_hand_or_no_machine_is_no_neighbour() {
        for (state, mac) in [(1, MAC), (0x20, MAC), (0x40, MAC), (0x80, MAC), (2, [0; 6])] {
            assert_eq!(neighbour(&body(state, mac)), None, "{state} {mac:?}");
        }
        assert_eq!(neighbour(&body(4, MAC)).map(|told| told.state), Some(State::Stale));
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic_or_loop(
            cut in 0..80_usize, at in 0..80_usize, with: u8, noise in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut datagram = message(NEW_NEIGHBOUR, &body(2, MAC));
            let at = at % datagram.len();
            datagram[at] = with;
            datagram.truncate(cut);
            prop_assert!(messages(&datagram).count() <= 5);
            prop_assert!(messages(&noise).count() <= 5);
        }
    }
}
