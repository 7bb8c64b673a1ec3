//! Leaders that name files which this helper does not get: told late, and heard a few times only.

use haul_link::{PeerId, random};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// After how many hosts a leader is not heard any more, and for how long.
const HOSTS: usize = 3;
const MEMORY: Duration = Duration::from_secs(3600);

/// How many refusals are remembered, so that strangers cannot fill the memory.
const REMEMBERED: usize = 1024;

/// How long after it named a file a leader is told at the earliest that this helper does not get
/// it: between one and two seconds.
pub(super) fn delay() -> Duration {
    let [low, high] = random();
    Duration::from_millis(1000 + u64::from(u16::from_le_bytes([low, high])) % 1000)
}

/// What was refused to whom in the last hour.
#[derive(Debug, Default)]
pub(crate) struct Refusals(VecDeque<(Instant, PeerId, String)>);

impl Refusals {
    /// Remembers that `leader` did not get a file of `host`.
    pub(super) fn note(&mut self, now: Instant, leader: PeerId, host: &str) {
        self.0.retain(|(at, whom, what)| {
            now.saturating_duration_since(*at) < MEMORY && (*whom != leader || what != host)
        });
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((now, leader, host.to_owned()));
    }

    /// Whether `leader` has named too many hosts already.
    pub(super) fn is_spent(&self, now: Instant, leader: PeerId) -> bool {
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < MEMORY;
        self.0.iter().filter(|(at, whom, _)| *whom == leader && fresh(at)).count() >= HOSTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_not_heard_for_an_hour_after_three_hosts() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        let [one, other] = [PeerId([1; 32]), PeerId([2; 32])];
        for host in ["a.test", "b.test", "a.test"] {
            refusals.note(began, one, host);
        }
        assert!(!refusals.is_spent(began, one), "two hosts, one of them twice");
        refusals.note(began, one, "c.test");
        assert!(refusals.is_spent(began, one) && !refusals.is_spent(began, other));
        assert!(!refusals.is_spent(began + MEMORY, one));
    }

    #[test]
    fn many_leaders_do_not_grow_the_memory() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for at in 0..5000u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&at.to_be_bytes());
            refusals.note(now, PeerId(id), "a.test");
        }
        assert_eq!(refusals.0.len(), REMEMBERED);
    }

    #[test]
    fn a_refusal_is_told_between_one_and_two_seconds_later() {
        let span = Duration::from_secs(1)..Duration::from_secs(2);
        assert!((0..100).all(|_| span.contains(&delay())));
    }
}
