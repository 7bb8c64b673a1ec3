//! How long whoever passes data on waits because it is not taken.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// How long it is measured at the least before it is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What was waited since it was last told.
pub(crate) struct Backpressure {
    since: Instant,
    waited: Duration,
}

impl Backpressure {
    pub(crate) const fn since(since: Instant) -> Self {
        Self { since, waited: Duration::ZERO }
    }

    pub(crate) fn note(&mut self, waited: Duration) {
        self.waited += waited;
    }

    /// What part of the time since it was last told was waited, in hundredths; `None` until a
    /// second has passed.
    pub(crate) fn tell_if_due(&mut self, now: Instant) -> Option<u8> {
        (now.saturating_duration_since(self.since) >= TOLD_EVERY).then(|| self.tell(now))
    }

    /// The same at once.
    pub(crate) fn tell(&mut self, now: Instant) -> u8 {
        let Self { since, waited } = std::mem::replace(self, Self::since(now));
        let passed = now.saturating_duration_since(since).as_millis().max(1);
        u8::try_from(waited.as_millis() * 100 / passed).unwrap_or(u8::MAX).min(100)
    }
}

/// What a future gives, and how long it was pending. For what sends, that is the time for which the
/// socket was full: what is written and encrypted before the future first waits does not count.
pub(crate) async fn pending<F: Future>(future: F) -> (F::Output, Duration) {
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
    fn the_share_is_that_of_the_time_since_it_was_last_told_and_is_due_once_a_second() {
        let (mut backpressure, at) = backpressure();
        backpressure.note(ms(300));
        assert_eq!(backpressure.tell_if_due(at(999)), None);
        backpressure.note(ms(450));
        assert_eq!(backpressure.tell_if_due(at(1000)), Some(75));
        assert_eq!(backpressure.tell_if_due(at(1999)), None);
        assert_eq!(backpressure.tell_if_due(at(2000)), Some(0));
        backpressure.note(ms(100));
        assert_eq!(backpressure.tell(at(2400)), 25);
        assert_eq!(backpressure.tell(at(2400)), 0);
    }

    #[test]
    fn time_without_data_counts_as_time_in_which_nothing_waited() {
        let (mut backpressure, at) = backpressure();
        backpressure.note(ms(500));
        assert_eq!(backpressure.tell(at(10_000)), 5);
    }

    #[test]
    fn no_figures_make_a_share_of_more_than_all() {
        let (mut backpressure, at) = backpressure();
        backpressure.note(ms(u64::MAX / 4));
        assert_eq!(backpressure.tell(at(0)), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_pending_counts() {
        assert_eq!(pending(async { 1 }).await, (1, Duration::ZERO));
        assert_eq!(pending(sleep(ms(40))).await, ((), ms(40)));
    }
}
