use super::tuning::Rest;
use std::collections::VecDeque;
use std::time::Duration;

/// The rate of the first probes, a second.
const START: f64 = 4_000.0;
/// The most before anybody has answered: nothing is known of the network yet.
const UNHEARD: f64 = 10_000.0;
/// The least.
const LEAST: f64 = 200.0;

/// How often the rate doubles until it is at its most or was halved once.
const DOUBLING: Duration = Duration::from_millis(2);
/// How often and by what it grows after it was halved.
const CREEPING: Duration = Duration::from_millis(20);
const CREEP: f64 = 1.05;

/// How many answers make the lower envelope of round trips.
const ENVELOPE: usize = 8;
/// By how much it rises when a queue fills on the way; slow machines do not make it rise.
const QUEUE: Duration = Duration::from_millis(4);

/// How much of a delay of the sender's own is caught up on: at most 80 probes at 20,000 a second, or
/// 7 kB on the wire, for which every switch has room.
const CATCH_UP: Duration = Duration::from_millis(4);

/// How fast probes may go out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speed {
    /// With a gap after each probe, whatever happens.
    Fixed { gap: Duration },
    /// As fast as the network takes them, up to `most` a second.
    Adaptive { most: f64 },
}

/// Says when the next probe may go out.
#[derive(Debug)]
pub(super) struct Pacer {
    mode: Mode,
    ready: Duration,
    rest: Option<Rest>,
    sent: u32,
    slowdowns: u32,
}

#[derive(Debug)]
enum Mode {
    Fixed { gap: Duration },
    Adaptive(Rate),
}

/// A rate that is felt out.
#[derive(Debug)]
struct Rate {
    per_second: f64,
    most: f64,
    has_answers: bool,
    growth: Growth,
    grows_at: Duration,
    /// The shortest round trip of all.
    base: Duration,
    /// The last round trips.
    recent: VecDeque<Duration>,
    /// Round trips before this time belong to what the last slowdown was for.
    blind_until: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Growth {
    Doubling,
    Creeping,
}

impl Pacer {
    pub(super) fn new(speed: Speed, rest: Option<Rest>) -> Self {
        let mode = match speed {
            Speed::Fixed { gap } => Mode::Fixed { gap },
            Speed::Adaptive { most } => Mode::Adaptive(Rate::new(most)),
        };
        Self { mode, ready: Duration::ZERO, rest, sent: 0, slowdowns: 0 }
    }

    /// When the next probe may go out.
    pub(super) const fn ready(&self) -> Duration {
        self.ready
    }

    /// How often the rate was halved.
    pub(super) const fn slowdowns(&self) -> u32 {
        self.slowdowns
    }

    /// A probe has gone out.
    pub(super) fn sent(&mut self, now: Duration) {
        self.ready = match &mut self.mode {
            Mode::Fixed { gap } => now + *gap,
            Mode::Adaptive(rate) => {
                rate.grow(now);
                self.ready.max(now.saturating_sub(CATCH_UP)) + rate.gap()
            }
        };
        self.sent += 1;
        if let Some(rest) = self.rest.filter(|rest| self.sent.is_multiple_of(rest.every)) {
            self.ready = now + rest.pause;
        }
    }

    /// A probe did not go out because a queue of this machine is full.
    pub(super) fn refused(&mut self, now: Duration) {
        self.ready = now + self.gap();
        if let Mode::Adaptive(rate) = &mut self.mode
            && now >= rate.blind_until
        {
            rate.halve(now, QUEUE);
            self.slowdowns += 1;
        }
    }

    /// A target answered for the first time, after so many probes, so long after the last of them.
    pub(super) fn answered(&mut self, now: Duration, tries: u32, rtt: Duration) {
        if let Mode::Adaptive(rate) = &mut self.mode
            && let Some(envelope) = rate.answered(now, tries, rtt)
        {
            rate.halve(now, envelope);
            self.slowdowns += 1;
        }
    }

    fn gap(&self) -> Duration {
        match &self.mode {
            Mode::Fixed { gap } => *gap,
            Mode::Adaptive(rate) => rate.gap(),
        }
    }
}

impl Rate {
    const fn new(most: f64) -> Self {
        Self {
            per_second: START,
            most,
            has_answers: false,
            growth: Growth::Doubling,
            grows_at: DOUBLING,
            base: Duration::MAX,
            recent: VecDeque::new(),
            blind_until: Duration::ZERO,
        }
    }

    fn gap(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    fn grow(&mut self, now: Duration) {
        if now < self.grows_at {
            return;
        }
        let (factor, interval) = match self.growth {
            Growth::Doubling => (2.0, DOUBLING),
            Growth::Creeping => (CREEP, CREEPING),
        };
        let most = if self.has_answers { self.most } else { self.most.min(UNHEARD) };
        self.per_second = (self.per_second * factor).min(most);
        self.grows_at = now + interval;
    }

    /// The lower envelope of the last round trips, if it says that a queue fills.
    fn answered(&mut self, now: Duration, tries: u32, rtt: Duration) -> Option<Duration> {
        self.has_answers = true;
        if tries == 1 {
            self.base = self.base.min(rtt);
        }
        if now < self.blind_until {
            return None;
        }
        if self.recent.len() == ENVELOPE {
            self.recent.pop_front();
        }
        // After repeats the round trip is at least this, whichever probe it is that was answered.
        self.recent.push_back(rtt);
        let envelope = *self.recent.iter().min()?;
        let is_rising = self.recent.len() == ENVELOPE && envelope > self.base.saturating_add(QUEUE);
        is_rising.then_some(envelope)
    }

    /// Halves the rate, and does so again only when that can have shown.
    fn halve(&mut self, now: Duration, round_trip: Duration) {
        self.per_second = (self.per_second / 2.0).max(LEAST);
        self.growth = Growth::Creeping;
        self.blind_until = now + 2 * round_trip;
        self.grows_at = self.blind_until;
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn rate(pacer: &Pacer) -> f64 {
        1.0 / pacer.gap().as_secs_f64()
    }

    /// Sends as fast as is allowed until `until`; how many went out.
    fn send(pacer: &mut Pacer, until: Duration) -> u32 {
        let mut sent = 0;
        while pacer.ready() < until {
            pacer.sent(pacer.ready());
            sent += 1;
        }
        sent
    }

    #[test]
    fn it_starts_slowly_and_is_held_back_until_somebody_answers() {
        let mut pacer = Pacer::new(Speed::Adaptive { most: 20_000.0 }, None);
        assert!((8..=9).contains(&send(&mut pacer, 2 * MS)));
        send(&mut pacer, 100 * MS);
        assert!((rate(&pacer) - UNHEARD).abs() < 1.0);
        pacer.answered(100 * MS, 1, MS);
        send(&mut pacer, 110 * MS);
        assert!((rate(&pacer) - 20_000.0).abs() < 1.0);
    }

    #[test]
    fn it_is_halved_once_when_a_queue_fills_and_not_for_a_slow_machine() {
        let mut pacer = Pacer::new(Speed::Adaptive { most: 20_000.0 }, None);
        pacer.answered(MS, 1, MS);
        send(&mut pacer, 50 * MS);
        (0..100).for_each(|n| pacer.answered(50 * MS, 1, if n % 8 == 0 { MS } else { 90 * MS }));
        assert_eq!(pacer.slowdowns(), 0, "some answers are as fast as ever");
        (0..100).for_each(|_| pacer.answered(51 * MS, 1, 10 * MS));
        assert_eq!(pacer.slowdowns(), 1, "what was under way must not halve it again");
        assert!((rate(&pacer) - 10_000.0).abs() < 1.0);
    }

    #[test]
    fn after_so_many_probes_it_rests() {
        let rest = Rest { every: 3, pause: 1000 * MS };
        let mut pacer = Pacer::new(Speed::Fixed { gap: MS }, Some(rest));
        let sent = [MS, 2 * MS, 3 * MS, 1002 * MS].map(|until| send(&mut pacer, until));
        assert_eq!(sent, [1, 1, 1, 0]);
        assert_eq!(send(&mut pacer, 1005 * MS), 3);
    }

    #[test]
    fn a_delay_of_our_own_makes_no_burst() {
        let mut pacer = Pacer::new(Speed::Adaptive { most: 20_000.0 }, None);
        pacer.answered(MS, 1, MS);
        send(&mut pacer, 50 * MS);
        pacer.sent(200 * MS);
        assert!(send(&mut pacer, 200 * MS) <= 80);
    }
}
