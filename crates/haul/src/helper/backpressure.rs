//! How long the connection to the leader takes no more of what is to be sent.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// How often the leader is told at the most.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// What sending has waited since the leader was last told.
pub(super) struct Backpressure {
    since: Instant,
    waited: Duration,
}

impl Backpressure {
    pub(super) const fn since(since: Instant) -> Self {
        Self { since, waited: Duration::ZERO }
    }

    /// Counts what the sending of data waited that ended at `now`. Where it is time to tell the
    /// leader, returns what part of the time since it was last told that was, in hundredths.
    pub(super) fn note(&mut self, waited: Duration, now: Instant) -> Option<u8> {
        self.waited += waited;
        let passed = now.saturating_duration_since(self.since);
        if passed < SAID_EVERY {
            return None;
        }
        let share = self.waited.as_millis() * 100 / passed.as_millis();
        *self = Self::since(now);
        Some(u8::try_from(share).unwrap_or(u8::MAX).min(100))
    }
}

/// What a future gives, and how long it was pending. For what sends, that is the time that the
/// socket was full: what is written and encrypted before the future first waits does not count.
pub(super) async fn pending<F: Future>(future: F) -> (F::Output, Duration) {
    let mut future = pin!(future);
    let mut since = None;
    let output = poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            since.get_or_insert_with(Instant::now);
        }
        polled
    });
    let output = output.await;
    (output, since.map_or(Duration::ZERO, |since| since.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    fn backpressure() -> (Backpressure, impl Fn(u64) -> Instant) {
        let began = Instant::now();
        (Backpressure::since(began), move |at| began + ms(at))
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_share_is_told_once_a_second_and_is_that_of_the_time_since_it_was_last_told() {
        let (mut backpressure, at) = backpressure();
        assert_eq!(backpressure.note(ms(300), at(400)), None);
        assert_eq!(backpressure.note(ms(450), at(1000)), Some(75));
        assert_eq!(backpressure.note(ms(0), at(1999)), None);
        assert_eq!(backpressure.note(ms(0), at(2000)), Some(0));
        assert_eq!(backpressure.note(ms(2000), at(4000)), Some(100));
    }

    #[test]
    fn time_without_data_counts_as_time_that_nothing_waited() {
        let (mut backpressure, at) = backpressure();
        assert_eq!(backpressure.note(ms(500), at(10_000)), Some(5));
    }

    #[test]
    fn no_figures_make_a_share_of_more_than_all() {
        let (mut backpressure, at) = backpressure();
        assert_eq!(backpressure.note(ms(u64::MAX / 4), at(1000)), Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_pending_counts() {
        assert_eq!(pending(async { 1 }).await, (1, Duration::ZERO));
        assert_eq!(pending(sleep(ms(40))).await, ((), ms(40)));
    }
}
