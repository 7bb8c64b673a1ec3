//! What was received for others, day by day: the account that budgets are held against.

use super::policy::{DAY, Moment, Spent};
use std::collections::BTreeMap;
use std::time::Duration;

/// Days that count towards the longest budget.
const DAYS: i64 = 30;

/// Bytes by local day. Pure: time is given.
///
/// Its time never goes back: while the clock shows an earlier time than it has shown before, the
/// account goes on at the pace of the steady clock. So a clock that is set back, or a journey to
/// the west, brings no new budget, and a clock that was far ahead for a moment does not freeze the
/// account for good. A clock that is set forward is believed, as sleep and the first word of a
/// time server look the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    days: BTreeMap<i64, u64>,
    /// Local seconds, the furthest so far.
    time: i64,
    /// The steady clock when `time` was last moved.
    steady: Duration,
}

impl Budget {
    /// The account's time after the clocks show this.
    pub(crate) fn advance(&mut self, now: Moment, steady: Duration) -> i64 {
        let passed = steady.saturating_sub(self.steady).as_secs();
        // Whole seconds only, so that frequent calls do not lose the rest of each.
        self.steady = self.steady.max(steady.saturating_sub(subsecond(steady, self.steady)));
        let on = self.time.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        let on = if self.time == 0 { i64::MIN } else { on };
        self.time = now.local().max(on);
        self.days.retain(|&day, _| day > self.time.div_euclid(DAY) - DAYS);
        self.time
    }

    /// What was spent by now.
    pub(crate) fn spent(&self) -> Spent {
        let today = self.time.div_euclid(DAY);
        let sum =
            |from: i64| self.days.range(from..).fold(0, |sum: u64, (_, &n)| sum.saturating_add(n));
        Spent { today: sum(today), last_30_days: sum(today - DAYS + 1) }
    }

    /// Books bytes at a time of the account; a time beyond its own moves it there.
    pub(crate) fn charge(&mut self, time: i64, bytes: u64) {
        self.time = self.time.max(time);
        let day = self.days.entry(time.div_euclid(DAY)).or_default();
        *day = day.saturating_add(bytes);
    }

    /// Takes back what was booked at that time and not spent.
    pub(crate) fn refund(&mut self, time: i64, bytes: u64) {
        self.time = self.time.max(time);
        if let Some(day) = self.days.get_mut(&time.div_euclid(DAY)) {
            *day = day.saturating_sub(bytes);
        }
    }

    /// Every day with what was booked on it, and the account's time.
    pub(crate) fn days(&self) -> (impl Iterator<Item = (i64, u64)>, i64) {
        (self.days.iter().map(|(&day, &bytes)| (day * DAY, bytes)), self.time)
    }
}

/// What of the time between two readings is no whole second.
fn subsecond(now: Duration, before: Duration) -> Duration {
    Duration::from_nanos(now.saturating_sub(before).subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: i64 = 20_512 * DAY + 12 * 3600;

    fn at(unix: i64) -> Moment {
        Moment { unix, offset: 0 }
    }

    fn spent(budget: &mut Budget, unix: i64, steady: u64) -> (u64, u64) {
        budget.advance(at(unix), Duration::from_secs(steady));
        let Spent { today, last_30_days } = budget.spent();
        (today, last_30_days)
    }

    fn charged(bytes: u64) -> Budget {
        let mut budget = Budget::default();
        let time = budget.advance(at(NOON), Duration::from_secs(100));
        budget.charge(time, bytes);
        budget
    }

    #[test]
    fn a_day_ends_at_local_midnight_and_thirty_of_them_after_thirty() {
        let mut budget = charged(7);
        assert_eq!(spent(&mut budget, NOON + 12 * 3600 - 1, 101), (7, 7));
        assert_eq!(spent(&mut budget, NOON + 12 * 3600, 102), (0, 7), "over the end of February");
        assert_eq!(spent(&mut budget, NOON + 29 * DAY, 103), (0, 7));
        assert_eq!(spent(&mut budget, NOON + 29 * DAY + 12 * 3600, 104), (0, 0));
    }

    #[test]
    fn a_clock_set_back_refills_nothing_and_neither_does_setting_it_right_again() {
        let mut budget = charged(7);
        for back in [1, DAY, 40 * DAY, NOON] {
            assert_eq!(spent(&mut budget, NOON - back, 110), (7, 7), "{back} s back");
        }
        assert_eq!(spent(&mut budget, NOON + 60, 170), (7, 7));
    }

    #[test]
    fn while_the_clock_is_behind_days_go_by_at_the_steady_pace() {
        let mut budget = charged(7);
        let day = u64::try_from(DAY).unwrap();
        assert_eq!(spent(&mut budget, 0, 100 + day / 2 - 1), (7, 7));
        assert_eq!(spent(&mut budget, 0, 100 + day / 2), (0, 7));
        assert_eq!(spent(&mut budget, 0, 100 + 30 * day), (0, 0));
    }

    #[test]
    fn a_journey_to_the_west_lengthens_the_day() {
        let mut budget = charged(7);
        budget.advance(at(NOON + 12 * 3600), Duration::from_secs(43_300));
        assert_eq!(budget.spent().today, 0);
        let time = budget.time;
        budget.charge(time, 5);
        budget.advance(
            Moment { unix: NOON + 12 * 3600 + 60, offset: -8 * 3600 },
            Duration::from_secs(43_360),
        );
        assert_eq!(budget.spent(), Spent { today: 5, last_30_days: 12 });
    }

    #[test]
    fn seconds_that_are_looked_at_in_parts_are_not_lost() {
        let mut budget = charged(7);
        for tenth in 0..1000 {
            budget.advance(at(0), Duration::from_millis(100_000 + tenth * 100));
        }
        assert_eq!(budget.time, NOON + 99);
    }

    proptest! {
        #[test]
        fn no_jump_of_the_clock_makes_less_spent_within_a_day_of_running(
            jumps in prop::collection::vec((-100 * DAY..DAY / 64, 0u64..60), 1..64),
            bytes in 1u64..1 << 40,
        ) {
            let mut budget = charged(bytes);
            let (mut clock, mut steady) = (NOON, 100);
            for (jump, passed) in jumps {
                // Only what leads back, or on by less than to midnight.
                clock = (clock + jump).min(NOON + DAY / 4);
                steady += passed;
                prop_assert_eq!(spent(&mut budget, clock, steady), (bytes, bytes));
            }
        }

        #[test]
        fn what_is_booked_and_given_back_leaves_what_was_spent(
            parts in prop::collection::vec((1u64..1 << 30, 0u64..1 << 30), 1..32)
        ) {
            let (mut budget, mut sum) = (charged(0), 0);
            for (booked, unused) in parts {
                let unused = unused.min(booked);
                let time = budget.time;
                budget.charge(time, booked);
                budget.refund(time, unused);
                sum += booked - unused;
            }
            prop_assert_eq!(budget.spent(), Spent { today: sum, last_30_days: sum });
        }
    }
}
