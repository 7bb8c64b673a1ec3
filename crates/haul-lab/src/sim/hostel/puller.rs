use super::STEP;
use crate::sim::chance::Chance;
use haul_plan::{LeaseId, Output};
use haul_span::Span;
use std::collections::VecDeque;
use std::time::Duration;

/// Between these a round trip to the origin is, leader's request and all, in seconds.
pub(crate) const TRIP: (f64, f64) = (0.04, 0.1);

/// How often what a lane has read is handed on.
const HAND_ON: Duration = Duration::from_millis(100);

/// What a leader has fetched over one link: lanes, and leases that wait for one.
#[derive(Clone, Debug)]
pub(crate) struct Puller {
    lanes: Vec<Work>,
    wanted: usize,
    /// How many connections there are already.
    connections: usize,
    queue: VecDeque<(LeaseId, Span)>,
    trips: Chance,
}

#[derive(Clone, Debug)]
struct Work {
    lease: LeaseId,
    /// What is to be read still.
    at: u64,
    end: u64,
    handed_on: u64,
    handed_on_at: Duration,
    starts: Duration,
}

impl Puller {
    pub(crate) fn new(trips: Chance) -> Self {
        Self { lanes: Vec::new(), wanted: 0, connections: 0, queue: VecDeque::new(), trips }
    }

    pub(crate) fn obey(&mut self, now: Duration, output: &Output) {
        match *output {
            Output::Grant { lease, span, .. } => self.queue.push_back((lease, span)),
            Output::Trim { lease, end, .. } => self.trim(lease, end),
            Output::Revoke { lease, .. } => self.trim(lease, 0),
            Output::Lanes { lanes, .. } => self.wanted = lanes.into(),
            Output::Release { .. } | Output::Stuck | Output::Complete => {}
        }
        self.start(now);
    }

    fn trim(&mut self, lease: LeaseId, end: u64) {
        self.queue.retain_mut(|(held, span)| {
            let kept = if *held == lease { span.before(end) } else { Some(*span) };
            kept.map(|kept| *span = kept).is_some()
        });
        self.lanes.iter_mut().filter(|work| work.lease == lease).for_each(|work| {
            work.end = work.end.min(end.max(work.at));
        });
        if end == 0 {
            self.lanes.retain(|work| work.lease != lease);
        }
    }

    /// Lets every free lane take the next lease.
    fn start(&mut self, now: Duration) {
        while self.lanes.len() < self.wanted {
            let Some((lease, span)) = self.queue.pop_front() else { return };
            let trip = Duration::from_secs_f64(self.trips.between(TRIP.0, TRIP.1));
            let is_new = self.lanes.len() >= self.connections;
            self.connections = self.connections.max(self.lanes.len() + 1);
            let starts = now + if is_new { 2 * trip } else { trip };
            let (at, end) = (span.start(), span.end());
            let handed_on = at;
            self.lanes.push(Work { lease, at, end, handed_on, handed_on_at: starts, starts });
        }
    }

    /// Whether bytes would come now.
    pub(crate) fn flows(&self, now: Duration) -> bool {
        self.lanes.iter().any(|work| work.starts <= now && work.at < work.end)
    }

    /// Reads up to `bytes`, shared equally by the lanes; returns how many are left.
    pub(crate) fn read(&mut self, now: Duration, bytes: u64) -> u64 {
        let mut left = bytes;
        let mut flowing =
            self.lanes.iter_mut().filter(|work| work.starts <= now).collect::<Vec<_>>();
        flowing.sort_by_key(|work| work.end - work.at);
        let count = flowing.len() as u64;
        for (done, work) in (0..count).zip(flowing) {
            let part = (left / (count - done)).min(work.end - work.at);
            work.at += part;
            left -= part;
        }
        left
    }

    /// What is to be handed on now.
    pub(crate) fn hand_on(&mut self, now: Duration, parts: &mut Vec<(LeaseId, Span)>) {
        for work in &mut self.lanes {
            if work.at >= work.end || now >= work.handed_on_at + HAND_ON {
                parts.extend(Span::new(work.handed_on, work.at).map(|part| (work.lease, part)));
                (work.handed_on, work.handed_on_at) = (work.at, now);
            }
        }
        let busy = self.lanes.len();
        self.lanes.retain(|work| work.at < work.end);
        if self.lanes.len() < busy {
            self.start(now + STEP);
        }
    }
}
