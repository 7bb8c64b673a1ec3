//! Which machines have answered, and which take part at this moment.

use haul_link::PeerId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The machines of one job, however many connections they make and whoever dialled.
#[derive(Default)]
pub(crate) struct Presence(Mutex<Faces>);

/// How many strangers may take part from one address at a time, and how many of their keys are
/// taken from it in a job: a machine has one key, and one machine is all that an address brings.
const AT_ONCE: usize = 8;
const KEYS: usize = 32;

#[derive(Default)]
struct Faces {
    /// Machines that were asked by address, and where they hear asks.
    invited: BTreeMap<IpAddr, SocketAddr>,
    /// Where machines answered from, or were found at.
    answered: BTreeSet<IpAddr>,
    present: BTreeSet<PeerId>,
    /// The strangers that take part, and the keys of all that did, by address.
    strangers: BTreeMap<IpAddr, Strangers>,
    /// Machines that delivered wrong bytes.
    barred: BTreeSet<PeerId>,
}

#[derive(Default)]
struct Strangers {
    present: usize,
    keys: BTreeSet<PeerId>,
    /// One of them delivered wrong bytes.
    barred: bool,
}

/// That a machine takes part, until this is dropped.
pub(crate) struct Present<'a> {
    presence: &'a Presence,
    peer: PeerId,
    /// Where it comes from, if it is a stranger.
    from: Option<IpAddr>,
}

impl Presence {
    /// Notes that a machine is asked by address.
    pub(crate) fn invite(&self, machine: SocketAddr) {
        self.faces().invited.insert(machine.ip(), machine);
    }

    /// Where the machine at this address hears asks, if it was asked by address.
    pub(crate) fn invited(&self, address: IpAddr) -> Option<SocketAddr> {
        self.faces().invited.get(&address).copied()
    }

    /// Notes that a machine has answered.
    pub(crate) fn note_answer(&self, address: IpAddr) {
        self.faces().answered.insert(address);
    }

    /// Lets a machine be asked and dialled again: it was lost.
    pub(crate) fn forget_answer(&self, address: IpAddr) {
        self.faces().answered.remove(&address);
    }

    /// Whether a machine has answered from this address.
    pub(crate) fn has_answered(&self, address: IpAddr) -> bool {
        self.faces().answered.contains(&address)
    }

    /// Lets a machine take part, or says why not.
    pub(crate) fn enter(
        &self,
        peer: PeerId,
        from: IpAddr,
        is_trusted: bool,
    ) -> Result<Present<'_>, &'static str> {
        let mut faces = self.faces();
        if faces.barred.contains(&peer) {
            return Err("it delivered wrong bytes");
        }
        if faces.present.contains(&peer) {
            return Err("it takes part already");
        }
        let from = (!is_trusted).then_some(from);
        if let Some(from) = from {
            faces.strangers.entry(from).or_default().enter(peer)?;
        }
        faces.present.insert(peer);
        Ok(Present { presence: self, peer, from })
    }

    /// Keeps a machine out from now on, and all strangers of an address.
    pub(crate) fn bar(&self, peer: PeerId, address: Option<IpAddr>) {
        let mut faces = self.faces();
        faces.barred.insert(peer);
        if let Some(address) = address {
            faces.strangers.entry(address).or_default().barred = true;
        }
    }

    /// How many strangers' keys came from this address.
    pub(crate) fn keys_from(&self, address: IpAddr) -> u32 {
        let keys = self.faces().strangers.get(&address).map_or(0, |strangers| strangers.keys.len());
        u32::try_from(keys).unwrap_or(u32::MAX)
    }

    fn faces(&self) -> MutexGuard<'_, Faces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strangers {
    fn enter(&mut self, peer: PeerId) -> Result<(), &'static str> {
        if self.barred {
            return Err("wrong bytes came from its address");
        }
        if self.present >= AT_ONCE {
            return Err("too many take part from its address");
        }
        if self.keys.len() >= KEYS && !self.keys.contains(&peer) {
            return Err("too many keys came from its address");
        }
        self.keys.insert(peer);
        self.present += 1;
        Ok(())
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let mut faces = self.presence.faces();
        faces.present.remove(&self.peer);
        if let Some(strangers) = self.from.and_then(|from| faces.strangers.get_mut(&from)) {
            strangers.present -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_link::Identity;

    fn key() -> PeerId {
        Identity::ephemeral().id()
    }

    const AT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn presence_lets_a_machine_take_part_once_at_a_time() {
        let presence = Presence::default();
        let (peer, other) = (key(), key());
        let present = presence.enter(peer, AT, false);
        assert!(present.is_ok() && presence.enter(peer, ELSEWHERE, true).is_err());
        assert!(presence.enter(other, AT, false).is_ok());
        drop(present);
        assert!(presence.enter(peer, AT, false).is_ok());
    }

    #[test]
    fn presence_has_room_for_a_few_strangers_of_one_address_at_a_time() {
        let presence = Presence::default();
        let here: Vec<_> = (0..100).filter_map(|_| presence.enter(key(), AT, false).ok()).collect();
        assert_eq!(here.len(), AT_ONCE);
        assert!(presence.enter(key(), ELSEWHERE, false).is_ok());
        assert!(presence.enter(key(), AT, true).is_ok(), "a known machine has its place");
        drop(here);
        assert!(presence.enter(key(), AT, false).is_ok());
    }

    #[test]
    fn presence_takes_so_many_keys_of_an_address_and_no_more() {
        let presence = Presence::default();
        let keys: Vec<PeerId> = (0..100).map(|_| key()).collect();
        let taken = keys.iter().filter(|&&key| presence.enter(key, AT, false).is_ok());
        assert_eq!(taken.count(), KEYS);
        assert!(presence.enter(keys[0], AT, false).is_ok(), "who was here may come back");
        assert_eq!((presence.keys_from(AT), presence.keys_from(ELSEWHERE)), (32, 0));
    }

    #[test]
    fn presence_keeps_out_a_barred_key_anywhere_and_strangers_of_its_address() {
        let presence = Presence::default();
        let liar = key();
        presence.bar(liar, Some(AT));
        assert!(presence.enter(liar, ELSEWHERE, true).is_err());
        assert!(presence.enter(key(), AT, false).is_err());
        assert!(presence.enter(key(), AT, true).is_ok());
        assert!(presence.enter(key(), ELSEWHERE, false).is_ok());
    }

    #[test]
    fn who_was_asked_and_who_has_answered_is_remembered_by_address() {
        let presence = Presence::default();
        let [one, two] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        presence.invite((one, 4290).into());
        presence.note_answer(two);
        assert_eq!(presence.invited(one), Some((one, 4290).into()));
        assert_eq!(presence.invited(two), None);
        assert!(presence.has_answered(two) && !presence.has_answered(one));
        presence.forget_answer(two);
        assert!(!presence.has_answered(two));
    }
}
