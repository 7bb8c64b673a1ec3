use super::chance::Chance;
use super::lane::{Lane, Word};
use super::link::Link;
use super::scenario::{self, Origin};
use haul_plan::{LeaseId, Output, WorkerId};
use haul_span::Span;
use std::collections::VecDeque;
use std::time::Duration;

/// How much a round trip differs from the usual, either way.
const JITTER: f64 = 0.25;

/// A machine that fetches what it is told to over its own link.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// As whom the planner knows it, while it takes part.
    pub(crate) worker: Option<WorkerId>,
    /// How often it joined.
    pub(crate) joined: u32,
    /// Whether it would take part.
    pub(crate) present: bool,
    pub(crate) link: Link,
    /// One way to or from the leader.
    pub(crate) lan: Duration,
    pub(crate) most_lanes: u8,
    /// Stored bytes that came from it.
    pub(crate) bytes: u64,
    /// Bytes that it fetched for nothing.
    pub(crate) wasted: f64,
    rtt: Duration,
    origin: Origin,
    lanes: Vec<Lane>,
    /// How many lanes may take a lease.
    wanted: usize,
    /// Leases that no lane has taken yet, in the order in which they were granted.
    queue: VecDeque<(LeaseId, Span)>,
    chance: Chance,
}

impl Machine {
    pub(crate) fn new(
        plan: &scenario::Machine,
        origin: Origin,
        streams: (Chance, Chance),
        probe: Option<u64>,
    ) -> Self {
        let rtt = plan.rtt.0;
        let own = probe.map(|size| Lane::probe(rtt, plan.joins.0, size));
        Self {
            worker: None,
            joined: 0,
            present: false,
            link: Link::new(plan.link.as_bytes_per_second() as f64, plan.change, streams.0),
            lan: if own.is_some() { Duration::ZERO } else { plan.lan.0 },
            most_lanes: plan.lanes,
            bytes: 0,
            wasted: 0.0,
            rtt,
            origin,
            lanes: own.into_iter().collect(),
            wanted: 0,
            queue: VecDeque::new(),
            chance: streams.1,
        }
    }

    /// Forgets all work.
    pub(crate) fn reset(&mut self) {
        self.worker = None;
        self.wanted = 0;
        self.lanes.clear();
        self.queue.clear();
    }

    /// What it could bring now with as many lanes as it may have, in bytes per second.
    pub(crate) fn capacity(&mut self, now: Duration) -> f64 {
        if !self.present {
            return 0.0;
        }
        let most = self.origin.connections.unwrap_or(usize::MAX).min(self.most_lanes.into());
        let lanes = self.connection_rate() * most as f64;
        self.pipe(now).min(lanes)
    }

    /// What its address gets now, in bytes per second.
    pub(crate) fn pipe(&mut self, now: Duration) -> f64 {
        let address = self.origin.address_rate.map(|rate| rate.as_bytes_per_second() as f64);
        self.link.rate(now).min(address.unwrap_or(f64::INFINITY))
    }

    /// Does what the planner says.
    pub(crate) fn obey(&mut self, now: Duration, output: &Output, words: &mut Vec<Word>) {
        match *output {
            Output::Grant { lease, span, .. } => self.queue.push_back((lease, span)),
            Output::Trim { lease, end, .. } => {
                let queued = self.queue.iter_mut().find(|(id, _)| *id == lease);
                if let Some((queued, rest)) = queued.and_then(|it| Some((it.1.before(end)?, it))) {
                    rest.1 = queued;
                }
                self.lanes.iter_mut().for_each(|lane| lane.trim(now, lease, end, words));
            }
            Output::Revoke { lease, .. } => {
                self.queue.retain(|(id, _)| *id != lease);
                self.lanes.iter_mut().for_each(|lane| lane.revoke(lease));
            }
            Output::Lanes { lanes, .. } => self.set_lanes(lanes.into()),
            Output::Release { .. } => self.reset(),
            Output::Stuck | Output::Complete => {}
        }
    }

    /// Lets every free lane take the next lease.
    pub(crate) fn start_lanes(&mut self, now: Duration) {
        for at in 0..self.wanted.min(self.lanes.len()) {
            let Some(next) = self.next_for(at).filter(|_| self.lanes[at].is_free()) else {
                continue;
            };
            let busy = self.lanes.iter().filter(|lane| !lane.is_free()).count();
            let trip = self.rtt.mul_f64(self.chance.between(1.0 - JITTER, 1.0 + JITTER));
            let Some((lease, span)) = self.queue.remove(next) else { continue };
            self.lanes[at].take(now, lease, span, trip);
            if self.origin.connections.is_some_and(|most| busy >= most) {
                self.lanes[at].refuse();
            }
        }
    }

    /// What each lane that takes bytes now could take, by its number, in bytes per second.
    pub(crate) fn limits(&self, now: Duration) -> impl Iterator<Item = (usize, f64)> {
        let most = self.connection_rate();
        let limits = self.lanes.iter().map(move |lane| lane.limit(now));
        limits.enumerate().filter_map(move |(at, limit)| Some((at, limit?.min(most))))
    }

    /// Lets one lane read, at zero or more bytes per second.
    pub(crate) fn read(
        &mut self,
        at: usize,
        now: Duration,
        time: Duration,
        rate: f64,
        words: &mut Vec<Word>,
    ) {
        self.wasted += self.lanes[at].read(now, time, rate, words);
    }

    /// How many lanes there are, at work or not.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn connection_rate(&self) -> f64 {
        let most = self.origin.connection_rate.map(|rate| rate.as_bytes_per_second() as f64);
        most.unwrap_or(f64::INFINITY)
    }

    fn set_lanes(&mut self, lanes: usize) {
        self.wanted = lanes;
        let missing = lanes.saturating_sub(self.lanes.len());
        self.lanes.extend(std::iter::repeat_n(Lane::new(self.rtt), missing));
    }

    /// Which queued lease a lane takes next: one that goes on in its open response, or else the
    /// first one that does not go on in another's.
    fn next_for(&self, at: usize) -> Option<usize> {
        let goes_on = |lane: &Lane, span: Span| lane.goes_on_at() == Some(span.start());
        let own = self.queue.iter().position(|(_, span)| goes_on(&self.lanes[at], *span));
        let free = |span: Span| !self.lanes.iter().any(|lane| goes_on(lane, span));
        own.or_else(|| self.queue.iter().position(|(_, span)| free(*span)))
    }
}
