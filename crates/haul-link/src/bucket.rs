use std::time::Duration;

/// How much may be done at once, and how much a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What a bucket holds, in tokens.
    pub burst: u32,
    /// What flows into it, in tokens a second.
    pub per_second: u32,
}

/// A token bucket. Time is an argument: since any moment that stays the same.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    pace: Pace,
    tokens: f64,
    counted: Duration,
}

impl TokenBucket {
    /// A full one.
    pub fn full(pace: Pace, now: Duration) -> Self {
        Self { pace, tokens: pace.burst.into(), counted: now }
    }

    /// Takes `cost` tokens, or none and says in how long there are as many. What costs more than
    /// the bucket holds takes all that it holds.
    pub fn take(&mut self, now: Duration, cost: u32) -> Result<(), Duration> {
        self.wait(now, cost).map_or(Ok(()), Err)?;
        self.tokens -= f64::from(cost.min(self.pace.burst));
        Ok(())
    }

    /// In how long there are as many as `cost` takes, if there are fewer; for ever where nothing
    /// flows.
    pub fn wait(&mut self, now: Duration, cost: u32) -> Option<Duration> {
        self.count(now);
        let missing = f64::from(cost.min(self.pace.burst)) - self.tokens;
        let seconds = missing / f64::from(self.pace.per_second);
        (missing > 0.0).then(|| {
            let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            // Rounded up, so that whoever waits as long finds them there.
            wait.saturating_add(Duration::from_nanos(1))
        })
    }

    /// Whether nothing was taken from it lately.
    pub fn is_full(&mut self, now: Duration) -> bool {
        self.count(now);
        self.tokens >= self.pace.burst.into()
    }

    fn count(&mut self, now: Duration) {
        let earned = now.saturating_sub(self.counted).as_secs_f64();
        let tokens = self.tokens + earned * f64::from(self.pace.per_second);
        self.tokens = tokens.min(self.pace.burst.into());
        self.counted = now.max(self.counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace { burst: 4, per_second: 2 };

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_what_flows_in() {
        let mut bucket = TokenBucket::full(PACE, Duration::ZERO);
        assert!((0..4).all(|_| bucket.take(Duration::ZERO, 1).is_ok()));
        let wait = bucket.take(Duration::ZERO, 1).unwrap_err();
        assert_eq!(wait.as_millis(), 500);
        assert_eq!(bucket.take(wait, 1), Ok(()));
        assert!(bucket.take(wait, 1).is_err() && !bucket.is_full(wait));
        assert!(bucket.is_full(wait + Duration::from_secs(2)));
    }

    #[test]
    fn a_bucket_serves_what_costs_more_than_it_holds_when_it_is_full() {
        let mut bucket = TokenBucket::full(PACE, Duration::ZERO);
        assert_eq!(bucket.take(Duration::ZERO, 100), Ok(()));
        assert_eq!(bucket.take(Duration::ZERO, 100).unwrap_err().as_secs(), 2);
        let mut closed = TokenBucket::full(Pace { burst: 0, per_second: 0 }, Duration::ZERO);
        assert_eq!(closed.take(Duration::ZERO, 1), Ok(()), "nothing is as much as it holds");
        let mut dry = TokenBucket::full(Pace { burst: 1, per_second: 0 }, Duration::ZERO);
        dry.take(Duration::ZERO, 1).unwrap();
        assert_eq!(dry.take(Duration::from_secs(99), 1), Err(Duration::MAX));
    }

    proptest! {
        #[test]
        fn no_order_of_takes_brings_more_than_the_burst_and_what_flowed_in(
            takes in prop::collection::vec((0u64..2000, 1u32..6), 1..200)
        ) {
            let (mut bucket, mut now) = (TokenBucket::full(PACE, Duration::ZERO), Duration::ZERO);
            let mut taken = 0;
            for (pause, cost) in takes {
                now += Duration::from_millis(pause);
                match bucket.take(now, cost) {
                    Ok(()) => taken += u64::from(cost.min(PACE.burst)),
                    Err(wait) => {
                        let mut later = bucket;
                        prop_assert_eq!(later.take(now + wait, cost), Ok(()), "after {:?}", wait);
                    }
                }
                prop_assert!(taken <= 4 + 2 * u64::try_from(now.as_millis()).unwrap() / 1000 + 1);
            }
        }
    }
}
