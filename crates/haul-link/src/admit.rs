use crate::{Heard, Interface, PeerId};
use haul_wire::Ask;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many asks and sources are remembered, so that strangers cannot fill the memory.
const REMEMBERED: usize = 1024;

/// How long an ask that was followed is not followed again.
const ASK_MEMORY: Duration = Duration::from_secs(600);

/// How long an ask is not followed again whose help the owner ended: as long as a download may last.
const ENDED_MEMORY: Duration = Duration::from_secs(6 * 3600);

/// How soon the same machine may make this one dial again, or be taken in again.
const SOURCE_PAUSE: Duration = Duration::from_secs(2);

/// How long an address of the own network where nobody was is not dialled again on an ask's word.
const SILENCE: Duration = Duration::from_secs(5);

/// Which asks a helper follows, and whose connections it takes in: those of machines in its own
/// networks, and from farther away those that somebody vouches for; once each, at a pace that
/// strangers cannot raise.
///
/// Asks are readable and forgeable by anyone, so this is what keeps a helper from being made to
/// dial somebody who never asked. Time is an argument: since the helper started.
#[derive(Debug)]
pub struct Admission {
    ports: RangeInclusive<u16>,
    asks: Memory<[u8; 16]>,
    sources: Memory<IpAddr>,
    silent: Memory<IpAddr>,
    callers: Memory<IpAddr>,
    /// By leader too: an ask's number can be read by anyone, but a leader has proved who it is.
    offers: Memory<(PeerId, [u8; 16])>,
    /// Those whose help the owner ended.
    ended: Memory<(PeerId, [u8; 16])>,
}

impl Admission {
    /// Follows asks that name a port in `ports`.
    pub const fn new(ports: RangeInclusive<u16>) -> Self {
        Self {
            ports,
            asks: Memory::lasting(ASK_MEMORY),
            sources: Memory::lasting(SOURCE_PAUSE),
            silent: Memory::lasting(SILENCE),
            callers: Memory::lasting(SOURCE_PAUSE),
            offers: Memory::lasting(ASK_MEMORY),
            ended: Memory::lasting(ENDED_MEMORY),
        }
    }

    /// Whether to dial on this ask's word; `networks` are the machine's own at this moment, and
    /// `vouched` says whether an ask from elsewhere is a group's or a known leader's. An ask that
    /// was offered something already, whoever dialled, is not followed again.
    pub fn admit(
        &mut self,
        now: Duration,
        heard: &Heard,
        networks: &[Interface],
        vouched: impl FnOnce(&Ask) -> bool,
    ) -> bool {
        let Heard { ask, from } = heard;
        let admitted = self.is_new(now, ask)
            && !self.sources.has(now, from)
            && !self.silent.has(now, from)
            && (on_link(networks, *from) || vouched(ask));
        if admitted {
            self.asks.note(now, ask.id);
            self.sources.note(now, *from);
        }
        admitted
    }

    /// The same for an ask that was tagged with a group's key: nobody else can make those, so what
    /// others send in the name of its address does not hold it off.
    pub fn admit_tagged(&mut self, now: Duration, ask: &Ask) -> bool {
        let admitted = self.is_new(now, ask);
        if admitted {
            self.asks.note(now, ask.id);
        }
        admitted
    }

    /// Whether an ask names a port that leaders use, and still holds.
    pub fn fits(&self, ask: &Ask) -> bool {
        self.ports.contains(&ask.port) && ask.expires > 0
    }

    /// Whether the ask is one to follow and was not followed yet, nor has led to an offer.
    fn is_new(&self, now: Duration, ask: &Ask) -> bool {
        let offered = (PeerId(ask.leader), ask.id);
        self.fits(ask)
            && !self.asks.has(now, &ask.id)
            && !self.offers.has(now, &offered)
            && !self.ended.has(now, &offered)
    }

    /// Notes an address at which nobody took a connection: asks forged in its name cost little.
    pub fn note_silent(&mut self, now: Duration, from: IpAddr) {
        self.silent.note(now, from);
    }

    /// Whether to take in a connection from there. `may_be_vouched_for` says whether one from
    /// elsewhere than the machine's own `networks` can turn out to be of the group or known.
    pub fn admit_caller(
        &mut self,
        now: Duration,
        from: IpAddr,
        networks: &[Interface],
        may_be_vouched_for: impl FnOnce() -> bool,
    ) -> bool {
        let admitted =
            !self.callers.has(now, &from) && (on_link(networks, from) || may_be_vouched_for());
        if admitted {
            self.callers.note(now, from);
        }
        admitted
    }

    /// Whether to take a leader's offer that an ask led to: one for each ask, over whichever
    /// connection it comes.
    pub fn admit_offer(&mut self, now: Duration, leader: PeerId, ask: [u8; 16]) -> bool {
        let offer = (leader, ask);
        let admitted = !self.offers.has(now, &offer) && !self.has_ended(now, leader, ask);
        if admitted {
            self.offers.note(now, offer);
        }
        admitted
    }

    /// Notes that the owner ended the help that an ask led to: for six hours it is not followed
    /// again, and nothing that it leads to is taken.
    pub fn end(&mut self, now: Duration, leader: PeerId, ask: [u8; 16]) {
        self.ended.forget(&(leader, ask));
        self.ended.note(now, (leader, ask));
    }

    /// Whether the owner ended the help that this ask led to.
    pub fn has_ended(&self, now: Duration, leader: PeerId, ask: [u8; 16]) -> bool {
        self.ended.has(now, &(leader, ask))
    }

    /// Lets a leader's ask be followed again, unless the owner ended the help for it: what came of it ended for a passing reason.
    pub fn forget(&mut self, leader: PeerId, ask: [u8; 16]) {
        self.asks.forget(&ask);
        self.offers.forget(&(leader, ask));
    }
}

/// Whether the address is in one of these networks.
fn on_link(networks: &[Interface], address: IpAddr) -> bool {
    networks.iter().any(|network| network.has(address))
}

/// What was seen a short time ago.
#[derive(Debug)]
struct Memory<T> {
    lasts: Duration,
    seen: VecDeque<(Duration, T)>,
}

impl<T: PartialEq> Memory<T> {
    const fn lasting(lasts: Duration) -> Self {
        Self { lasts, seen: VecDeque::new() }
    }

    fn has(&self, now: Duration, item: &T) -> bool {
        self.seen.iter().any(|(at, seen)| seen == item && now < *at + self.lasts)
    }

    fn note(&mut self, now: Duration, item: T) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back((now, item));
    }

    fn forget(&mut self, item: &T) {
        self.seen.retain(|(_, seen)| seen != item);
    }
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
        vec![Interface {
            name: "eth0".into(),
            address: [10, 0, 0, 2].into(),
            prefix: 24,
            point_to_point: false,
        }]
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
    fn an_address_where_nobody_was_is_left_alone_for_five_seconds() {
        let mut admission = Admission::new(crate::PORTS);
        let [a, b, c] = [1, 2, 3].map(|id| heard(id, [10, 0, 0, 9], 4285));
        let other = heard(4, [10, 0, 0, 8], 4285);
        let at = Duration::from_secs;
        assert!(admission.admit(at(0), &a, &lan(), |_| false));
        admission.note_silent(at(1), a.from);
        assert!(!admission.admit(at(5), &b, &lan(), |_| false));
        assert!(admission.admit(at(5), &other, &lan(), |_| false));
        assert!(admission.admit(at(6), &c, &lan(), |_| false));
    }

    #[test]
    fn a_tagged_ask_is_followed_once_whatever_is_forged_in_the_name_of_its_address() {
        let mut admission = Admission::new(crate::PORTS);
        let [forged, ours, old] = [1, 2, 3].map(|id| heard(id, [10, 0, 0, 9], 4285));
        let at = Duration::from_secs;
        assert!(admission.admit(at(0), &forged, &lan(), |_| false));
        admission.note_silent(at(0), forged.from);
        assert!(admission.admit_tagged(at(0), &ours.ask));
        assert!(!admission.admit_tagged(at(1), &ours.ask), "a repeat, by whomever");
        assert!(!admission.admit_tagged(at(1), &Ask { expires: 0, ..old.ask }));
        assert!(!admission.admit_tagged(at(1), &Ask { port: 22, ..old.ask }));
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
            let everywhere = [Interface {
                name: "eth0".into(),
                address: [10, 0, 0, 2].into(),
                prefix: 8,
                point_to_point: false,
            }];
            admission.admit(Duration::from_secs(n.into()), &flood, &everywhere, |_| false);
        }
        assert_eq!((admission.asks.seen.len(), admission.sources.seen.len()), (1024, 1024));
    }

    #[test]
    fn a_connection_is_taken_in_from_the_own_networks_and_once_in_two_seconds() {
        let mut admission = Admission::new(crate::PORTS);
        let [near, far] = [[10, 0, 0, 9], [10, 0, 1, 9]].map(IpAddr::from);
        let at = Duration::from_secs;
        let heard = heard(1, [10, 0, 0, 9], 4285);
        assert!(admission.admit(at(0), &heard, &lan(), |_| false));
        assert!(
            admission.admit_caller(at(1), near, &lan(), || false),
            "it may dial where we cannot"
        );
        assert!(!admission.admit_caller(at(2), near, &lan(), || true), "too soon");
        assert!(admission.admit_caller(at(3), near, &lan(), || false));
        assert!(!admission.admit_caller(at(3), far, &lan(), || false));
        assert!(admission.admit_caller(at(3), far, &lan(), || true));
    }

    #[test]
    fn an_ask_leads_to_one_offer_whoever_dials() {
        let mut admission = Admission::new(crate::PORTS);
        let at = Duration::from_secs;
        let heard = heard(1, [10, 0, 0, 9], 4285);
        let [leader, thief] = [heard.ask.leader, [9; 32]].map(PeerId);
        let ask = heard.ask.id;
        assert!(admission.admit_offer(at(0), thief, ask), "it has read the ask, and harms nobody");
        assert!(admission.admit_offer(at(0), leader, ask), "the leader dialled first");
        assert!(!admission.admit(at(1), &heard, &lan(), |_| false));
        assert!(!admission.admit_offer(at(2), leader, ask));
        admission.forget(leader, ask);
        assert!(admission.admit(at(3), &heard, &lan(), |_| false));
        assert!(admission.admit_offer(at(4), leader, ask));
    }

    #[test]
    fn admission_follows_no_ask_for_six_hours_whose_help_the_owner_ended() {
        let mut admission = Admission::new(crate::PORTS);
        let at = Duration::from_secs;
        let heard = heard(1, [10, 0, 0, 9], 4285);
        let (leader, ask) = (PeerId(heard.ask.leader), heard.ask.id);
        assert!(admission.admit_offer(at(0), leader, ask));
        admission.end(at(7), leader, ask);
        admission.forget(leader, ask);
        let last = 7 + 6 * 3600 - 1;
        for now in [at(8), at(700), at(last)] {
            assert!(!admission.admit(now, &heard, &lan(), |_| true), "{now:?}");
            assert!(!admission.admit_tagged(now, &heard.ask), "{now:?}");
            assert!(!admission.admit_offer(now, leader, ask), "{now:?}");
        }
        assert!(!admission.has_ended(at(8), leader, [9; 16]), "another ask of the leader");
        assert!(admission.admit_offer(at(last + 1), leader, ask));
    }
}
