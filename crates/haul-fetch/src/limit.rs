use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A limit on bytes per second, shared by everything that holds a clone of it.
///
/// Bytes are paid for as they are handed out, so over 10 s the rate holds to well under 2 %
/// whatever the number of lanes. What was not used is kept for 100 ms at most.
#[derive(Clone, Debug)]
pub struct RateLimit {
    bytes_per_second: f64,
    bucket: Arc<Mutex<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    /// Bytes that may be handed out; below zero while a piece that was handed out is paid off.
    balance: f64,
    filled: Instant,
}

impl RateLimit {
    /// A limit of so many bytes a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate above 2^53 bytes a second is no limit")]
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        let bucket = Bucket { balance: 0.0, filled: Instant::now() };
        Self {
            bytes_per_second: bytes_per_second.get() as f64,
            bucket: Arc::new(Mutex::new(bucket)),
        }
    }

    /// The largest piece that keeps the rate even: 10 ms of it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is clamped to a small positive range"
    )]
    pub(crate) fn piece(&self) -> usize {
        (self.bytes_per_second / 100.0).clamp(256.0, 65_536.0) as usize
    }

    /// Waits until `bytes` may be handed out. Nothing is paid if the future is dropped.
    pub(crate) async fn pay(&self, bytes: usize) {
        while let Err(wait) = self.try_pay(bytes) {
            sleep(wait).await;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a piece is at most 64 KiB")]
    fn try_pay(&self, bytes: usize) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.duration_since(bucket.filled).as_secs_f64() * self.bytes_per_second;
        let most = self.bytes_per_second * KEPT.as_secs_f64();
        bucket.balance = (bucket.balance + earned).min(most);
        bucket.filled = now;
        if bucket.balance < 0.0 {
            let wait = Duration::from_secs_f64(-bucket.balance / self.bytes_per_second);
            return Err(wait.max(TICK));
        }
        bucket.balance -= bytes as f64;
        Ok(())
    }
}

/// The timer's resolution.
const TICK: Duration = Duration::from_millis(1);

/// How long an unused allowance is kept: a machine that is busy elsewhere for so long loses nothing
/// of the rate, and what may come at once for it is a hundredth of 10 s.
const KEPT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    async fn bytes_in_ten_seconds(rate: u64, lanes: usize) -> f64 {
        let limit = RateLimit::new(NonZeroU64::new(rate).unwrap());
        let until = Instant::now() + Duration::from_secs(10);
        let lanes: Vec<_> = (0..lanes).map(|_| tokio::spawn(draw(limit.clone(), until))).collect();
        let mut total = 0.0;
        for lane in lanes {
            total += lane.await.unwrap();
        }
        total
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    async fn draw(limit: RateLimit, until: Instant) -> f64 {
        let mut drawn = 0;
        loop {
            limit.pay(limit.piece()).await;
            if Instant::now() >= until {
                return drawn as f64;
            }
            drawn += limit.piece();
        }
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    async fn ten_seconds_hold_the_rate_to_two_percent_for_one_lane_and_for_many() {
        for (rate, lanes) in [(50_000, 1), (50_000, 8), (1 << 20, 1), (1 << 20, 16), (100 << 20, 4)]
        {
            let drawn = bytes_in_ten_seconds(rate, lanes).await;
            let ratio = drawn / (rate as f64 * 10.0);
            assert!((0.98..=1.02).contains(&ratio), "{rate} B/s over {lanes} lanes: {ratio}");
        }
    }
}
