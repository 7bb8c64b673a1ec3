//! Rule 13: who adds to the whole, and who only takes a share of the own link's uplink.

use crate::config::Config;
use crate::health::gained;
use crate::output::Cause;
use crate::planner::Planner;
use crate::rate::Rate;
use crate::worker::{LaneTrial, Standing, Worker, WorkerId};
use std::collections::VecDeque;
use std::time::Duration;

/// The own link moved if its rate rose or fell by this part of it.
const MOVED: f64 = 0.2;

/// The whole moved along if it did by this part of what the own link did.
const ALONG: f64 = 0.4;

/// For how long both are watched.
const WATCHED: Duration = Duration::from_secs(5);

/// How long rates take to follow a change of lanes that a worker asked for.
const FOLLOWS: Duration = Duration::from_secs(2);

/// A trial is worth its cost only while so many trials' work is pending.
const TRIAL_WORTH: u32 = 2;

/// How long nobody is tried after somebody was tried in vain; it doubles each time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker shares the uplink if less than this part of what it brings is missed without it.
const MISSED: f64 = 1.0 / 3.0;

/// How many times as fast the own link then is.
const RELIEVED: f64 = 1.1;

/// The search for workers without whom the whole is as fast.
#[derive(Clone, Debug)]
pub(crate) struct Gains {
    /// What the own link and all together brought of late.
    watched: VecDeque<Sample>,
    /// Nothing is watched before this.
    watched_from: Duration,
    trial: Option<Trial>,
    /// Nobody is tried before this.
    not_before: Duration,
    patience: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    own: Rate,
    total: Rate,
}

/// A worker rests, and what the others bring without it is counted.
#[derive(Clone, Copy, Debug)]
struct Trial {
    worker: WorkerId,
    began: Duration,
    /// What the worker, the own link and all together brought before.
    its: Rate,
    own: Rate,
    total: Rate,
    /// Since when bytes are counted, and from how many on: once the others have had time to take
    /// what they can.
    counted: Option<(Duration, u64)>,
}

impl Default for Gains {
    fn default() -> Self {
        Self {
            watched: VecDeque::new(),
            watched_from: Duration::ZERO,
            trial: None,
            not_before: Duration::ZERO,
            patience: PATIENCE,
        }
    }
}

impl Gains {
    pub(crate) const fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    /// A worker brings more or less from now on, for a reason of its own.
    pub(crate) fn note_change(&mut self, now: Duration) {
        self.watched.clear();
        self.watched_from = now + FOLLOWS;
    }
}

/// How many trials of more lanes are in vain so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Vain {
    own: u32,
    helpers: u32,
}

impl Vain {
    /// Counts a worker in, if its trial is.
    pub(crate) fn with(mut self, worker: &Worker, config: &Config) -> Self {
        *self.end(worker.own) += u32::from(tries_in_vain(worker, config));
        self
    }

    /// The same without a worker that was counted.
    pub(crate) fn without(mut self, worker: &Worker, config: &Config) -> Self {
        *self.end(worker.own) -= u32::from(tries_in_vain(worker, config));
        self
    }

    /// Whether that is so at the other end: of the own link for a helper, of helpers for the own
    /// link. Two trials at once would hide who takes from whom.
    pub(crate) fn opposite(mut self, worker: &Worker) -> bool {
        *self.end(!worker.own) > 0
    }

    fn end(&mut self, own: bool) -> &mut u32 {
        if own { &mut self.own } else { &mut self.helpers }
    }
}

fn tries_in_vain(worker: &Worker, config: &Config) -> bool {
    match worker.lanes.trial {
        LaneTrial::Watching { rate, .. } => {
            !gained(worker.rate().unwrap_or_default(), rate, config.lane_gain)
        }
        LaneTrial::Settling { .. } | LaneTrial::Settled { .. } => false,
    }
}

impl Planner {
    pub(crate) fn check_gains(&mut self, now: Duration) {
        let own = self.workers.values().find(|worker| worker.own && worker.delivers(now));
        let Some(own) = own.and_then(Worker::rate) else {
            return self.gains.watched.clear();
        };
        let total = self.total_rate();
        match self.gains.trial.take() {
            Some(trial) => self.go_on_with(now, trial, own),
            None if self.moved_alone(now, own, total) => self.try_fastest(now, own, total),
            None => {}
        }
    }

    /// How many trials of more lanes are in vain so far, of helpers and of the own link.
    pub(crate) fn in_vain(&self) -> Vain {
        self.workers.values().fold(Vain::default(), |vain, worker| vain.with(worker, &self.config))
    }

    /// Whether the own link became faster or slower and the whole did not: then others had what it
    /// has now, or have what it had.
    fn moved_alone(&mut self, now: Duration, own: Rate, total: Rate) -> bool {
        if now < self.gains.watched_from {
            return false;
        }
        let watched = &mut self.gains.watched;
        let since = now.saturating_sub(WATCHED);
        watched.push_back(Sample { at: now, own, total });
        let long = watched.front().is_some_and(|first| first.at < since);
        watched.retain(|sample| sample.at >= since);
        let (slow, fast) = extremes(watched.iter().map(|sample| sample.own));
        let (least, most) = extremes(watched.iter().map(|sample| sample.total));
        long && fast - slow > MOVED * fast && most - least < ALONG * (fast - slow)
    }

    /// Lets the fastest helper rest, if it is worth while.
    fn try_fastest(&mut self, now: Duration, own: Rate, total: Rate) {
        let worth = total.bytes_in(TRIAL_WORTH * self.config.gain_trial) < self.pending.bytes();
        if !worth || now < self.gains.not_before {
            return;
        }
        let able = |worker: &Worker| {
            !worker.own && worker.standing == Standing::Good && worker.delivers(now)
        };
        let helpers = self.workers.iter().filter(|(_, worker)| able(worker));
        let rates = helpers.filter_map(|(&id, worker)| Some((id, worker.rate()?)));
        let fastest = rates.reduce(|a, b| if a.1 < b.1 { b } else { a });
        if let Some((worker, its)) = fastest {
            self.rest(now, worker);
            self.gains.trial = Some(Trial { worker, began: now, its, own, total, counted: None });
        }
    }

    fn rest(&mut self, now: Duration, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.pause(now + self.config.gain_trial);
        for lease in worker.leases.clone() {
            self.revoke(now, lease);
        }
    }

    fn go_on_with(&mut self, now: Duration, mut trial: Trial, own: Rate) {
        if !self.workers.contains_key(&trial.worker) {
            return;
        }
        let rested = now.saturating_sub(trial.began);
        match trial.counted {
            Some(counted) if rested >= self.config.gain_trial => {
                return self.judge(now, &trial, counted, own);
            }
            None if rested >= self.config.gain_trial / 2 => {
                trial.counted = Some((now, self.received.bytes()));
            }
            _ => {}
        }
        self.gains.trial = Some(trial);
    }

    /// Releases whoever was not missed and tries the next, or leaves all in peace for a while.
    fn judge(&mut self, now: Duration, trial: &Trial, counted: (Duration, u64), own: Rate) {
        let seconds = now.saturating_sub(counted.0).as_secs_f64();
        let without = self.received.bytes().saturating_sub(counted.1) as f64 / seconds;
        let missed = trial.total.bytes_per_second() - without;
        self.gains.watched.clear();
        let relieved = own.bytes_per_second() > RELIEVED * trial.own.bytes_per_second();
        if relieved && missed < MISSED * trial.its.bytes_per_second() {
            let cause = Cause::Shares {
                share: trial.its.of(trial.total),
                gain: (missed / without).max(0.0),
            };
            self.release(now, trial.worker, cause);
            self.try_fastest(now, own, Rate::new(without));
        } else {
            self.gains.not_before = now + self.gains.patience;
            self.gains.patience *= 2;
        }
    }
}

/// The lowest and the highest of some rates, in bytes per second.
fn extremes(rates: impl Iterator<Item = Rate>) -> (f64, f64) {
    rates
        .map(Rate::bytes_per_second)
        .fold((f64::INFINITY, 0.0), |(low, high), rate| (rate.min(low), rate.max(high)))
}
