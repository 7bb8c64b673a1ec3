//! Rules 2 to 4: how much a lease holds, where it starts, and who gets the next one.

use crate::lease::LeaseId;
use crate::planner::Planner;
use crate::rate::Rate;
use crate::worker::{Standing, Worker, WorkerId};
use haul_span::Span;
use std::time::Duration;

/// Leases end at multiples of this, in bytes, so that the store writes whole blocks.
pub(crate) const GRAIN: u64 = 16 << 10;

/// A lease is worth at least so many request gaps.
const LEAST_GAPS: u32 = 8;

/// The first lease is so many times the work that the others' rates lead to expect of a lane: a
/// newcomer may well be faster than they are.
const GUESSED: u32 = 2;

/// The rate of a worker of which nothing is known and nobody else can be compared with.
const GUESS: f64 = 1_048_576.0;

/// What follows from all workers' rates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// What is expected of a worker whose rate is not known; never zero once it was added up.
    expected: Rate,
    total: Rate,
}

impl Planner {
    /// Gives every worker that wants one a lease: pending bytes first, then stolen ones.
    pub(crate) fn fill(&mut self, now: Duration) {
        self.add_up();
        let mut hungry = self.hungry(now);
        while !self.pending.is_empty() {
            let Some(at) = self.hungriest(&hungry) else { return };
            let worker = hungry[at];
            let granted = self.grant_pending(now, worker);
            if !granted || !self.is_hungry(now, worker) {
                hungry.swap_remove(at);
            }
        }
        self.steal_for(now, hungry);
    }

    fn hungry(&self, now: Duration) -> Vec<WorkerId> {
        self.workers.keys().copied().filter(|&worker| self.is_hungry(now, worker)).collect()
    }

    pub(crate) fn is_hungry(&self, now: Duration, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&id) else { return false };
        let room = worker.leases.len() < worker.wanted();
        room && !worker.is_paused(now) && !self.is_suspect(now, worker)
    }

    /// Whether nothing comes from the worker any more, on any lease.
    pub(crate) fn is_suspect(&self, now: Duration, worker: &Worker) -> bool {
        worker.silence(now) >= self.config.suspect_after
    }

    /// The one whose lanes run dry first: fewest leases for its lanes, then lowest id. Who is on
    /// probation comes after everybody else.
    fn hungriest(&self, hungry: &[WorkerId]) -> Option<usize> {
        let fullness = |worker: &Worker| worker.leases.len() * 256 / worker.wanted();
        let order = |worker: &Worker| (worker.standing != Standing::Good, fullness(worker));
        (0..hungry.len()).min_by_key(|&at| (self.workers.get(&hungry[at]).map(order), hungry[at]))
    }

    fn grant_pending(&mut self, now: Duration, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&id) else { return false };
        let len = self.staggered(self.lease_len(worker));
        let open = self.open_span(worker);
        let Some(room) = open.or_else(|| self.room(now, id, len)) else { return false };
        let span = self.sized(room, len);
        self.pending.remove(span);
        let lease = self.lease(now, id, span);
        if open.is_some() {
            self.note_open(id, lease, span.end());
        }
        true
    }

    /// Rule 3.
    fn lease_len(&self, worker: &Worker) -> u64 {
        let lane = self.lane_rate(worker);
        let share = lane.of(self.total_rate()) / 2.0;
        let fair = Rate::new(self.pending.bytes() as f64 * share).bytes_in(Duration::from_secs(1));
        let least = lane.bytes_in(LEAST_GAPS * self.config.request_gap).max(self.config.lease_min);
        let proven = worker.standing == Standing::Good && worker.rate().is_some();
        let worth = if proven {
            lane.bytes_in(self.config.lease_time)
        } else {
            lane.bytes_in(GUESSED * self.config.lease_time).min(self.config.lease_first)
        };
        fair.max(least).min(worth).clamp(self.config.lease_min, self.config.lease_max)
    }

    /// Up to a quarter less, differently for each lease: lanes of one worker that end their leases
    /// at once would all wait for their next requests at once.
    fn staggered(&self, len: u64) -> u64 {
        let scattered = u64::from(self.next_lease.wrapping_mul(0x9E37_79B9) >> 24);
        (len - len / 1024 * scattered).max(self.config.lease_min)
    }

    /// The front of `room`, about `len` long, ending on a grain; a crumb behind it comes along.
    fn sized(&self, room: Span, len: u64) -> Span {
        let end = room.start().saturating_add(len);
        let on_grain = room.before(end - end % GRAIN).unwrap_or(room);
        let crumb = room.end() - on_grain.end();
        if crumb < self.config.lease_min / 2 { room } else { on_grain }
    }

    /// Rule 4, for the worker that holds the open response: up to two leases ahead of it.
    fn open_span(&self, worker: &Worker) -> Option<Span> {
        let at = worker.open_at?;
        if worker.leases.iter().filter(|id| self.is_open(**id)).count() >= 2 {
            return None;
        }
        self.pending.at_or_after(at).filter(|span| span.contains(at)).and_then(|span| span.from(at))
    }

    pub(crate) fn is_open(&self, id: LeaseId) -> bool {
        self.leases.get(&id).is_some_and(|lease| lease.open)
    }

    fn note_open(&mut self, worker: WorkerId, lease: LeaseId, end: u64) {
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.open = true;
        }
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.open_at = Some(end);
        }
    }

    /// Rule 4, for everybody else: the lowest pending bytes outside the open response's share, or
    /// else the last ones inside it. What the origin refused this worker comes after all that,
    /// and only when nobody else could take it (rule 9).
    fn room(&self, now: Duration, id: WorkerId, len: u64) -> Option<Span> {
        let worker = self.workers.get(&id)?;
        let reserved = self.reserved();
        let inside = || {
            let last = self.pending.parts(reserved?).last()?;
            worker.refused.gaps(last.from(last.end().saturating_sub(len))?).next()
        };
        let refused = || {
            let mut pieces = self.pending.iter().flat_map(|part| worker.refused.parts(part));
            pieces.find(|&piece| !self.others_take(now, id, piece))
        };
        self.outside(worker, reserved, len).or_else(inside).or_else(refused)
    }

    /// The lowest pending bytes outside `reserved`. As that shrinks its edge moves, and what it
    /// lets go is left alone until it holds a lease of `len`: scraps would cost a request each.
    fn outside(&self, worker: &Worker, reserved: Option<Span>, len: u64) -> Option<Span> {
        let (at, edge) = reserved.map_or((0, 0), |reserved| (reserved.start(), reserved.end()));
        let sides = [Span::new(0, at), Span::new(edge, self.size())];
        let holes = || {
            let pending = sides.iter().flatten().flat_map(|&side| self.pending.parts(side));
            pending.flat_map(|part| worker.refused.gaps(part))
        };
        let scrap = |hole: &Span| edge > 0 && hole.start() == edge && hole.len() < len;
        holes().find(|hole| !scrap(hole)).or_else(|| holes().next())
    }

    /// The pending bytes that are kept for the open response.
    fn reserved(&self) -> Option<Span> {
        let (worker, at) =
            self.workers.values().find_map(|worker| Some((worker, worker.open_at?)))?;
        let share = self.lane_rate(worker).of(self.total_rate());
        let bytes = Rate::new(self.pending.bytes() as f64 * share).bytes_in(Duration::from_secs(1));
        Span::of_len(at, bytes.min(self.config.open_reserve).min(self.pending.run_from(at)))
    }

    pub(crate) fn lane_rate(&self, worker: &Worker) -> Rate {
        self.rate_of(worker).shared(usize::from(worker.lanes.now))
    }

    /// What all bring together who are not waiting out a failure or proving themselves.
    pub(crate) const fn total_rate(&self) -> Rate {
        self.sums.total
    }

    /// Adds up rates once for all that is decided at one moment.
    pub(crate) fn add_up(&mut self) {
        let rates = self.workers.values().filter_map(known_rate);
        let (sum, count) = rates
            .fold((Rate::ZERO, 0), |(sum, count), rate| ([sum, rate].into_iter().sum(), count + 1));
        self.sums.expected = if count == 0 { Rate::new(GUESS) } else { sum.shared(count) };
        let good = self.workers.values().filter(|worker| worker.standing == Standing::Good);
        self.sums.total = good.map(|worker| self.rate_of(worker)).sum();
    }

    /// The worker's rate, or what the others lead to expect of it; never zero.
    fn rate_of(&self, worker: &Worker) -> Rate {
        known_rate(worker).unwrap_or(self.sums.expected)
    }

    /// Whether anybody but `id` could take pending bytes at once.
    pub(crate) fn others_could(&self, now: Duration, id: WorkerId) -> bool {
        self.able_others(now, id).next().is_some()
    }

    /// Whether anybody but `id` could take this at once, and was not refused all of it.
    fn others_take(&self, now: Duration, id: WorkerId, span: Span) -> bool {
        self.able_others(now, id).any(|worker| !worker.refused.contains(span))
    }

    fn able_others(&self, now: Duration, id: WorkerId) -> impl Iterator<Item = &Worker> {
        let others = self.workers.iter().filter(move |&(&other, _)| other != id);
        let able =
            move |worker: &&Worker| !worker.is_paused(now) && worker.standing == Standing::Good;
        others.map(|(_, worker)| worker).filter(able)
    }
}

fn known_rate(worker: &Worker) -> Option<Rate> {
    worker.rate().filter(|rate| *rate > Rate::ZERO)
}
