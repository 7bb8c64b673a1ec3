//! Leaders that name files which this helper does not get: told late, and heard a few times only.

use haul_link::random;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// After how many hosts a leader is not heard any more, and for how long.
const HOSTS: usize = 3;
const MEMORY: Duration = Duration::from_secs(3600);

/// Why it is not.
pub(super) const TOO_MANY: &str = "it named too many files that this machine does not get";

/// How many refusals are remembered, so that strangers cannot fill the memory.
const REMEMBERED: usize = 1024;

/// How long after something failed a leader is told: between one and two seconds.
pub(super) fn delay() -> Duration {
    let [low, high] = random();
    Duration::from_millis(1000 + u64::from(u16::from_le_bytes([low, high])) % 1000)
}

/// How long after it named a file a leader is told that this helper does not get it, which took so
/// long to know: a `delay`, and as many steps of two seconds as that takes. So it tells nothing of
/// what was known within a second, and little of the rest.
pub(super) fn told_after(took: Duration, delay: Duration) -> Duration {
    let missing = took.saturating_sub(delay).as_millis();
    let steps = u32::try_from(missing.div_ceil(STEP.as_millis())).unwrap_or(u32::MAX);
    delay.saturating_add(STEP.saturating_mul(steps))
}

const STEP: Duration = Duration::from_secs(2);

/// What was refused to whom in the last hour.
#[derive(Debug, Default)]
pub(crate) struct Refusals(VecDeque<(Instant, String, String)>);

impl Refusals {
    /// Remembers that the leader of this id did not get a file of `host`.
    pub(super) fn note(&mut self, now: Instant, leader: &str, host: &str) {
        self.0.retain(|(at, whom, what)| {
            now.saturating_duration_since(*at) < MEMORY && (whom != leader || what != host)
        });
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((now, leader.to_owned(), host.to_owned()));
    }

    /// Whether `leader` has named too many hosts already.
    pub(super) fn is_spent(&self, now: Instant, leader: &str) -> bool {
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < MEMORY;
        self.0.iter().filter(|(at, whom, _)| whom == leader && fresh(at)).count() >= HOSTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_not_heard_for_an_hour_after_three_hosts() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        let [one, other] = ["01", "02"];
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
            refusals.note(now, &at.to_string(), "a.test");
        }
        assert_eq!(refusals.0.len(), REMEMBERED);
    }

    #[test]
    fn what_is_known_within_a_second_does_not_show_in_when_it_is_told() {
        let millis = Duration::from_millis;
        for delay in (1000..2000).step_by(7).map(millis) {
            let told: Vec<_> = (0..=1000).map(|took| told_after(millis(took), delay)).collect();
            assert!(told.iter().all(|&after| after == delay));
            for took in (0..40_000).step_by(501).map(millis) {
                let after = told_after(took, delay);
                assert!(after >= took && after < took.max(delay) + STEP, "{took:?} {delay:?}");
                assert!(after.saturating_sub(delay).as_millis().is_multiple_of(STEP.as_millis()));
            }
        }
    }

    #[test]
    fn a_refusal_is_told_between_one_and_two_seconds_later() {
        let span = Duration::from_secs(1)..Duration::from_secs(2);
        assert!((0..100).all(|_| span.contains(&delay())));
    }
}
