//! Leaders that wait for this helper: to be helped once it may help them, or again after their
//! session broke.

use crate::limits::party::{Party, Share};
use crate::trust::Standing;
use haul_link::{Heard, Interface, PeerId};
use std::time::Duration;

/// How many of one key, one address and one network are remembered, and in all.
const REMEMBERED: Share = Share { key: 1, address: 4, network: 128, all: 256 };

/// And how many of those that the owner knows.
const TRUSTED: usize = 256;

/// For how long: most downloads are over by then, and whoever still wants help has asked anew.
const LASTS: Duration = Duration::from_secs(3600);

/// How soon a leader is called back again.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it is called back in vain before that takes longer, as where an app means something
/// else each time it is asked.
const CALLS: u32 = 5;
const PAUSE_LONG: Duration = Duration::from_secs(15);

/// How often, and for how long, a leader is tried whose session broke, as where a cable was pulled.
const TRIED_EVERY: Duration = Duration::from_secs(1);
const TRIED_FOR: Duration = Duration::from_secs(600);

/// A leader that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) who: Party,
    pub(crate) leader: PeerId,
    pub(crate) standing: Standing,
    /// The ask that it came for.
    pub(crate) ask: [u8; 16],
    /// Where it can be dialled, if it ever asked.
    pub(crate) heard: Option<Heard>,
    pub(crate) why: Why,
    /// How often it was called back in vain.
    pub(crate) calls: u32,
}

/// Why a leader waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was told to come again.
    TurnedAway,
    /// Its session broke at this time.
    Broken {
        /// Since the helper started.
        since: Duration,
    },
}

/// The leaders that wait, those first that wait longest. Time is an argument: since the helper
/// started.
#[derive(Debug, Default)]
pub(crate) struct WaitingList(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    waiting: Waiting,
    until: Duration,
    not_before: Duration,
}

impl WaitingList {
    /// Remembers a leader, once; returns those that are forgotten for it.
    pub(crate) fn note(&mut self, now: Duration, mut waiting: Waiting) -> Vec<Waiting> {
        let known = self.0.iter().find(|entry| entry.waiting.is_same(&waiting));
        waiting.heard = waiting.heard.or(known.and_then(|entry| entry.waiting.heard));
        self.forget(waiting.leader);
        let (until, pause) = match waiting.why {
            Why::TurnedAway if waiting.calls < CALLS => (now + LASTS, PAUSE),
            Why::TurnedAway => (now + LASTS, PAUSE_LONG),
            Why::Broken { since } => (since + TRIED_FOR, TRIED_EVERY),
        };
        let mut forgotten = self.drain(|entry| entry.until <= now);
        while let Some(oldest) = self.in_the_way(&waiting.who) {
            forgotten.push(self.0.remove(oldest).waiting);
        }
        if now < until {
            self.0.push(Entry { waiting, until, not_before: now + pause });
        }
        forgotten
    }

    /// Notes where a leader that waits can be dialled, if that is not known: anybody can send an ask
    /// in its name.
    pub(crate) fn hear(&mut self, heard: Heard) {
        let Heard { ask, from } = heard;
        let of = self.0.iter_mut().map(|entry| &mut entry.waiting);
        for waiting in of.filter(|it| it.leader.0 == ask.leader && it.ask == ask.id) {
            if waiting.who.address == from {
                waiting.heard.get_or_insert(heard);
            }
        }
    }

    /// A leader that has what it waited for.
    pub(crate) fn forget(&mut self, leader: PeerId) {
        self.0.retain(|entry| entry.waiting.leader != leader);
    }

    /// Up to `most` leaders that may be called back now, the owner's first and then whoever was not
    /// among these for longest. They wait still, and are not among these again for a while.
    pub(crate) fn due(&mut self, now: Duration, most: usize) -> Vec<Waiting> {
        let due = self.0.iter_mut().filter(|entry| entry.not_before <= now);
        let mut due: Vec<&mut Entry> = due.collect();
        due.sort_by_key(|entry| (!entry.waiting.who.is_trusted, entry.not_before));
        due.truncate(most);
        let noted = due.into_iter().map(|entry| {
            entry.not_before = now + PAUSE;
            entry.waiting.clone()
        });
        noted.collect()
    }

    /// Takes out those of these that wait still, the owner's first.
    pub(crate) fn take(&mut self, called: &[Waiting]) -> Vec<Waiting> {
        let mut taken = self.drain(|entry| called.iter().any(|it| it.is_same(&entry.waiting)));
        taken.sort_by_key(|waiting| !waiting.who.is_trusted);
        for waiting in &mut taken {
            waiting.calls += 1;
        }
        taken
    }

    #[cfg(test)]
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The oldest entry that stands in the way of one more of this party.
    fn in_the_way(&self, who: &Party) -> Option<usize> {
        if who.is_trusted {
            let trusted = |entry: &Entry| entry.waiting.who.is_trusted;
            let is_full = self.0.iter().filter(|entry| trusted(entry)).count() >= TRUSTED;
            return self.0.iter().position(trusted).filter(|_| is_full);
        }
        let others = self.0.iter().map(|entry| &entry.waiting.who);
        let bound = REMEMBERED.room(who, &others).err()?;
        self.0.iter().position(|entry| bound.counts(who, &entry.waiting.who))
    }

    fn drain(&mut self, leaves: impl Fn(&Entry) -> bool) -> Vec<Waiting> {
        let (left, kept) = std::mem::take(&mut self.0).into_iter().partition(|it| leaves(it));
        self.0 = kept;
        let left: Vec<Entry> = left;
        left.into_iter().map(|entry| entry.waiting).collect()
    }
}

impl Waiting {
    /// Whether the leader may be dialled now: it is in one of these networks, or of the group, or
    /// its key is known.
    pub(crate) fn may_be_dialled(
        &self,
        networks: &[Interface],
        knows: impl FnOnce(PeerId) -> bool,
    ) -> bool {
        networks.iter().any(|network| network.has(self.who.address))
            || self.standing == Standing::Group
            || knows(self.leader)
    }

    /// Whether the other is of the same leader, at the same place, because of the same ask.
    fn is_same(&self, other: &Self) -> bool {
        let of = |waiting: &Self| (waiting.leader, waiting.ask, waiting.who.address);
        of(self) == of(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_wire::{Ask, SizeClass};
    use std::net::IpAddr;

    const SECOND: Duration = Duration::from_secs(1);
    const ASK: Ask = Ask {
        id: [0; 16],
        leader: [0; 32],
        port: 4286,
        size: SizeClass::Unknown,
        wanted: 1,
        expires: 60,
        group: [0; 8],
        tag: [0; 16],
    };

    fn waiting(key: u8, last: u8, is_trusted: bool) -> Waiting {
        let (leader, address) = (PeerId([key; 32]), IpAddr::from([10, 0, 0, last]));
        Waiting {
            who: Party { key: Some(leader), address, is_trusted },
            leader,
            standing: Standing::Stranger,
            ask: [key; 16],
            heard: None,
            why: Why::TurnedAway,
            calls: 0,
        }
    }

    fn taken(list: &mut WaitingList, now: Duration, most: usize) -> Vec<Waiting> {
        let due = list.due(now, most);
        list.take(&due)
    }

    fn keys(leaders: &[Waiting]) -> Vec<u8> {
        leaders.iter().map(|waiting| waiting.leader.0[0]).collect()
    }

    #[test]
    fn waiting_leaders_are_due_until_they_are_taken_and_the_owners_first() {
        let mut list = WaitingList::default();
        list.note(SECOND, waiting(1, 1, false));
        list.note(SECOND, waiting(2, 2, false));
        list.note(SECOND, waiting(3, 3, true));
        assert_eq!(keys(&list.due(2 * SECOND, 9)), [3, 1, 2]);
        assert_eq!(keys(&taken(&mut list, 3 * SECOND, 2)), [3, 1]);
        assert_eq!(keys(&taken(&mut list, 4 * SECOND, 2)), [2]);
        assert!(list.is_empty());
    }

    #[test]
    fn waiting_leaders_are_not_called_all_the_time() {
        let mut list = WaitingList::default();
        list.note(SECOND, waiting(1, 1, false));
        assert!(list.due(SECOND, 9).is_empty());
        assert_eq!(list.due(SECOND + PAUSE, 9).len(), 1);
        assert!(list.due(SECOND + PAUSE, 9).is_empty());
    }

    #[test]
    fn waiting_leaders_are_due_in_turns_however_many_are_not_welcome() {
        let mut list = WaitingList::default();
        for key in 0..100 {
            list.note(SECOND, waiting(key, key, false));
        }
        let ticks = (0..8_u32).map(|tick| 2 * SECOND + tick * Duration::from_millis(200));
        let mut seen: Vec<u8> = ticks.flat_map(|now| keys(&list.due(now, 16))).collect();
        assert_eq!(seen.len(), 8 * 16);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn waiting_leader_that_has_gone_or_asked_anew_since_it_was_due_is_not_taken() {
        let mut list = WaitingList::default();
        list.note(SECOND, waiting(1, 1, false));
        list.note(SECOND, waiting(2, 2, false));
        let due = list.due(2 * SECOND, 9);
        list.forget(PeerId([1; 32]));
        list.note(2 * SECOND, Waiting { ask: [9; 16], ..waiting(2, 2, false) });
        assert!(list.take(&due).is_empty() && !list.is_empty());
    }

    #[test]
    fn waiting_leaders_whose_session_broke_are_tried_for_ten_minutes() {
        let mut list = WaitingList::default();
        let broken = Waiting { why: Why::Broken { since: SECOND }, ..waiting(1, 1, false) };
        list.note(SECOND, broken.clone());
        assert_eq!(keys(&taken(&mut list, 2 * SECOND, 9)), [1]);
        list.note(SECOND + TRIED_FOR, broken);
        assert!(list.is_empty());
    }

    #[test]
    fn waiting_leaders_of_one_address_push_only_each_other_out() {
        let mut list = WaitingList::default();
        list.note(SECOND, waiting(200, 200, false));
        let forgotten: Vec<u8> =
            (0..10).flat_map(|key| keys(&list.note(SECOND, waiting(key, 1, false)))).collect();
        assert_eq!(forgotten, [0, 1, 2, 3, 4, 5]);
        assert_eq!(keys(&taken(&mut list, 2 * SECOND, 9)), [200, 6, 7, 8, 9]);
    }

    #[test]
    fn waiting_leader_that_has_dialled_is_dialled_where_it_asked() {
        let asks = |key: u8, last| {
            let ask = Ask { id: [key; 16], leader: [key; 32], ..ASK };
            Heard { ask, from: IpAddr::from([10, 0, 0, last]) }
        };
        let mut list = WaitingList::default();
        list.note(SECOND, waiting(1, 1, false));
        for heard in [asks(2, 1), asks(1, 9)] {
            list.hear(heard);
        }
        list.note(SECOND, waiting(1, 1, false));
        assert_eq!(list.0[0].waiting.heard, None, "another's word is none");
        list.hear(asks(1, 1));
        list.note(SECOND, waiting(1, 1, false));
        assert_eq!(taken(&mut list, 2 * SECOND, 9)[0].heard, Some(asks(1, 1)));
    }

    #[test]
    fn waiting_leader_is_dialled_in_the_own_networks_or_where_it_is_vouched_for() {
        let network = |address: [u8; 4]| Interface {
            name: "eth0".into(),
            address: address.into(),
            prefix: 24,
            point_to_point: false,
        };
        let (here, elsewhere) = ([network([10, 0, 0, 9])], [network([10, 0, 1, 9])]);
        let stranger = waiting(1, 1, false);
        assert!(stranger.may_be_dialled(&here, |_| false));
        assert!(!stranger.may_be_dialled(&elsewhere, |_| false), "the machine has moved");
        assert!(!stranger.may_be_dialled(&[], |_| false));
        assert!(stranger.may_be_dialled(&elsewhere, |key| key == stranger.leader));
        let of_group = Waiting { standing: Standing::Group, ..stranger };
        assert!(of_group.may_be_dialled(&elsewhere, |_| false));
    }

    #[test]
    fn waiting_leader_is_remembered_once() {
        let mut list = WaitingList::default();
        assert!(list.note(SECOND, waiting(1, 1, false)).is_empty());
        assert!(list.note(2 * SECOND, waiting(1, 1, false)).is_empty());
        list.forget(PeerId([1; 32]));
        assert!(list.is_empty());
    }
}
