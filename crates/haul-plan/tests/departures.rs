//! Workers fail spans, fall silent, leave and return, the leader's own link too: the others do
//! their part.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_plan::{Config, LeaseId, Output, Planner, Setback, WorkerId};
use haul_span::{Span, SpanSet};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const OWN: WorkerId = WorkerId(0);
const STEP: Duration = Duration::from_millis(20);

/// What an answering worker delivers in a step, in bytes.
const PACE: u64 = 64 << 10;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_span_that_a_worker_failed_is_left_to_the_others(
        elsewhere in any::<bool>(), delivered in 0..300_000u64, own_fails in any::<bool>()
    ) {
        let mut job = Job::of(24 << 20, 2);
        let (fails, other) = if own_fails { (OWN, WorkerId(1)) } else { (WorkerId(1), OWN) };
        let (lease, rest) = job.first_lease_of(fails).unwrap();
        job.deliver(lease, delivered);
        let failed = rest.from(rest.start() + delivered).unwrap();
        let setback = if elsewhere { Setback::Elsewhere } else { Setback::Passing };
        job.fail(lease, setback);
        job.grants.clear();
        (0..100).for_each(|_| job.step(&[fails, other]));
        prop_assert!(!job.granted_to(fails).intersects(failed), "{failed} came back at once");
        job.run(&[fails, other]);
        prop_assert!(job.is_complete());
    }

    #[test]
    fn what_is_refused_to_all_is_tried_again_by_somebody(workers in 1..4u32) {
        let mut job = Job::of(24 << 20, workers);
        let all: Vec<WorkerId> = (0..workers).map(WorkerId).collect();
        for _ in 0..8 {
            for &worker in &all {
                if let Some((lease, _)) = job.first_lease_of(worker) {
                    job.fail(lease, Setback::Elsewhere);
                }
            }
            (0..200).for_each(|_| job.step(&[]));
        }
        job.run(&all);
        prop_assert!(job.is_complete(), "{:?}", job.planner.pending());
    }

    #[test]
    fn whoever_falls_silent_the_others_end_the_job(
        silent in prop::collection::btree_set(0..4u32, 1..4), after in 0..200usize
    ) {
        let mut job = Job::of(24 << 20, 4);
        let all: Vec<WorkerId> = (0..4).map(WorkerId).collect();
        for _ in 0..after {
            job.step(&all);
        }
        let answering: Vec<WorkerId> =
            all.into_iter().filter(|worker| !silent.contains(&worker.0)).collect();
        job.run(&answering);
        prop_assert!(job.is_complete(), "{:?}", job.planner.leases().collect::<Vec<_>>());
    }

    #[test]
    fn who_left_and_returns_is_given_work_again(away in 1..200u32, leaver in 0..3u32) {
        let mut job = Job::of(64 << 20, 3);
        let all: Vec<WorkerId> = (0..3).map(WorkerId).collect();
        (0..20).for_each(|_| job.step(&all));
        job.leave(WorkerId(leaver));
        let others: Vec<WorkerId> = all.iter().copied().filter(|it| it.0 != leaver).collect();
        (0..away).for_each(|_| job.step(&others));
        let returned = WorkerId(100);
        job.planner.join(job.now, returned, 8);
        job.drain();
        job.run(&[others[0], others[1], returned]);
        prop_assert!(job.is_complete());
        prop_assert!(away > 100 || !job.granted_to(returned).is_empty());
    }
}

#[test]
fn a_worker_that_is_widened_is_given_leases_for_each_lane_at_once() {
    let mut job = Job::of(64 << 20, 1);
    let one = job.leases.len();
    job.planner.widen(job.now, OWN, 3);
    job.drain();
    assert_eq!(job.leases.len(), 3 * one);
    for lanes in [1, 200] {
        job.planner.widen(job.now, OWN, lanes);
    }
    job.drain();
    assert_eq!(job.leases.len(), 8 * one, "never fewer, and never more than it may use");
    job.run(&[OWN]);
    assert!(job.is_complete());
}

/// A planner, and workers that deliver when they are asked to.
struct Job {
    planner: Planner,
    now: Duration,
    leases: BTreeMap<LeaseId, (WorkerId, Span)>,
    grants: Vec<(WorkerId, Span)>,
}

impl Job {
    fn of(size: u64, workers: u32) -> Self {
        let planner = Planner::new(size, SpanSet::new(), Config::default());
        let (leases, grants) = (BTreeMap::new(), Vec::new());
        let mut job = Self { planner, now: Duration::ZERO, leases, grants };
        job.planner.join_own(job.now, OWN, 8, Some(0));
        (1..workers).for_each(|worker| job.planner.join(job.now, WorkerId(worker), 8));
        job.drain();
        job
    }

    fn is_complete(&self) -> bool {
        self.planner.received().bytes() == self.planner.size()
    }

    fn first_lease_of(&self, worker: WorkerId) -> Option<(LeaseId, Span)> {
        let held = self.leases.iter().find(|(_, (holder, _))| *holder == worker);
        held.map(|(&lease, &(_, rest))| (lease, rest))
    }

    /// All that a worker was ever given.
    fn granted_to(&self, worker: WorkerId) -> SpanSet {
        let its = self.grants.iter().filter(|(holder, _)| *holder == worker);
        its.map(|&(_, span)| span).collect()
    }

    /// Lets these workers deliver until everything is there, or nothing more is to be expected.
    fn run(&mut self, answering: &[WorkerId]) {
        for _ in 0..20_000 {
            if self.is_complete() {
                return;
            }
            self.step(answering);
        }
    }

    fn step(&mut self, answering: &[WorkerId]) {
        for &worker in answering {
            let held = self.leases.iter().find(|(_, (holder, _))| *holder == worker);
            if let Some((&lease, _)) = held {
                self.deliver(lease, PACE);
            }
        }
        self.now += STEP;
        self.planner.wake(self.now);
        self.drain();
    }

    fn deliver(&mut self, lease: LeaseId, bytes: u64) {
        let (worker, rest) = self.leases[&lease];
        let Some(piece) = rest.first(bytes) else { return };
        match rest.from(piece.end()) {
            Some(rest) => self.leases.insert(lease, (worker, rest)),
            None => self.leases.remove(&lease),
        };
        self.planner.arrive(self.now, worker, lease, piece);
        self.drain();
    }

    fn fail(&mut self, lease: LeaseId, setback: Setback) {
        let (worker, _) = self.leases.remove(&lease).unwrap();
        self.planner.fail(self.now, worker, lease, setback);
        self.drain();
    }

    fn leave(&mut self, worker: WorkerId) {
        self.leases.retain(|_, (holder, _)| *holder != worker);
        self.planner.leave(self.now, worker);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.planner.poll_output() {
            match output {
                Output::Grant { worker, lease, span } => {
                    self.leases.insert(lease, (worker, span));
                    self.grants.push((worker, span));
                }
                Output::Trim { lease, end, .. } => {
                    let (worker, rest) = self.leases[&lease];
                    self.leases.insert(lease, (worker, rest.before(end).unwrap()));
                }
                Output::Revoke { lease, .. } => drop(self.leases.remove(&lease)),
                Output::Release { worker, .. } => {
                    self.leases.retain(|_, (holder, _)| *holder != worker);
                }
                Output::Lanes { .. } | Output::Stuck | Output::Complete => {}
            }
        }
    }
}
