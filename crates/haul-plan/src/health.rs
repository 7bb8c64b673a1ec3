//! Rules 6, 7, 9, 11 and 12: what follows from silence, failures and small gains.

use crate::gain::Vain;
use crate::lease::LeaseId;
use crate::output::{Cause, Setback};
use crate::planner::Planner;
use crate::rate::Rate;
use crate::worker::{LaneTrial, Standing, Worker, WorkerId};
use haul_span::Span;
use std::time::Duration;

/// Lanes are tried only while so much more work than this is pending.
const TRIAL_WORTH: Duration = Duration::from_secs(3);

/// How long the judgement on lanes stands, whatever happens to the rate.
const SETTLED: Duration = Duration::from_secs(10);

/// After that it stands until the rate is so many times what it was, or its part.
const CHANGED: f64 = 1.5;

/// How long a span that a worker failed is left to others.
const AVOIDED: Duration = Duration::from_secs(5);

impl Planner {
    pub(crate) fn check_health(&mut self, now: Duration) {
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for worker in self.workers.values_mut() {
            worker.pardon(now);
        }
        for &id in &ids {
            self.check_stalls(now, id);
        }
        self.add_up();
        let (total, fastest) = (self.total_rate(), self.fastest());
        let mut vain = self.in_vain();
        for id in ids {
            vain = self.try_lanes_beside(now, id, total, vain);
            self.check_worth(now, id, total, fastest);
        }
    }

    /// Rules 6 and 7.
    fn check_stalls(&mut self, now: Duration, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        let all = worker.silence(now) >= self.config.stalled_after;
        let active = self.active(worker).into_iter();
        let lost: Vec<LeaseId> = if all {
            worker.leases.clone()
        } else {
            active.filter(|id| self.is_stalled(now, *id)).collect()
        };
        if lost.is_empty() || !self.others_could(now, id) {
            return;
        }
        for lease in lost {
            self.revoke(now, lease);
        }
        if all {
            self.put_on_probation(now, id);
        }
    }

    fn is_stalled(&self, now: Duration, id: LeaseId) -> bool {
        self.leases.get(&id).is_some_and(|lease| {
            let worker = self.workers.get(&lease.worker);
            let expected_from = worker.map_or(Duration::ZERO, |worker| worker.expected_from);
            lease.silence(now, expected_from) >= self.config.stalled_after
        })
    }

    pub(crate) fn put_on_probation(&mut self, now: Duration, id: WorkerId) {
        let Self { workers, config, .. } = self;
        let Some(worker) = workers.get_mut(&id) else { return };
        let pause = match worker.standing {
            Standing::Good => config.probation_min,
            Standing::Probation { next } => next,
        };
        worker.standing = Standing::Probation { next: (2 * pause).min(config.probation_max) };
        worker.pause(now + pause);
        worker.open_at = None;
    }

    /// Rule 9: notes a failure; says whether it was one too many.
    pub(crate) fn set_back(
        &mut self,
        now: Duration,
        id: WorkerId,
        rest: Option<Span>,
        setback: Setback,
    ) -> bool {
        let Self { workers, config, .. } = self;
        let Some(worker) = workers.get_mut(&id) else { return false };
        worker.open_at = None;
        let counts = !worker.is_paused(now);
        worker.failures += u32::from(counts);
        let doubled = config.pause_min * 2u32.saturating_pow(worker.failures.saturating_sub(1));
        let mut pause = doubled.min(config.probation_max);
        match setback {
            Setback::Passing => {
                if let Some(rest) = rest {
                    worker.avoid(now + AVOIDED, rest);
                }
            }
            Setback::Throttled { pause: asked } => {
                pause = pause.max(asked);
                throttle(now, worker);
            }
            Setback::Elsewhere => worker.refused.extend(rest),
            Setback::Fatal => return true,
        }
        worker.pause(now + pause);
        let lanes = worker.lanes.now;
        if matches!(setback, Setback::Throttled { .. }) {
            self.tell_lanes(now, id, lanes);
        }
        self.workers.get(&id).is_some_and(|worker| worker.failures > self.config.failures_max)
    }

    fn fastest(&self) -> Rate {
        let rates = self.workers.values().filter_map(Worker::rate);
        rates.fold(Rate::ZERO, |a, b| if a < b { b } else { a })
    }

    /// Tries lanes beside trials that are in vain so far; returns those that are afterwards.
    fn try_lanes_beside(&mut self, now: Duration, id: WorkerId, total: Rate, vain: Vain) -> Vain {
        let Some(worker) = self.workers.get(&id) else { return vain };
        let others = vain.without(worker, &self.config);
        self.try_lanes(now, id, total, others.opposite(worker));
        self.workers.get(&id).map_or(others, |worker| others.with(worker, &self.config))
    }

    /// Rule 11.
    fn try_lanes(&mut self, now: Duration, id: WorkerId, total: Rate, others_in_vain: bool) {
        if self.gains.is_trying() {
            return;
        }
        let worth = total.bytes_in(TRIAL_WORTH) < self.pending.bytes();
        let worth = worth && !others_in_vain;
        let Self { workers, config, .. } = self;
        let Some(worker) = workers.get_mut(&id) else { return };
        let Some(rate) = worker.rate().filter(|_| worker.standing == Standing::Good) else {
            return;
        };
        let before = worker.lanes.now;
        match worker.lanes.trial {
            LaneTrial::Settling { until }
                if now >= until && worth && before < worker.lanes.most() =>
            {
                worker.lanes.now = before.saturating_mul(2).min(worker.lanes.most());
                worker.lanes.trial = match before {
                    1 => LaneTrial::Settling { until: now + config.lane_trial },
                    _ => LaneTrial::Watching { since: now, before, rate },
                };
            }
            LaneTrial::Watching { since, before, rate: former } => {
                let gained = gained(rate, former, config.lane_gain);
                // A gain shows early, that there is none shows late.
                let long_enough = if gained { config.lane_trial / 3 } else { config.lane_trial };
                if now >= since + long_enough {
                    judge_lanes(worker, now, before, former, gained);
                }
            }
            LaneTrial::Settled { since, rate: former }
                if now >= since + SETTLED && changed(rate, former) =>
            {
                worker.lanes.trial = LaneTrial::Settling { until: now };
            }
            LaneTrial::Settling { .. } | LaneTrial::Settled { .. } => {}
        }
        let lanes = worker.lanes.now;
        if lanes != before {
            self.tell_lanes(now, id, lanes);
        }
    }

    /// Rule 12. What is measured against is the fastest worker and not the total, of which even
    /// the best of forty equal workers brings less than 3 %.
    fn check_worth(&mut self, now: Duration, id: WorkerId, total: Rate, fastest: Rate) {
        let Self { workers, config, .. } = self;
        let Some(worker) = workers.get_mut(&id).filter(|worker| !worker.own) else { return };
        let Some(rate) = worker.rate() else { return };
        if rate.of(fastest) >= config.release_below || worker.is_paused(now) {
            worker.idle_since = None;
            return;
        }
        let since = *worker.idle_since.get_or_insert(now);
        let (others, long) = (workers.len() > 1, now >= since + config.release_after);
        if others && long {
            self.release(now, id, Cause::Idle { share: rate.of(total) });
        }
    }
}

/// The origin wants fewer lanes of this worker than it has; it never gets more again.
fn throttle(now: Duration, worker: &mut Worker) {
    let fewer = (worker.lanes.now / 2).max(1);
    worker.lanes.now = fewer;
    worker.lanes.borne = fewer;
    let rate = worker.rate().unwrap_or_default();
    worker.lanes.trial = LaneTrial::Settled { since: now, rate };
}

pub(crate) fn gained(rate: Rate, former: Rate, by: f64) -> bool {
    rate.bytes_per_second() >= by * former.bytes_per_second()
}

/// Whether a link is not what it was when lanes were last judged on it.
fn changed(rate: Rate, former: Rate) -> bool {
    gained(rate, former, CHANGED) || gained(former, rate, CHANGED)
}

fn judge_lanes(worker: &mut Worker, now: Duration, before: u8, rate: Rate, gained: bool) {
    if gained {
        worker.lanes.trial = LaneTrial::Settling { until: now };
    } else {
        worker.lanes.now = before;
        worker.lanes.trial = LaneTrial::Settled { since: now, rate };
    }
}
