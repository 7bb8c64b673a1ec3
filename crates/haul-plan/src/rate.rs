use std::time::Duration;

/// A rate in bytes per second, from zero up.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// No bytes at all.
    pub const ZERO: Self = Self(0.0);

    /// A rate in bytes per second; anything but a positive number counts as zero.
    pub fn new(bytes_per_second: f64) -> Self {
        Self(if bytes_per_second.is_finite() { bytes_per_second.max(0.0) } else { 0.0 })
    }

    /// Bytes per second.
    pub const fn bytes_per_second(self) -> f64 {
        self.0
    }

    /// The part of this rate that one of `parts` equal sharers has.
    pub(crate) fn shared(self, parts: usize) -> Self {
        Self(self.0 / parts.max(1) as f64)
    }

    /// How much of `whole` this is; all of nothing.
    pub(crate) fn of(self, whole: Self) -> f64 {
        if whole.0 > 0.0 { self.0 / whole.0 } else { 1.0 }
    }

    /// Whole bytes in `time`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    pub(crate) fn bytes_in(self, time: Duration) -> u64 {
        (self.0 * time.as_secs_f64()) as u64
    }

    /// Seconds that `bytes` take; infinite at rate zero.
    pub(crate) fn seconds_for(self, bytes: u64) -> f64 {
        if bytes == 0 { 0.0 } else { bytes as f64 / self.0 }
    }
}

impl std::iter::Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        Self(rates.map(|rate| rate.0).sum())
    }
}

/// A running rate: an exponentially fading average that is unbiased from its first byte on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    bytes: f64,
    seconds: f64,
    at: Duration,
}

impl Meter {
    /// After this many seconds a byte weighs 1/e of a new one.
    const FADE: f64 = 1.0;

    /// Below this much observed time a rate is noise.
    const WARM: f64 = 0.15;

    /// Counts from `now` on: time that passed without work is no slowness.
    pub(crate) fn resume(&mut self, now: Duration) {
        self.at = self.at.max(now);
    }

    pub(crate) fn add(&mut self, now: Duration, bytes: u64) {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        let fade = (-elapsed / Self::FADE).exp();
        self.bytes = self.bytes * fade + bytes as f64;
        self.seconds = self.seconds * fade + elapsed;
        self.at = self.at.max(now);
    }

    /// The rate, once enough was seen to tell it.
    pub(crate) fn rate(&self) -> Option<Rate> {
        (self.seconds >= Self::WARM).then(|| Rate::new(self.bytes / self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(steps: u32, every: Duration, bytes: u64) -> Meter {
        let mut meter = Meter::default();
        for step in 1..=steps {
            meter.add(every * step, bytes);
        }
        meter
    }

    #[test]
    fn a_steady_flow_is_metered_exactly_from_the_start() {
        for steps in [2, 5, 50, 500] {
            let rate = fed(steps, Duration::from_millis(100), 1000).rate().unwrap();
            assert!((rate.bytes_per_second() - 10_000.0).abs() < 600.0, "{steps}: {rate:?}");
        }
    }

    #[test]
    fn too_little_time_gives_no_rate() {
        assert_eq!(fed(1, Duration::from_millis(100), 1000).rate(), None);
        assert_eq!(Meter::default().rate(), None);
    }

    #[test]
    fn rest_is_not_slowness() {
        let mut meter = fed(50, Duration::from_millis(100), 1000);
        let before = meter.rate();
        meter.resume(Duration::from_secs(60));
        assert_eq!(meter.rate(), before);
    }

    #[test]
    fn a_rate_of_zero_never_ends_and_no_bytes_take_no_time() {
        assert!(Rate::ZERO.seconds_for(1).is_infinite());
        assert!(Rate::ZERO.seconds_for(0) < f64::EPSILON);
        assert_eq!(Rate::new(f64::NAN), Rate::ZERO);
    }
}
