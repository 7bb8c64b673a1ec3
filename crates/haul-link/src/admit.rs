use crate::{Heard, Interface};
use haul_wire::Ask;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many asks and sources are remembered, so that strangers cannot fill the memory.
const REMEMBERED: usize = 1024;

/// How long an ask that was followed is not followed again.
const ASK_MEMORY: Duration = Duration::from_secs(600);

/// How soon the same machine may make this one dial again.
const SOURCE_PAUSE: Duration = Duration::from_secs(2);

/// Which asks a helper follows: those of machines in its own networks, and from farther away those
/// that somebody vouches for; once each, at a pace that forged asks cannot raise.
///
/// Asks are readable and forgeable by anyone, so this is what keeps a helper from being made to
/// dial somebody who never asked. Time is an argument: since the helper started.
#[derive(Debug)]
pub struct Admission {
    ports: RangeInclusive<u16>,
    asks: VecDeque<(Duration, [u8; 16])>,
    sources: VecDeque<(Duration, IpAddr)>,
}

impl Admission {
    /// Follows asks that name a port in `ports`.
    pub const fn new(ports: RangeInclusive<u16>) -> Self {
        Self { ports, asks: VecDeque::new(), sources: VecDeque::new() }
    }

    /// Whether to dial on this ask's word; `networks` are the machine's own at this moment, and
    /// `vouched` says whether an ask from elsewhere is a group's or a known leader's.
    pub fn admit(
        &mut self,
        now: Duration,
        heard: &Heard,
        networks: &[Interface],
        vouched: impl FnOnce(&Ask) -> bool,
    ) -> bool {
        let Heard { ask, from } = heard;
        let on_link = || networks.iter().any(|network| network.has(*from));
        let fits = self.ports.contains(&ask.port) && ask.expires > 0;
        fits && !self.is_repeat(now, ask, *from)
            && (on_link() || vouched(ask))
            && self.note(now, ask, *from)
    }

    /// Lets an ask be followed again: dialling on its word failed for a passing reason.
    pub fn forget(&mut self, ask: &Ask) {
        self.asks.retain(|(_, id)| *id != ask.id);
    }

    fn is_repeat(&self, now: Duration, ask: &Ask, from: IpAddr) -> bool {
        let fresh = |at: &Duration, memory: Duration| now < *at + memory;
        self.asks.iter().any(|(at, id)| *id == ask.id && fresh(at, ASK_MEMORY))
            || self.sources.iter().any(|(at, source)| *source == from && fresh(at, SOURCE_PAUSE))
    }

    fn note(&mut self, now: Duration, ask: &Ask, from: IpAddr) -> bool {
        remember(&mut self.asks, (now, ask.id));
        remember(&mut self.sources, (now, from));
        true
    }
}

fn remember<T>(memory: &mut VecDeque<T>, item: T) {
    if memory.len() == REMEMBERED {
        memory.pop_front();
    }
    memory.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_wire::SizeClass;

    fn heard(id: u8, from: [u8; 4], port: u16) -> Heard {
        let ask = Ask {
            id: [id; 16],
            leader: [0; 32],
            port,
            size: SizeClass::Unknown,
            wanted: 1,
            expires: 30,
            group: [0; 8],
            tag: [0; 16],
        };
        Heard { ask, from: from.into() }
    }

    fn lan() -> Vec<Interface> {
        vec![Interface { name: "eth0".into(), address: [10, 0, 0, 2].into(), prefix: 24 }]
    }

    #[test]
    fn an_ask_is_followed_once_and_a_source_once_in_two_seconds() {
        let mut admission = Admission::new(crate::PORTS);
        let [a, b] = [heard(1, [10, 0, 0, 9], 4285), heard(2, [10, 0, 0, 9], 4285)];
        let at = Duration::from_secs;
        assert!(admission.admit(at(0), &a, &lan(), |_| false));
        assert!(!admission.admit(at(0), &a, &lan(), |_| false), "a repeat");
        assert!(!admission.admit(at(1), &b, &lan(), |_| false), "the same source too soon");
        assert!(admission.admit(at(3), &b, &lan(), |_| false));
        assert!(!admission.admit(at(599), &a, &lan(), |_| false));
        assert!(admission.admit(at(601), &a, &lan(), |_| false));
    }

    #[test]
    fn an_ask_from_beyond_the_link_or_for_another_port_is_ignored() {
        let mut admission = Admission::new(crate::PORTS);
        assert!(
            !admission.admit(Duration::ZERO, &heard(1, [10, 0, 1, 9], 4285), &lan(), |_| false)
        );
        assert!(!admission.admit(Duration::ZERO, &heard(1, [10, 0, 0, 9], 22), &lan(), |_| false));
        assert!(admission.admit(Duration::ZERO, &heard(1, [10, 0, 0, 9], 4300), &lan(), |_| false));
    }

    #[test]
    fn an_ask_from_beyond_the_link_is_followed_if_somebody_vouches_for_it() {
        let mut admission = Admission::new(crate::PORTS);
        let [far, other] = [heard(1, [10, 0, 1, 9], 4285), heard(2, [10, 0, 2, 9], 22)];
        assert!(admission.admit(Duration::ZERO, &far, &lan(), |ask| ask.id == [1; 16]));
        assert!(!admission.admit(Duration::ZERO, &other, &lan(), |_| true), "whatever the port");
    }

    #[test]
    fn a_flood_of_asks_does_not_grow_the_memory() {
        let mut admission = Admission::new(crate::PORTS);
        for n in 0..20_000u32 {
            let [_, a, b, c] = n.to_be_bytes();
            let mut flood = heard(1, [10, 0, b, c], 4285);
            flood.ask.id[..3].copy_from_slice(&[a, b, c]);
            let everywhere =
                [Interface { name: "eth0".into(), address: [10, 0, 0, 2].into(), prefix: 8 }];
            admission.admit(Duration::from_secs(n.into()), &flood, &everywhere, |_| false);
        }
        assert!(admission.asks.len() <= REMEMBERED && admission.sources.len() <= REMEMBERED);
    }
}
