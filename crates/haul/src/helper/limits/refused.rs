//! Leaders that name files which this helper does not get: told late, and heard a few times only.

use super::quota::Quota;
use crate::limits::party::Share;
use haul_link::random;
use std::time::Duration;

/// After how many hosts a leader is not heard any more, and for how long; after how many of other
/// keys at its address, and in its network. A machine has one address at a time, or few; but a
/// network is everybody here, and whoever spends its share locks the other strangers out, so that
/// takes more than twenty addresses.
const HOSTS: Share = Share { key: 3, address: 3, network: 64, all: 1024 };
const MEMORY: Duration = Duration::from_secs(3600);

/// Why it is not.
pub(crate) const TOO_MANY: &str = "it named too many files that this machine does not get";

/// How long after something failed a leader is told: between one and two seconds.
pub(crate) fn delay() -> Duration {
    let [low, high] = random();
    Duration::from_millis(1000 + u64::from(u16::from_le_bytes([low, high])) % 1000)
}

/// How long after it named a file a leader is told that this helper does not get it, which took so
/// long to know: a `delay`, and as many steps of two seconds as that takes. So it tells nothing of
/// what was known within a second, and little of the rest.
pub(crate) fn told_after(took: Duration, delay: Duration) -> Duration {
    let missing = took.saturating_sub(delay).as_millis();
    let steps = u32::try_from(missing.div_ceil(STEP.as_millis())).unwrap_or(u32::MAX);
    delay.saturating_add(STEP.saturating_mul(steps))
}

const STEP: Duration = Duration::from_secs(2);

/// What was refused to whom in the last hour: hosts.
pub(crate) type Refusals = Quota<String>;

/// Nothing yet.
pub(crate) const fn no_refusals() -> Refusals {
    Quota::new(MEMORY, HOSTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::party::Party;
    use crate::limits::party::tests::party;

    fn refused(refusals: &mut Refusals, who: Party, hosts: &[&str]) {
        for host in hosts {
            refusals.note(Duration::ZERO, who, (*host).to_owned());
        }
    }

    #[test]
    fn a_leader_is_not_heard_for_an_hour_after_three_hosts() {
        let mut refusals = no_refusals();
        let [one, other] = [party(1, [10, 0, 0, 1]), party(2, [10, 0, 0, 2])];
        refused(&mut refusals, one, &["a.test", "b.test", "a.test"]);
        assert!(!refusals.is_spent(Duration::ZERO, &one), "two hosts, one of them twice");
        refused(&mut refusals, one, &["c.test"]);
        assert!(refusals.is_spent(Duration::ZERO, &one));
        assert!(!refusals.is_spent(Duration::ZERO, &other));
        assert!(!refusals.is_spent(MEMORY, &one));
    }

    #[test]
    fn refusals_of_fresh_keys_count_by_their_address_and_their_network() {
        let mut refusals = no_refusals();
        for key in 0..3 {
            let who = party(key, [10, 0, 0, 1]);
            assert!(!refusals.is_spent(Duration::ZERO, &who), "key {key}");
            refused(&mut refusals, who, &["a.test"]);
        }
        assert!(refusals.is_spent(Duration::ZERO, &party(9, [10, 0, 0, 1])), "a fourth key");
        for nth in 3..64_u32 {
            let last = u8::try_from(nth / 2 + 1).unwrap();
            let who = party(100 + nth, [10, 0, 0, last]);
            assert!(!refusals.is_spent(Duration::ZERO, &who), "{nth}");
            refused(&mut refusals, who, &["a.test"]);
        }
        let fresh = party(99, [10, 0, 0, 199]);
        assert!(refusals.is_spent(Duration::ZERO, &fresh), "a fresh key at a fresh address");
        assert!(!refusals.is_spent(Duration::ZERO, &party(99, [10, 0, 1, 99])));
        let trusted = Party { is_trusted: true, ..fresh };
        assert!(!refusals.is_spent(Duration::ZERO, &trusted), "strangers lock nobody out");
    }

    #[test]
    fn refusals_of_many_do_not_grow_the_memory() {
        let mut refusals = no_refusals();
        for at in 0..5000u32 {
            refused(&mut refusals, party(at, at.to_be_bytes()), &["a.test"]);
        }
        assert_eq!(refusals.len(), 2 * HOSTS.all);
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
