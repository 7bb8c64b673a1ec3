//! How much of the own link goes into proofs for helpers.
//!
//! A helper may challenge its leader to read a part of the file, so every challenge costs the own
//! link bytes. The first one of a machine is answered whatever else. Further ones share a small
//! part of the own link, and a machine gets more of them only as it delivers.

use haul_link::PeerId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// A first challenge of up to so many bytes is answered whatever others have cost.
const FIRST: u64 = 16 << 10;

/// All others may cost this part of what the own link brings, and so much before it brings it.
const OWN_PART: u64 = 50;
const OWN_START: u64 = 128 << 10;

/// How many challenges a machine may set before it delivers, as it may find the origin at several
/// addresses, and for how many delivered bytes it may set another.
const BEFORE: u64 = 8;
const EVERY: u64 = 1 << 20;

/// How often a challenge that must wait is looked at again.
const AGAIN: Duration = Duration::from_millis(100);

/// Who sets a challenge: each is counted by its key and by its address, so that neither fresh keys
/// nor other addresses make a machine a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Challenger {
    pub(crate) peer: PeerId,
    pub(crate) address: IpAddr,
}

/// Why a challenge may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is the first of its machine.
    First,
    /// There is room for it.
    Further,
}

/// What the challenges of one job have cost, and how many are being answered.
#[derive(Debug, Default)]
pub(crate) struct ProofQuota {
    ledger: Mutex<Ledger>,
    answering: watch::Sender<u32>,
}

/// That the first challenge of a machine is being answered, until this is dropped.
pub(crate) struct Answering<'a>(&'a watch::Sender<u32>);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[derive(Debug, Default)]
struct Ledger {
    /// What the own link has brought.
    own: u64,
    /// What all challenges but first ones have cost it.
    spent: u64,
    accounts: BTreeMap<Name, Account>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Key(PeerId),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    challenges: u64,
    delivered: u64,
}

impl ProofQuota {
    /// Notes what the own link has brought.
    pub(crate) fn note_own(&self, bytes: u64) {
        self.ledger().own += bytes;
    }

    /// Notes what a helper has delivered.
    pub(crate) fn note_delivered(&self, by: Challenger, bytes: u64) {
        let mut ledger = self.ledger();
        for name in by.names() {
            ledger.accounts.entry(name).or_default().delivered += bytes;
        }
    }

    /// Notes that an admitted challenge is being answered. Only a first one counts: whoever sets
    /// others has shown nothing yet that the own link's data should wait for.
    pub(crate) fn begin(&self, admitted: Admitted) -> Option<Answering<'_>> {
        (admitted == Admitted::First).then(|| {
            self.answering.send_modify(|count| *count += 1);
            Answering(&self.answering)
        })
    }

    /// How many first challenges are being answered.
    pub(crate) fn answering(&self) -> watch::Receiver<u32> {
        self.answering.subscribe()
    }

    /// Waits until a challenge for so many bytes may be answered. Cancel safe.
    pub(crate) async fn admit(&self, by: Challenger, bytes: u64) -> Admitted {
        loop {
            let taken = self.ledger().take(by, bytes);
            match taken {
                Some(admitted) => return admitted,
                None => sleep(AGAIN).await,
            }
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Challenger {
    const fn names(self) -> [Name; 2] {
        [Name::Key(self.peer), Name::Address(self.address)]
    }
}

impl Ledger {
    /// Takes the cost of a challenge, if there is room for it.
    fn take(&mut self, by: Challenger, bytes: u64) -> Option<Admitted> {
        let accounts = by.names().map(|name| self.accounts.get(&name).copied().unwrap_or_default());
        let is_first = accounts.iter().all(|account| account.challenges == 0) && bytes <= FIRST;
        let room = self.own / OWN_PART + OWN_START >= self.spent + bytes;
        let is_due = accounts.iter().all(Account::may_challenge);
        let admitted = match (is_first, room && is_due) {
            (true, _) => Admitted::First,
            (false, true) => Admitted::Further,
            (false, false) => return None,
        };
        self.spent += if is_first { 0 } else { bytes };
        for name in by.names() {
            self.accounts.entry(name).or_default().challenges += 1;
        }
        Some(admitted)
    }
}

impl Account {
    const fn may_challenge(&self) -> bool {
        self.challenges < BEFORE + self.delivered / EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(key: u8, last: u8) -> Challenger {
        Challenger { peer: PeerId([key; 32]), address: IpAddr::from([10, 0, 0, last]) }
    }

    fn taken(ledger: &mut Ledger, by: impl Fn(u8) -> Challenger) -> usize {
        (0..100).filter(|&at| ledger.take(by(at), FIRST).is_some()).count()
    }

    #[test]
    fn quota_answers_the_first_challenge_of_every_machine() {
        let mut ledger = Ledger { spent: OWN_START, ..Ledger::default() };
        assert_eq!(taken(&mut ledger, |at| from(at, at)), 100);
        assert_eq!(taken(&mut ledger, |at| from(at, at)), 0);
    }

    #[test]
    fn quota_is_spent_by_fresh_keys_of_an_address_and_by_a_key_at_fresh_addresses() {
        let rich = || Ledger { own: u64::MAX / 2, ..Ledger::default() };
        assert_eq!(taken(&mut rich(), |at| from(at, 1)), 8);
        assert_eq!(taken(&mut rich(), |at| from(1, at)), 8);
        let mut delivered = rich();
        let by = from(1, 1);
        for name in by.names() {
            delivered.accounts.entry(name).or_default().delivered = 3 * EVERY;
        }
        assert_eq!(taken(&mut delivered, |_| by), 11);
    }

    #[test]
    fn quota_spends_a_fiftieth_of_the_own_link_on_all_further_challenges() {
        let mut ledger = Ledger { own: 50 << 20, ..Ledger::default() };
        let further = (0..40_u8).map(|at| taken(&mut ledger, |_| from(at, at)) - 1).sum::<usize>();
        assert_eq!(further as u64, (OWN_START + (1 << 20)) / FIRST);
        assert_eq!(ledger.take(from(99, 99), FIRST + 1), None, "a long first one is none");
    }

    #[tokio::test]
    async fn quota_lets_the_own_link_wait_for_first_challenges_only() {
        let quota = ProofQuota::default();
        let answering = quota.answering();
        for (by, waits) in [(from(1, 1), 1), (from(1, 1), 0), (from(2, 1), 0), (from(2, 2), 0)] {
            let admitted = quota.admit(by, FIRST).await;
            let _answering = quota.begin(admitted);
            assert_eq!(*answering.borrow(), waits, "{by:?}");
        }
        assert_eq!(*answering.borrow(), 0);
    }
}
