//! Rules 5, 6 and 8: what an idle worker takes from a busy one when nothing is pending.

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

impl Planner {
    /// Lets `thief` take part of the lease that would end last; says whether it did.
    pub(crate) fn steal(&mut self, now: Duration, thief: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&thief).filter(|worker| worker.may_steal()) else {
            return false;
        };
        let pace = self.lane_rate(worker);
        let Some(ready) = self.runs_dry(now, worker) else { return false };
        let start = ready + self.config.request_gap.as_secs_f64();
        let Some(victim) = self.last_to_end(now, thief, pace) else { return false };
        let bytes = tail(&victim, pace, start);
        if bytes >= self.config.steal_min.min(victim.rest.len()) {
            self.take_tail(now, thief, &victim, bytes);
            return true;
        }
        let sooner = victim.ends > DUPLICATE_GAIN * (start + pace.seconds_for(victim.rest.len()));
        sooner && victim.worker != thief && self.duplicate(now, thief, &victim)
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

    fn last_to_end(&self, now: Duration, thief: WorkerId, pace: Rate) -> Option<Victim> {
        let delivers = self.workers.get(&thief).is_some_and(|worker| worker.delivers(now));
        let mut last: Option<Victim> = None;
        for (&id, worker) in &self.workers {
            for (lease, rest, ends, own_pace) in self.ends(now, worker) {
                let slow = own_pace.bytes_per_second() < OWN_LANE_SLOWER * pace.bytes_per_second();
                let later = last.as_ref().is_none_or(|last| ends > last.ends);
                if later && (id != thief || (delivers && slow)) {
                    last = Some(Victim { lease, worker: id, rest, ends, pace: own_pace });
                }
            }
        }
        last
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
            let silence = lease.silence(now);
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

/// How many bytes a thief that can start in `start` seconds takes so that both end together.
fn tail(victim: &Victim, pace: Rate, start: f64) -> u64 {
    let (mine, theirs) = (pace.bytes_per_second(), victim.pace.bytes_per_second());
    if victim.ends.is_infinite() {
        return victim.rest.len();
    }
    let both = mine * theirs / (mine + theirs);
    Rate::new((victim.ends - start) * both).bytes_in(Duration::from_secs(1)).min(victim.rest.len())
}
