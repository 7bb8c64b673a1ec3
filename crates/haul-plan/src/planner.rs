use crate::config::Config;
use crate::gain::Gains;
use crate::grant::Sums;
use crate::lease::{Lease, LeaseId};
use crate::output::{Arrival, Cause, Output, Setback};
use crate::rate::Rate;
use crate::worker::{LaneTrial, Standing, Worker, WorkerFacts, WorkerId};
use haul_span::{Span, SpanSet};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The state of one job: what was received, who fetches what, and what is left.
#[derive(Clone, Debug)]
pub struct Planner {
    pub(crate) config: Config,
    size: u64,
    pub(crate) received: SpanSet,
    pub(crate) pending: SpanSet,
    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    outputs: VecDeque<Output>,
    pub(crate) next_lease: u32,
    /// Bytes that were granted to a second requester.
    pub(crate) duplicated: u64,
    pub(crate) gains: Gains,
    pub(crate) sums: Sums,
    last_wake: Duration,
    complete: bool,
}

impl Planner {
    /// Plans a file of `size` bytes of which `received` are there already.
    pub fn new(size: u64, mut received: SpanSet, config: Config) -> Self {
        if let Some(beyond) = Span::new(size, u64::MAX) {
            received.remove(beyond);
        }
        let pending = Span::new(0, size).into_iter().flat_map(|file| received.gaps(file)).collect();
        let mut planner = Self {
            config,
            size,
            received,
            pending,
            leases: BTreeMap::new(),
            workers: BTreeMap::new(),
            outputs: VecDeque::new(),
            next_lease: 0,
            duplicated: 0,
            gains: Gains::default(),
            sums: Sums::default(),
            last_wake: Duration::ZERO,
            complete: false,
        };
        planner.note_complete();
        planner
    }

    /// A worker joins that may use up to `lanes` lanes. A known id is ignored.
    pub fn join(&mut self, now: Duration, worker: WorkerId, lanes: u8) {
        let most = lanes.max(1);
        self.add(now, worker, Worker::new(now, most.min(2), most, self.config.lane_trial));
    }

    /// The leader's own link joins, which is never released for being slow. Where the probe's
    /// response is still open, `open_at` is the byte at which it stands.
    pub fn join_own(&mut self, now: Duration, worker: WorkerId, lanes: u8, open_at: Option<u64>) {
        let mut own = Worker::new(now, 1, lanes.max(1), self.config.lane_trial / 3);
        own.own = true;
        own.open_at = open_at;
        self.add(now, worker, own);
    }

    /// A worker uses this many of its lanes at once, and does not wait to see what each gains: for one
    /// that reads from several places.
    pub fn widen(&mut self, now: Duration, worker: WorkerId, lanes: u8) {
        let Some(state) = self.workers.get_mut(&worker) else { return };
        let lanes = lanes.min(state.lanes.most());
        if lanes > state.lanes.now {
            self.set_lanes(now, worker, lanes);
        }
    }

    /// A worker offers up to `lanes` lanes from now on, 1 or more, whatever it offered before: a helper
    /// does whose number of leaders has changed. With fewer, what its other lanes held waits
    /// until a lane is free for it; with more, they are tried again.
    pub fn cap_lanes(&mut self, now: Duration, worker: WorkerId, lanes: u8) {
        let Some(state) = self.workers.get_mut(&worker) else { return };
        let former = std::mem::replace(&mut state.lanes.offered, lanes.max(1));
        self.gains.note_change(now);
        let most = state.lanes.most();
        let least = if state.own { 1 } else { most.min(2) };
        let fitting = state.lanes.now.clamp(least, most);
        if lanes > former || fitting < state.lanes.now {
            let until = now + self.config.lane_trial;
            state.lanes.trial = LaneTrial::Settling { until };
        }
        if fitting != state.lanes.now {
            self.set_lanes(now, worker, fitting);
        }
    }

    /// A worker is gone; what it held is pending again.
    pub fn leave(&mut self, now: Duration, worker: WorkerId) {
        if self.remove(now, worker) {
            self.fill(now);
        }
    }

    /// Bytes of a lease arrived, in order.
    pub fn arrive(&mut self, now: Duration, worker: WorkerId, id: LeaseId, span: Span) -> Arrival {
        let Some(state) = self.workers.get_mut(&worker) else {
            return Arrival { fresh: None, wasted: span.len() };
        };
        state.meter.add(now, span.len());
        let leased = self.leases.get_mut(&id).filter(|lease| lease.worker == worker);
        let inside = leased.and_then(|lease| lease.take(now, span));
        let fresh = inside.and_then(|inside| self.received.gaps(inside).next());
        let wasted = span.len() - fresh.map_or(0, Span::len);
        let mut is_first = false;
        if inside.is_some() {
            state.failures = 0;
            is_first = state.last_byte.replace(now).is_none();
        }
        if let Some(fresh) = fresh {
            self.received.insert(fresh);
        }
        self.settle(now, id);
        if is_first && !self.complete {
            self.fill(now);
        }
        Arrival { fresh, wasted }
    }

    /// A worker says that it sent all of a lease; if bytes are missing, that is a failure.
    pub fn done(&mut self, now: Duration, worker: WorkerId, lease: LeaseId) {
        self.fail(now, worker, lease, Setback::Passing);
    }

    /// A worker gives a lease up where its bytes ended.
    pub fn fail(&mut self, now: Duration, worker: WorkerId, id: LeaseId, setback: Setback) {
        let Some(lease) = self.leases.get(&id).filter(|lease| lease.worker == worker) else {
            return;
        };
        let rest = lease.missing();
        self.end(now, id);
        if self.set_back(now, worker, rest, setback) {
            self.release(now, worker, Cause::Failed);
        }
        self.fill(now);
    }

    /// Bytes that this worker delivered failed their check and are not received after all.
    pub fn spoil(&mut self, now: Duration, worker: WorkerId, span: Span) {
        if let Some(state) = self.workers.get_mut(&worker) {
            state.strikes += 1;
            state.refused.insert(span);
            if state.strikes >= self.config.strikes_max {
                self.release(now, worker, Cause::Spoiled);
            }
        }
        self.forget(now, span);
    }

    /// Bytes are not received after all, whoever is to blame.
    pub fn forget(&mut self, now: Duration, span: Span) {
        let Some(span) = span.before(self.size) else { return };
        let parts: Vec<Span> = self.received.parts(span).collect();
        self.received.remove(span);
        self.pending.extend(parts);
        self.complete = self.received.bytes() == self.size;
        if self.workers.is_empty() && !self.complete {
            self.emit(Output::Stuck);
        }
        self.fill(now);
    }

    /// Lets time pass; call it at [`Planner::wake_at`].
    pub fn wake(&mut self, now: Duration) {
        self.last_wake = now;
        if !self.complete {
            self.add_up();
            self.check_health(now);
            self.check_gains(now);
            self.fill(now);
        }
    }

    /// When [`Planner::wake`] is due, or `None` once nothing is left to wait for.
    pub fn wake_at(&self) -> Option<Duration> {
        let idle = self.complete || self.workers.is_empty();
        (!idle).then(|| self.last_wake + self.config.tick)
    }

    /// The next thing to do; drain it after every mutation.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Length of the file, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What was received and not found bad.
    pub const fn received(&self) -> &SpanSet {
        &self.received
    }

    /// What nobody has received or leased.
    pub const fn pending(&self) -> &SpanSet {
        &self.pending
    }

    /// No byte is expected of a worker before `from`, although it fetches: something else keeps it
    /// from passing on what it has.
    pub fn expect_from(&mut self, now: Duration, worker: WorkerId, from: Duration) {
        let Some(state) = self.workers.get_mut(&worker) else { return };
        state.expected_from = from;
        if from <= now {
            state.meter.resume(now);
        }
    }

    /// The leases that are out: whose, and what has not arrived of each.
    pub fn leases(&self) -> impl Iterator<Item = (LeaseId, WorkerId, Span)> + '_ {
        self.leases.iter().filter_map(|(&id, lease)| Some((id, lease.worker, lease.missing()?)))
    }

    /// How long the rest takes at the rates of all workers that are trusted to deliver; `None`
    /// while none of them is known.
    pub fn time_left(&self) -> Option<Duration> {
        let good = self.workers.values().filter(|worker| worker.standing == Standing::Good);
        let total: Rate = good.filter_map(Worker::rate).sum();
        Duration::try_from_secs_f64(total.seconds_for(self.size - self.received.bytes()))
            .ok()
            .filter(|_| total > Rate::ZERO)
    }

    /// How a worker is doing, while it takes part.
    pub fn facts(&self, worker: WorkerId) -> Option<WorkerFacts> {
        self.workers.get(&worker).map(Worker::facts)
    }

    fn add(&mut self, now: Duration, id: WorkerId, worker: Worker) {
        let lanes = worker.lanes.now;
        if self.workers.contains_key(&id) {
            return;
        }
        self.workers.insert(id, worker);
        self.emit(Output::Lanes { worker: id, lanes });
        self.fill(now);
    }

    fn set_lanes(&mut self, now: Duration, worker: WorkerId, lanes: u8) {
        let Some(state) = self.workers.get_mut(&worker) else { return };
        state.lanes.now = lanes;
        self.tell_lanes(now, worker, lanes);
        self.fill(now);
    }

    /// Says how many lanes a worker has from now on, of which each takes a lease.
    pub(crate) fn tell_lanes(&mut self, now: Duration, worker: WorkerId, lanes: u8) {
        self.emit(Output::Lanes { worker, lanes });
        self.stop_inactive(worker);
        self.begin_active(now, worker);
    }

    pub(crate) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Leases `span` to `worker`, who must exist.
    pub(crate) fn lease(&mut self, now: Duration, worker: WorkerId, span: Span) -> LeaseId {
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(lease, Lease::new(worker, span));
        if let Some(state) = self.workers.get_mut(&worker) {
            state.take(now, lease);
        }
        self.begin_active(now, worker);
        self.emit(Output::Grant { worker, lease, span });
        lease
    }

    /// Ends a lease without a word to its worker; what is missing of it is pending again.
    pub(crate) fn end(&mut self, now: Duration, id: LeaseId) -> Option<WorkerId> {
        let lease = self.leases.remove(&id)?;
        let twin = lease.twin.and_then(|twin| self.leases.get_mut(&twin));
        let until = twin.map_or(u64::MAX, |twin| {
            twin.twin = None;
            twin.missing().map_or(u64::MAX, Span::start)
        });
        if let Some(missing) = lease.missing().and_then(|rest| rest.before(until)) {
            let gaps: Vec<Span> = self.received.gaps(missing).collect();
            self.pending.extend(gaps);
        }
        if let Some(state) = self.workers.get_mut(&lease.worker) {
            state.leases.retain(|&held| held != id);
        }
        self.begin_active(now, lease.worker);
        Some(lease.worker)
    }

    /// Takes a lease back; what is missing of it is pending again.
    pub(crate) fn revoke(&mut self, now: Duration, id: LeaseId) {
        if let Some(worker) = self.end(now, id) {
            self.emit(Output::Revoke { worker, lease: id });
        }
    }

    /// Ends a worker's part and says so.
    pub(crate) fn release(&mut self, now: Duration, worker: WorkerId, cause: Cause) {
        self.emit(Output::Release { worker, cause });
        self.remove(now, worker);
    }

    /// Starts the clock of every lease that a lane is free for.
    pub(crate) fn begin_active(&mut self, now: Duration, worker: WorkerId) {
        let Some(state) = self.workers.get(&worker) else { return };
        for id in self.active(state) {
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.begin(now);
            }
        }
    }

    /// Stops the clock of every lease that no lane is free for any more.
    fn stop_inactive(&mut self, worker: WorkerId) {
        let Some(state) = self.workers.get(&worker) else { return };
        let active = self.active(state);
        for id in state.leases.iter().filter(|id| !active.contains(id)) {
            if let Some(lease) = self.leases.get_mut(id) {
                lease.wait();
            }
        }
    }

    /// The leases that lanes of the worker are at work on: the first ones, but of those that go on
    /// in the open response only one at a time.
    pub(crate) fn active(&self, worker: &Worker) -> Vec<LeaseId> {
        let mut open = false;
        let mut waits = move |id| self.is_open(id) && std::mem::replace(&mut open, true);
        let leases = worker.leases.iter().copied().filter(move |&id| !waits(id));
        leases.take(worker.lanes.now.into()).collect()
    }

    fn remove(&mut self, now: Duration, worker: WorkerId) -> bool {
        let Some(state) = self.workers.get(&worker) else { return false };
        for id in state.leases.clone() {
            self.end(now, id);
        }
        self.workers.remove(&worker);
        if self.workers.is_empty() && !self.complete {
            self.emit(Output::Stuck);
        }
        true
    }

    /// Draws the conclusions from bytes that arrived for a lease.
    fn settle(&mut self, now: Duration, id: LeaseId) {
        let Some(lease) = self.leases.get(&id) else { return };
        let (worker, finished) = (lease.worker, lease.missing().is_none());
        if let Some(twin) = lease.twin.filter(|twin| self.is_useless(*twin)) {
            self.revoke(now, twin);
        }
        if finished {
            self.end(now, id);
            if let Some(state) = self.workers.get_mut(&worker) {
                state.standing = Standing::Good;
            }
        }
        self.note_complete();
        if finished && !self.complete {
            self.fill(now);
        }
    }

    fn is_useless(&self, id: LeaseId) -> bool {
        let rest = self.leases.get(&id).and_then(Lease::missing);
        rest.is_none_or(|rest| self.received.contains(rest))
    }

    fn note_complete(&mut self) {
        if !self.complete && self.received.bytes() == self.size {
            self.complete = true;
            self.emit(Output::Complete);
        }
    }
}
