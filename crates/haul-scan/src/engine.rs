//! Who is asked when, and what the answers mean: a pure state machine.
//!
//! It opens no socket and reads no clock. The loop around it is:
//!
//! 1. [`Engine::poll`] says what is to be done at this time;
//! 2. a [`Step::Probe`] is carried out, and [`Engine::sent`] or [`Engine::refused`] says how;
//! 3. whatever was heard goes into [`Engine::heard`], which says what is new about it.
//!
//! All targets are asked once, in random order. Those that stay silent are asked again in that
//! order as often as the loss seen so far calls for, no sooner than an answer could have come. When
//! nothing is left to ask and it has been quiet for longer than the slowest answer took, the scan
//! has settled; then it only listens.

mod loss;
mod pacer;
mod tuning;

pub(crate) use tuning::Tuning;

use crate::random::Random;
use crate::{Mac, Stats};
use loss::Loss;
use pacer::Pacer;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How many claimants of one address are kept apart; a liar could invent any number.
const MOST_MACS: usize = 4;

/// The state of a scan. Times are since its start and never go back.
#[derive(Debug)]
pub(crate) struct Engine {
    /// In the order in which they are asked.
    targets: Vec<Target>,
    /// Where in `targets` an address is.
    places: BTreeMap<Ipv4Addr, usize>,
    /// The first that has never been asked.
    fresh: usize,
    /// Those that were asked, in the order of their last probes; some have answered since.
    asked: VecDeque<usize>,
    pacer: Pacer,
    loss: Loss,
    tuning: Tuning,
    phase: Phase,
    /// When the last probe was sent or the last machine found.
    last_news: Duration,
    stats: Stats,
}

#[derive(Debug)]
struct Target {
    address: Ipv4Addr,
    tries: u32,
    first_sent: Duration,
    last_sent: Duration,
    is_up: bool,
    /// Whoever claimed the address.
    macs: Vec<Mac>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Asking,
    Lingering { until: Duration },
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask this address.
    Probe(Ipv4Addr),
    /// Nothing, until this time or until something is heard.
    Wait(Duration),
    /// Tell that it has settled; said once.
    Settled,
    /// Stop.
    Done,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) address: Ipv4Addr,
    /// Where the link has such addresses, and the way of asking shows them.
    pub(crate) mac: Option<Mac>,
    pub(crate) evidence: Evidence,
}

/// What a sign of life was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// An answer to us, which tells how long answers take.
    Answer,
    /// Something else that only a live machine says, asked or not.
    Chatter,
    /// The kernel's word that it was there a short while ago.
    Record,
}

/// What was new about a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Up { address: Ipv4Addr, mac: Option<Mac>, rtt: Option<Duration> },
    Conflict { address: Ipv4Addr, macs: Vec<Mac> },
}

impl Engine {
    /// A scan of `targets`, each named once.
    pub(crate) fn new(mut targets: Vec<Ipv4Addr>, tuning: Tuning, seed: u64) -> Self {
        Random::new(seed).shuffle(&mut targets);
        let places = targets.iter().copied().zip(0..).collect();
        let stats = Stats { targets: targets.len(), ..Stats::default() };
        Self {
            targets: targets.into_iter().map(Target::new).collect(),
            places,
            fresh: 0,
            asked: VecDeque::new(),
            pacer: Pacer::new(tuning.speed, tuning.rest),
            loss: Loss::new(tuning.usual_loss),
            tuning,
            phase: Phase::Asking,
            last_news: Duration::ZERO,
            stats,
        }
    }

    /// What is to be done at `now`.
    pub(crate) fn poll(&mut self, now: Duration) -> Step {
        match self.phase {
            Phase::Asking => self.poll_asking(now),
            Phase::Lingering { until } if now < until => Step::Wait(until),
            Phase::Lingering { .. } => Step::Done,
        }
    }

    /// The probe of `address` that was called for has been sent.
    pub(crate) fn sent(&mut self, now: Duration, address: Ipv4Addr) {
        let Some(&place) = self.places.get(&address) else { return };
        if place == self.fresh {
            self.fresh += 1;
        } else {
            self.asked.pop_front();
        }
        self.asked.push_back(place);
        self.targets[place].sent(now);
        self.pacer.sent(now);
        self.last_news = now;
        self.stats.sent += 1;
    }

    /// The probe that was called for would not fit into a queue; it is called for again later.
    pub(crate) fn refused(&mut self, now: Duration) {
        self.pacer.refused(now);
        self.stats.refused += 1;
    }

    /// Takes note of a sign of life; what is new about it, if anything is.
    pub(crate) fn heard(&mut self, now: Duration, heard: Heard) -> Option<Finding> {
        let place = *self.places.get(&heard.address)?;
        self.stats.received += 1;
        let Heard { address, mac, .. } = heard;
        let target = &mut self.targets[place];
        let is_other = target.claimed_by(mac);
        if target.is_up && is_other {
            return Some(Finding::Conflict { address, macs: target.macs.clone() });
        }
        if target.is_up {
            self.stats.duplicates += 1;
            return None;
        }
        target.is_up = true;
        self.stats.found += 1;
        self.last_news = now;
        Some(Finding::Up { address, mac, rtt: self.measure(now, place, heard.evidence) })
    }

    /// Those that have shown no sign of life.
    pub(crate) fn silent(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.targets.iter().filter(|target| !target.is_up).map(|target| target.address)
    }

    /// Whether a machine with this hardware address was found.
    pub(crate) fn has_found(&self, mac: Mac) -> bool {
        self.targets.iter().any(|target| target.macs.contains(&mac))
    }

    /// The figures so far.
    pub(crate) fn stats(&self, now: Duration) -> Stats {
        let tries = self.tries();
        Stats {
            tries,
            loss: self.loss.share(),
            expected_missed: self.loss.expected_missed(self.stats.found, tries),
            slowdowns: self.pacer.slowdowns(),
            elapsed: now,
            ..self.stats
        }
    }

    fn poll_asking(&mut self, now: Duration) -> Step {
        let Some((place, due)) = self.next_target() else { return self.poll_quiet(now) };
        let due = due.max(self.pacer.ready());
        if due <= now { Step::Probe(self.targets[place].address) } else { Step::Wait(due) }
    }

    /// Nobody is left to ask.
    fn poll_quiet(&mut self, now: Duration) -> Step {
        let quiet = self.loss.quiet(&self.tuning.quiet);
        let settles = self.last_news + quiet;
        if now < settles {
            return Step::Wait(settles);
        }
        self.phase = Phase::Lingering { until: self.last_news + self.linger() };
        Step::Settled
    }

    /// Who is to be asked next, and the earliest time for it.
    fn next_target(&mut self) -> Option<(usize, Duration)> {
        while self.targets.get(self.fresh).is_some_and(|target| target.is_up) {
            self.fresh += 1;
        }
        if self.fresh < self.targets.len() {
            return Some((self.fresh, Duration::ZERO));
        }
        while self.asked.front().is_some_and(|&place| self.targets[place].is_up) {
            self.asked.pop_front();
        }
        // Everyone behind the front was asked later, and so at least as often.
        let place = *self.asked.front()?;
        let target = &self.targets[place];
        let due = target.last_sent + self.loss.repeat_interval();
        (target.tries < self.tries()).then_some((place, due))
    }

    /// For how long after the last probe, or the last machine found, late answers are heard.
    fn linger(&self) -> Duration {
        let linger = self.tuning.linger;
        if self.loss.is_smooth() { linger.smooth } else { linger.troubled }
    }

    fn tries(&self) -> u32 {
        self.loss.tries(self.stats.found, &self.tuning.tries)
    }

    /// Learns from the first answer of a target; the time from its last probe to that answer.
    fn measure(&mut self, now: Duration, place: usize, evidence: Evidence) -> Option<Duration> {
        let target = &self.targets[place];
        if evidence == Evidence::Record {
            self.loss.recorded();
        }
        if evidence != Evidence::Answer || target.tries == 0 {
            return None;
        }
        let rtt = now.saturating_sub(target.last_sent);
        self.loss.answered(target.tries, rtt, now.saturating_sub(target.first_sent));
        self.pacer.answered(now, target.tries, rtt);
        Some(rtt)
    }
}

impl Target {
    const fn new(address: Ipv4Addr) -> Self {
        let never = Duration::ZERO;
        Self {
            address,
            tries: 0,
            first_sent: never,
            last_sent: never,
            is_up: false,
            macs: Vec::new(),
        }
    }

    /// Takes note of a claimant; whether there is room for it and it is not known yet.
    fn claimed_by(&mut self, mac: Option<Mac>) -> bool {
        let new = mac.filter(|mac| !self.macs.contains(mac) && self.macs.len() < MOST_MACS);
        self.macs.extend(new);
        new.is_some()
    }

    const fn sent(&mut self, now: Duration) {
        if self.tries == 0 {
            self.first_sent = now;
        }
        self.last_sent = now;
        self.tries += 1;
    }
}

#[cfg(test)]
mod tests;
