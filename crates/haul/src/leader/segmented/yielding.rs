//! The own link's data give way to proofs: helpers hold back what they fetch until the leader has
//! shown that it reads the file, and on a slow link that is full a request of a kilobyte takes
//! seconds.

use super::Segmented;
use std::time::Duration;

/// The own link may stand still for so long in all, and this part of the time beside, so that whoever
/// challenges for ever costs next to nothing.
const MOST: Duration = Duration::from_millis(1500);
const PART: u32 = 100;

/// For how long the own link's data have given way so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Yielding {
    since: Option<Duration>,
    total: Duration,
}

impl Yielding {
    /// Whether data give way, now that proofs `wait` or none does.
    fn gives_way(&mut self, now: Duration, wait: bool) -> bool {
        if let Some(since) = self.since.take() {
            self.total += now.saturating_sub(since);
        }
        let gives_way = wait && self.total < MOST + now / PART;
        self.since = gives_way.then_some(now);
        gives_way
    }
}

impl Segmented<'_> {
    /// Lets the own link's data give way, or go on.
    pub(super) fn yield_to_proofs(&mut self, answering: u32) {
        let (now, others) = (self.now(), !self.crew.helpers().is_empty());
        let gives_way = self.yielding.gives_way(now, others && answering > 0);
        self.crew.hold_own(gives_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn yielding_lasts_while_proofs_wait_and_no_longer() {
        let mut yielding = Yielding::default();
        assert!(yielding.gives_way(MS, true));
        assert!(!yielding.gives_way(100 * MS, false));
        assert_eq!(yielding.total, 99 * MS);
    }

    #[test]
    fn yielding_to_proofs_without_end_costs_a_second_and_a_half_and_a_hundredth() {
        let mut yielding = Yielding::default();
        for tick in 0..4000 {
            yielding.gives_way(250 * MS * tick, true);
        }
        let most = MOST + Duration::from_secs(1000) / PART + 250 * MS;
        assert!(yielding.total <= most, "{:?}", yielding.total);
    }
}
