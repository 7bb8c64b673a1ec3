//! How often something happened lately.

use crate::limits::party::{Party, Share};
use haul_link::PeerId;
use std::collections::VecDeque;
use std::time::Duration;

/// What happened within the last `lasts`, and to whom. Time is an argument: since the helper
/// started.
#[derive(Debug)]
pub(crate) struct Quota<T> {
    lasts: Duration,
    share: Share,
    events: VecDeque<(Duration, Party, T)>,
}

impl<T: PartialEq> Quota<T> {
    /// Nothing has happened. No more than twice as much as `share` has room for is remembered.
    pub(crate) const fn new(lasts: Duration, share: Share) -> Self {
        Self { lasts, share, events: VecDeque::new() }
    }

    /// Counts `what`; the same of the same party counts once.
    pub(crate) fn note(&mut self, now: Duration, who: Party, what: T) {
        self.forget(now);
        self.events.retain(|(_, whom, before)| *before != what || whom.key != who.key);
        if self.events.len() >= self.share.all.saturating_mul(2) {
            self.events.pop_front();
        }
        self.events.push_back((now, who, what));
    }

    /// Whether the party, its address or its network has had its share.
    pub(crate) fn is_spent(&mut self, now: Duration, who: &Party) -> bool {
        self.forget(now);
        self.share.room(who, &self.events.iter().map(|(_, whom, _)| whom)).is_err()
    }

    /// Takes back what was counted of this key.
    pub(crate) fn forgive(&mut self, key: PeerId) {
        self.events.retain(|(_, who, _)| who.key != Some(key));
    }

    /// Counts by another share from now on.
    pub(crate) const fn set_share(&mut self, share: Share) {
        self.share = share;
    }

    /// How many are of parties that are trusted.
    pub(crate) fn of_trusted(&self) -> usize {
        self.events.iter().filter(|(_, who, _)| who.is_trusted).count()
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    fn forget(&mut self, now: Duration) {
        let lasts = self.lasts;
        self.events.retain(|(at, _, _)| now < at.saturating_add(lasts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::party::tests::party;

    const SHARE: Share = Share { key: 2, address: 3, network: 4, all: 5 };
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_quota_is_spent_by_key_address_and_network_and_comes_back_in_time() {
        let mut quota = Quota::new(HOUR, SHARE);
        let here = [10, 0, 0, 1];
        quota.note(Duration::ZERO, party(1, here), "a");
        quota.note(Duration::ZERO, party(1, here), "a");
        assert!(!quota.is_spent(Duration::ZERO, &party(1, here)), "the same twice");
        quota.note(Duration::ZERO, party(1, here), "b");
        assert!(quota.is_spent(Duration::ZERO, &party(1, here)));
        assert!(!quota.is_spent(Duration::ZERO, &party(2, here)));
        quota.note(Duration::ZERO, party(2, here), "a");
        assert!(quota.is_spent(Duration::ZERO, &party(3, here)), "a fresh key of the address");
        assert!(!quota.is_spent(Duration::ZERO, &party(3, [10, 0, 0, 2])));
        quota.note(Duration::ZERO, party(3, [10, 0, 0, 2]), "a");
        assert!(quota.is_spent(Duration::ZERO, &party(4, [10, 0, 0, 3])), "of the network");
        assert!(!quota.is_spent(HOUR, &party(1, here)));
    }

    #[test]
    fn a_quota_remembers_no_more_however_much_happens() {
        let mut quota = Quota::new(HOUR, SHARE);
        for n in 0..5000u32 {
            let [_, _, a, b] = n.to_be_bytes();
            quota.note(Duration::ZERO, party(n, [10, a, b, 1]), n);
        }
        assert_eq!(quota.len(), 10);
    }
}
