//! Whether a leader makes use of the place that it has.

use std::time::Duration;

/// Less than so much within a pause is no use of a place, in bytes. The slowest rate that an owner
/// can set brings more.
const USE: u64 = 16 << 10;

/// After how long without use a place is another's who wants it.
pub(crate) const SPARE: Duration = Duration::from_secs(30);

/// After how long without use it is given up in any case. An honest leader may have nothing to
/// grant for a while, and comes back when it has.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(300);

/// The last time that a leader made use of its place. Time is an argument: since the helper
/// started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    since: Duration,
    sent: u64,
}

impl Usage {
    pub(crate) const fn new(now: Duration) -> Self {
        Self { since: now, sent: 0 }
    }

    /// How long the place was of no use, now that so many bytes were sent in all.
    pub(crate) fn idle(&mut self, now: Duration, sent: u64) -> Duration {
        if sent >= self.sent.saturating_add(USE) {
            *self = Self { since: now, sent };
        }
        now.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_bytes_and_neither_signs_of_life_nor_crumbs() {
        let at = Duration::from_secs;
        let mut usage = Usage::new(at(10));
        assert_eq!(usage.idle(at(30), 0), at(20));
        assert_eq!(usage.idle(at(31), USE), Duration::ZERO);
        for second in 0..60 {
            assert_eq!(usage.idle(at(31 + second), USE + second), at(second), "a byte a second");
        }
    }
}
