//! Rules 5, 6 and 8: what an idle worker takes from a busy one when nothing is pending.

use crate::grant::GRAIN;
use crate::lease::LeaseId;
use crate::output::Output;
use crate::planner::Planner;
use crate::rate::Rate;
use crate::worker::{Worker, WorkerId};
use haul_span::Span;
use std::time::Duration;

/// A duplicate must end this many times sooner than the lease it doubles.
const DUPLICATE_GAIN: f64 = 1.5;

/// Silence up to so many request gaps is a request on its way.
const QUIET_GAPS: u32 = 3;

/// A worker steals from itself only when the lane is this much slower than its others.
const OWN_LANE_SLOWER: f64 = 0.5;

/// The lease that would end last.
struct Victim {
    lease: LeaseId,
    worker: WorkerId,
    rest: Span,
    /// Seconds from now until it ends.
    ends: f64,
    pace: Rate,
}

/// What a worker that has little to do can do about it.
struct Thief {
    /// The rate of one of its lanes.
    pace: Rate,
    /// Seconds from now until the first byte.
    start: f64,
    /// Whether it has brought bytes of late.
    delivers: bool,
}

impl Thief {
    fn may_rob(&self, id: WorkerId, victim: &Victim) -> bool {
        let slow = OWN_LANE_SLOWER * self.pace.bytes_per_second();
        id != victim.worker || (self.delivers && victim.pace.bytes_per_second() < slow)
    }
}

impl Planner {
    /// Lets hungry workers steal what they can, the fastest first.
    pub(crate) fn steal_for(&mut self, now: Duration, hungry: Vec<WorkerId>) {
        let pace = |id| Some((id, self.thief(now, id)?));
        let mut thieves: Vec<(WorkerId, Thief)> = hungry.into_iter().filter_map(pace).collect();
        thieves.sort_by(|(_, a), (_, b)| {
            b.pace.bytes_per_second().total_cmp(&a.pace.bytes_per_second())
        });
        let mut victims = None;
        for (id, _) in thieves {
            while self.is_hungry(now, id) && self.steal(now, id, &mut victims) {}
        }
    }

    /// What a worker can do that may steal and has little to do itself.
    fn thief(&self, now: Duration, id: WorkerId) -> Option<Thief> {
        let worker = self.workers.get(&id).filter(|worker| worker.may_steal())?;
        let start = self.runs_dry(now, worker)? + self.config.request_gap.as_secs_f64();
        Some(Thief { pace: self.lane_rate(worker), start, delivers: worker.delivers(now) })
    }

    /// Lets a thief take part of the lease that would end last; says whether it did. Who could be
    /// stolen from is found once, until somebody is.
    fn steal(&mut self, now: Duration, id: WorkerId, victims: &mut Option<Vec<Victim>>) -> bool {
        let Some(thief) = self.thief(now, id) else { return false };
        let all = victims.get_or_insert_with(|| self.victims(now));
        let Some(victim) = all.iter().find(|victim| thief.may_rob(id, victim)) else {
            return false;
        };
        let bytes = tail(victim, &thief);
        let stole = if bytes >= self.least_worth(thief.pace).min(victim.rest.len()) {
            self.take_tail(now, id, victim, bytes);
            true
        } else {
            let mine = thief.start + thief.pace.seconds_for(victim.rest.len());
            let sooner = victim.ends > DUPLICATE_GAIN * mine;
            sooner && victim.worker != id && self.duplicate(now, id, victim)
        };
        if stole {
            *victims = None;
        }
        stole
    }

    /// The least that a lane of this pace steals, in bytes: what it loses by asking for it.
    fn least_worth(&self, pace: Rate) -> u64 {
        pace.bytes_in(self.config.request_gap).max(GRAIN).min(self.config.steal_min)
    }

    /// Seconds until a lane of the worker has nothing to do, if that is soon.
    fn runs_dry(&self, now: Duration, worker: &Worker) -> Option<f64> {
        if worker.has_idle_lane() {
            return Some(0.0);
        }
        if worker.leases.len() > usize::from(worker.lanes.now) {
            return None;
        }
        let ends = self.ends(now, worker).map(|(_, _, ends, _)| ends).fold(f64::INFINITY, f64::min);
        (ends < 2.0 * self.config.request_gap.as_secs_f64()).then_some(ends)
    }

    /// All leases that may be stolen from, those that end last first.
    fn victims(&self, now: Duration) -> Vec<Victim> {
        let of = |(&worker, state)| {
            let ends = self.ends(now, state);
            ends.map(move |(lease, rest, ends, pace)| Victim { lease, worker, rest, ends, pace })
        };
        let mut victims: Vec<Victim> = self.workers.iter().flat_map(of).collect();
        victims.sort_by(|a, b| b.ends.total_cmp(&a.ends));
        victims
    }

    /// When each lease of a worker will end, in seconds from now: lanes take them in order, the
    /// first lane those that go on in the open response, and one that has been late for a while
    /// will be late for as long again.
    fn ends(
        &self,
        now: Duration,
        worker: &Worker,
    ) -> impl Iterator<Item = (LeaseId, Span, f64, Rate)> {
        let lane = self.lane_rate(worker);
        let suspect = self.is_suspect(now, worker);
        let mut free: Vec<f64> = vec![0.0; usize::from(worker.lanes.now)];
        let leases = worker.leases.iter().filter_map(|id| Some((*id, self.leases.get(id)?)));
        leases.filter_map(move |(id, lease)| {
            let rest = lease.missing()?;
            let silence = lease.silence(now, worker.expected_from);
            let silent = suspect || silence >= self.config.suspect_after;
            let pace = if silent { Rate::ZERO } else { lease.pace(now).unwrap_or(lane) };
            let overdue = silence.saturating_sub(QUIET_GAPS * self.config.request_gap);
            let next = if lease.open {
                free.first_mut()?
            } else {
                free.iter_mut().min_by(|a, b| a.total_cmp(b))?
            };
            *next += overdue.as_secs_f64() + pace.seconds_for(rest.len());
            lease.twin.is_none().then_some((id, rest, *next, pace))
        })
    }

    fn take_tail(&mut self, now: Duration, thief: WorkerId, victim: &Victim, bytes: u64) {
        let suspect = self.workers.get(&victim.worker).is_some_and(|it| self.is_suspect(now, it));
        let at = victim.rest.end() - bytes;
        let tail = if at <= victim.rest.start() {
            self.revoke(now, victim.lease);
            self.pending.remove(victim.rest);
            Some(victim.rest)
        } else {
            self.emit(Output::Trim { worker: victim.worker, lease: victim.lease, end: at });
            self.leases.get_mut(&victim.lease).and_then(|lease| lease.cut(at))
        };
        if let Some(tail) = tail {
            self.lease(now, thief, tail);
        }
        self.close_open(victim.worker);
        if suspect {
            self.put_on_probation(now, victim.worker);
        }
    }

    fn duplicate(&mut self, now: Duration, thief: WorkerId, victim: &Victim) -> bool {
        let bytes = victim.rest.len();
        if self.duplicated + bytes > self.size() / self.config.duplicate_share {
            return false;
        }
        self.duplicated += bytes;
        let twin = self.lease(now, thief, victim.rest);
        for (id, other) in [(victim.lease, twin), (twin, victim.lease)] {
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.twin = Some(other);
            }
        }
        true
    }

    /// Once its neighbourhood is taken apart, the open response has no run of its own any more.
    fn close_open(&mut self, worker: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.open_at = None;
        }
    }
}

/// How many bytes a thief takes so that both end together.
fn tail(victim: &Victim, thief: &Thief) -> u64 {
    let (mine, theirs) = (thief.pace.bytes_per_second(), victim.pace.bytes_per_second());
    if victim.ends.is_infinite() {
        return victim.rest.len();
    }
    let both = mine * theirs / (mine + theirs);
    Rate::new((victim.ends - thief.start) * both)
        .bytes_in(Duration::from_secs(1))
        .min(victim.rest.len())
}
