use crate::Retry;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long to wait before a source is asked again, and when to give it up.
///
/// A pure state machine: chance and the news come from outside. The waits double, and are varied
/// by a quarter either way, so that many who failed together do not come back together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    tries: u32,
    failures: u32,
}

impl Backoff {
    /// Gives up after so many tries in a row that brought nothing.
    pub const fn new(tries: u32) -> Self {
        Self { tries, failures: 0 }
    }

    /// Notes a failure. Returns how long to wait before the next try, and nothing if no try may
    /// help or none is left.
    ///
    /// `chance` is a number from 0 to 1; [`Backoff::chance`] makes one.
    #[must_use]
    pub fn fail(&mut self, retry: Retry, chance: f64) -> Option<Duration> {
        let Retry::After(asked) = retry else { return None };
        self.failures = self.failures.saturating_add(1);
        (self.failures < self.tries).then(|| self.pause(chance).max(asked))
    }

    /// Notes that something came of it: all tries are left again.
    pub const fn renew(&mut self) {
        self.failures = 0;
    }

    /// A number from 0 to 1 that nobody can foretell.
    pub fn chance() -> f64 {
        let bits = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
        f64::from(bits) / f64::from(u32::MAX)
    }

    fn pause(&self, chance: f64) -> Duration {
        let doubled = FIRST * 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        doubled.min(LONGEST).mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);

/// No wait is longer, but for chance and what the origin asks for.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Retry = Retry::After(Duration::ZERO);

    #[test]
    fn waits_double_up_to_a_limit_and_tries_are_bounded() {
        let mut backoff = Backoff::new(9);
        let waits: Vec<_> = std::iter::from_fn(|| backoff.fail(NOW, 0.5)).collect();
        let millis: Vec<_> = waits.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn chance_moves_a_wait_by_a_quarter_at_most() {
        for (chance, millis) in [(0.0, 375), (1.0, 625), (-5.0, 375), (f64::MAX, 625)] {
            let wait = Backoff::new(2).fail(NOW, chance).unwrap();
            assert_eq!(wait.as_millis(), millis, "{chance}");
        }
        assert!((0..100).all(|_| (0.0..=1.0).contains(&Backoff::chance())));
    }

    #[test]
    fn progress_renews_the_tries() {
        let mut backoff = Backoff::new(3);
        for _ in 0..100 {
            assert!(backoff.fail(NOW, 0.5).is_some() && backoff.fail(NOW, 0.5).is_some());
            backoff.renew();
        }
        assert!(backoff.fail(NOW, 0.5).is_some() && backoff.fail(NOW, 0.5).is_some());
        assert_eq!(backoff.fail(NOW, 0.5), None);
    }

    #[test]
    fn what_the_origin_asks_for_is_the_least_and_what_cannot_help_is_not_tried() {
        let asked = Retry::After(Duration::from_secs(7));
        assert_eq!(Backoff::new(2).fail(asked, 0.5), Some(Duration::from_secs(7)));
        assert_eq!(Backoff::new(2).fail(Retry::Never, 0.5), None);
        assert_eq!(Backoff::new(2).fail(Retry::Elsewhere, 0.5), None);
    }
}
