//! What one job may receive at this moment.

use haul_fetch::{Allowance, Turn};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Bytes that are booked and not received, let out at a rate.
///
/// The lanes of one job take from it what they read from their sockets, so nothing is received
/// that was not booked first, and once it is closed nothing at all.
pub(crate) struct Purse {
    state: Mutex<State>,
    admits: Box<dyn Fn(&str) -> bool + Send + Sync>,
    turns: Box<Turns>,
    /// Told when less than the wanted reserve is left.
    short: Notify,
    /// Told when there begins to be a rate, or ceases to be.
    limited: Notify,
}

/// Counts what is about to be done to an origin, or says when to ask again.
type Turns = dyn Fn(Turn<'_>) -> Result<(), Duration> + Send + Sync;

#[derive(Debug)]
struct State {
    booked: u64,
    /// Received beyond what was booked: it had arrived before it could be stopped.
    owed: u64,
    /// Below this much the purse is short.
    reserve: u64,
    received: u64,
    /// Bytes a second; none without a limit.
    rate: Option<u64>,
    /// What the rate allows by now, and when that was counted.
    allowed: f64,
    counted: Instant,
    closed: bool,
    waiting: Vec<Waker>,
}

impl Purse {
    /// An empty purse that is short of bytes below `reserve`, for the hosts that `admits` names,
    /// at the pace that `turns` allows.
    pub(crate) fn new(
        reserve: u64,
        admits: impl Fn(&str) -> bool + Send + Sync + 'static,
        turns: impl Fn(Turn<'_>) -> Result<(), Duration> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            booked: 0,
            owed: 0,
            reserve,
            received: 0,
            rate: None,
            allowed: 0.0,
            counted: Instant::now(),
            closed: false,
            waiting: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            admits: Box::new(admits),
            turns: Box::new(turns),
            short: Notify::new(),
            limited: Notify::new(),
        }
    }

    /// Puts booked bytes in.
    pub(crate) fn fill(&self, bytes: u64) {
        self.change(|state| {
            let paid = state.owed.min(bytes);
            state.owed -= paid;
            state.booked += bytes - paid;
        });
    }

    /// Lets bytes out at this rate from now on.
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        let was_limited = self.is_limited();
        self.change(|state| {
            state.count(Instant::now());
            state.rate = rate;
        });
        if was_limited != rate.is_some() {
            self.limited.notify_one();
        }
    }

    /// Waits until there begins to be a rate, or ceases to be; says whether there is one.
    pub(crate) async fn limit_changes(&self) -> bool {
        self.limited.notified().await;
        self.is_limited()
    }

    /// Whether there is a rate.
    pub(crate) fn is_limited(&self) -> bool {
        self.state().rate.is_some()
    }

    /// Lets out what the rate allows by now; to be called often where there is one.
    pub(crate) fn tick(&self) {
        self.change(|state| state.count(Instant::now()));
    }

    /// Nothing will be booked any more: only an empty purse is short from now on.
    pub(crate) fn is_the_last(&self) {
        self.change(|state| state.reserve = 1);
    }

    /// Lets nothing more out; whoever waits is told.
    pub(crate) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// Waits until the purse is short of booked bytes.
    pub(crate) async fn falls_short(&self) {
        while !self.state().is_short() {
            self.short.notified().await;
        }
    }

    /// Bytes that were booked and not received.
    pub(crate) fn left(&self) -> u64 {
        self.state().booked
    }

    /// Bytes that were received and not booked.
    pub(crate) fn owed(&self) -> u64 {
        self.state().owed
    }

    /// Bytes that were received.
    pub(crate) fn received(&self) -> u64 {
        self.state().received
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let woken =
            if state.can_let_out() { std::mem::take(&mut state.waiting) } else { Vec::new() };
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn is_short(&self) -> bool {
        self.booked < self.reserve
    }

    fn can_let_out(&self) -> bool {
        self.closed || (self.booked > 0 && (self.rate.is_none() || self.allowed >= 1.0))
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate above 2^53 bytes a second is no limit")]
    fn count(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            let earned = now.saturating_duration_since(self.counted).as_secs_f64() * rate as f64;
            self.allowed = (self.allowed + earned).min(rate as f64 * KEPT.as_secs_f64());
        }
        self.counted = now;
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "what is allowed is small, and not negative where bytes are let out"
    )]
    fn take(&mut self, wanted: u64) -> u64 {
        let most = if self.rate.is_some() { self.allowed as u64 } else { u64::MAX };
        let taken = wanted.min(self.booked).min(most);
        self.booked -= taken;
        self.received += taken;
        if self.rate.is_some() {
            self.allowed -= taken as f64;
        }
        taken
    }
}

impl Allowance for Purse {
    fn admits(&self, host: &str) -> bool {
        !self.state().closed && (self.admits)(host)
    }

    fn take_turn(&self, turn: Turn<'_>) -> Result<(), Duration> {
        (self.turns)(turn)
    }

    fn poll_take(&self, context: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.closed {
            return Poll::Ready(Err(io::Error::other("the owner of this machine ended it")));
        }
        if !state.can_let_out() {
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            return Poll::Pending;
        }
        let taken = state.take(wanted as u64);
        if state.is_short() {
            self.short.notify_one();
        }
        // No more than was wanted, which is a usize.
        Poll::Ready(Ok(usize::try_from(taken).unwrap_or(wanted)))
    }

    #[expect(clippy::cast_precision_loss, reason = "a read is small")]
    fn give_back(&self, bytes: usize) {
        self.change(|state| {
            state.booked += bytes as u64;
            state.received -= bytes as u64;
            if state.rate.is_some() {
                state.allowed += bytes as f64;
            }
        });
    }

    fn thrown_away(&self, bytes: u64) {
        self.change(|state| {
            let covered = state.booked.min(bytes);
            state.booked -= covered;
            state.owed += bytes - covered;
            state.received += bytes;
        });
    }
}

/// How long an unused allowance is kept: more than the pause between two ticks, less than a burst.
const KEPT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(purse: &Purse, bell: &Arc<Bell>, wanted: usize) -> Poll<Option<usize>> {
        let waker = Waker::from(Arc::clone(bell));
        purse.poll_take(&mut Context::from_waker(&waker), wanted).map(Result::ok)
    }

    fn purse() -> Purse {
        Purse::new(10, |host| host == "example.org", |_| Ok(()))
    }

    #[test]
    fn nothing_is_let_out_that_was_not_put_in() {
        let (purse, bell) = (purse(), Arc::new(Bell::default()));
        assert_eq!(take(&purse, &bell, 5), Poll::Pending);
        purse.fill(12);
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert_eq!(take(&purse, &bell, 20), Poll::Ready(Some(12)));
        purse.give_back(2);
        assert_eq!((purse.left(), purse.received()), (2, 10));
        assert!(purse.state().is_short());
    }

    #[test]
    fn what_arrived_in_vain_is_owed_where_it_was_not_booked() {
        let (purse, bell) = (purse(), Arc::new(Bell::default()));
        purse.fill(12);
        purse.thrown_away(20);
        assert_eq!((purse.left(), purse.owed(), purse.received()), (0, 8, 20));
        purse.fill(10);
        assert_eq!((purse.left(), purse.owed()), (2, 0));
        assert_eq!(take(&purse, &bell, 5), Poll::Ready(Some(2)));
    }

    #[test]
    fn a_closed_purse_lets_nothing_out_and_tells_who_waits() {
        let (purse, bell) = (purse(), Arc::new(Bell::default()));
        assert_eq!(take(&purse, &bell, 5), Poll::Pending);
        purse.close();
        purse.fill(100);
        assert!(bell.0.load(Ordering::Relaxed) >= 1);
        assert_eq!(take(&purse, &bell, 5), Poll::Ready(None));
    }

    #[test]
    fn a_rate_lets_out_what_was_earned_and_keeps_no_more_than_a_tenth_of_a_second() {
        let (purse, bell) = (purse(), Arc::new(Bell::default()));
        purse.set_rate(Some(1000));
        purse.fill(10_000);
        let began = purse.state().counted;
        purse.state().allowed = 0.0;
        assert_eq!(take(&purse, &bell, 500), Poll::Pending);
        purse.state().count(began + Duration::from_millis(50));
        assert_eq!(take(&purse, &bell, 500), Poll::Ready(Some(50)));
        purse.state().count(began + Duration::from_secs(50));
        assert_eq!(take(&purse, &bell, 500), Poll::Ready(Some(100)));
    }

    #[test]
    fn only_the_owners_hosts_are_admitted() {
        assert!(purse().admits("example.org") && !purse().admits("example.com"));
    }
}
