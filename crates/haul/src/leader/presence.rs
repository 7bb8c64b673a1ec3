//! Which machines have answered, and which take part at this moment.

use haul_link::PeerId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The machines of one job, however many connections they make and whoever dialled.
#[derive(Default)]
pub(crate) struct Presence(Mutex<Faces>);

#[derive(Default)]
struct Faces {
    /// Machines that were asked by address, and where they hear asks.
    invited: BTreeMap<IpAddr, SocketAddr>,
    /// Where machines answered from, or were found at.
    answered: BTreeSet<IpAddr>,
    present: BTreeSet<PeerId>,
}

/// That a machine takes part, until this is dropped.
pub(crate) struct Present<'a> {
    presence: &'a Presence,
    peer: PeerId,
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

    /// Lets a machine take part; `None` if it does already, over another connection.
    pub(crate) fn enter(&self, peer: PeerId) -> Option<Present<'_>> {
        let is_new = self.faces().present.insert(peer);
        is_new.then(|| Present { presence: self, peer })
    }

    fn faces(&self) -> MutexGuard<'_, Faces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.presence.faces().present.remove(&self.peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_link::Identity;

    #[test]
    fn a_machine_takes_part_once_at_a_time() {
        let presence = Presence::default();
        let (peer, other) = (Identity::ephemeral().id(), Identity::ephemeral().id());
        let present = presence.enter(peer);
        assert!(present.is_some() && presence.enter(peer).is_none());
        assert!(presence.enter(other).is_some());
        drop(present);
        assert!(presence.enter(peer).is_some());
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
