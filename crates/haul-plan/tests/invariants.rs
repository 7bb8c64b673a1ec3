//! Whatever happens in whatever order, the planner keeps its books and never asks for nonsense.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_plan::{Config, LeaseId, Output, Planner, Setback, WorkerId};
use haul_span::{Span, SpanSet};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// What may happen; numbers choose among what exists at that moment.
#[derive(Clone, Copy, Debug)]
enum Step {
    Join { lanes: u8 },
    JoinOwn { open: bool },
    Leave(usize),
    Arrive { lease: usize, bytes: u64 },
    ArriveBeside { lease: usize, start: u64 },
    Fail { lease: usize, setback: u8 },
    Spoil { worker: usize, start: u64, bytes: u64 },
    Cap { worker: usize, lanes: u8 },
    Wait { millis: u64 },
}

/// A planner, and the leases that its outputs have put into the world.
struct World {
    planner: Planner,
    now: Duration,
    workers: Vec<WorkerId>,
    granted: BTreeMap<LeaseId, (WorkerId, Span)>,
    log: Vec<Output>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_byte_is_received_leased_or_pending_after_every_step(
        size in 0..40_000_000u64, steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut world = World::new(size);
        for step in steps {
            world.apply(step);
            world.check()?;
        }
    }

    #[test]
    fn the_same_steps_give_the_same_outputs(
        size in 0..40_000_000u64, steps in prop::collection::vec(step(), 1..60)
    ) {
        let run = || {
            let mut world = World::new(size);
            for &step in &steps {
                world.apply(step);
            }
            world.log
        };
        prop_assert_eq!(run(), run());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn if_one_worker_keeps_answering_the_job_ends(
        size in 1..40_000_000u64, steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut world = World::new(size);
        for step in steps {
            world.apply(step);
        }
        let steady = WorkerId(1_000_000);
        world.planner.join_own(world.now, steady, 4, None);
        world.drain();
        for _ in 0..4000 {
            if world.planner.received().bytes() == size {
                break;
            }
            world.serve(steady);
        }
        let missing = size - world.planner.received().bytes();
        prop_assert_eq!(missing, 0, "after {:?} {:?}", world.now, world.planner.leases().collect::<Vec<_>>());
    }
}

impl World {
    fn new(size: u64) -> Self {
        let mut world = Self {
            planner: Planner::new(size, SpanSet::new(), Config::default()),
            now: Duration::ZERO,
            workers: Vec::new(),
            granted: BTreeMap::new(),
            log: Vec::new(),
        };
        world.drain();
        world
    }

    fn apply(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Join { lanes } => {
                let id = self.new_worker();
                self.planner.join(now, id, lanes);
            }
            Step::JoinOwn { open } => {
                let id = self.new_worker();
                self.planner.join_own(now, id, 8, open.then_some(0));
            }
            Step::Leave(at) => {
                if let Some(id) = pick(&self.workers, at) {
                    self.planner.leave(now, id);
                    self.forget(id);
                }
            }
            Step::Arrive { lease, bytes } => self.deliver(lease, bytes),
            Step::ArriveBeside { lease, start } => {
                let picked = self.pick_lease(lease).filter(|(_, (_, rest))| rest.start() != start);
                if let Some((id, (worker, _))) = picked {
                    let beside = Span::of_len(start, 1000).unwrap();
                    assert_eq!(self.planner.arrive(now, worker, id, beside).fresh, None);
                }
            }
            Step::Fail { lease, setback } => {
                if let Some((id, (worker, _))) = self.pick_lease(lease) {
                    self.granted.remove(&id);
                    self.planner.fail(now, worker, id, setback_of(setback));
                }
            }
            Step::Spoil { worker, start, bytes } => {
                if let Some(id) = pick(&self.workers, worker) {
                    self.planner.spoil(now, id, Span::of_len(start, bytes).unwrap());
                }
            }
            Step::Cap { worker, lanes } => {
                if let Some(id) = pick(&self.workers, worker) {
                    self.planner.cap_lanes(now, id, lanes);
                }
            }
            Step::Wait { millis } => {
                self.now += Duration::from_millis(millis);
                self.planner.wake(self.now);
            }
        }
        self.drain();
    }

    fn deliver(&mut self, lease: usize, bytes: u64) {
        self.now += Duration::from_millis(1);
        if let Some((id, (worker, rest))) = self.pick_lease(lease) {
            let part = rest.first(bytes).unwrap();
            match rest.from(part.end()) {
                Some(rest) => self.granted.insert(id, (worker, rest)),
                None => self.granted.remove(&id),
            };
            self.planner.arrive(self.now, worker, id, part);
        }
    }

    /// One worker works off all that it holds, and time passes.
    fn serve(&mut self, worker: WorkerId) {
        let held = self.granted.iter().find(|(_, (holder, _))| *holder == worker);
        if let Some((&id, &(_, rest))) = held {
            self.granted.remove(&id);
            self.planner.arrive(self.now, worker, id, rest);
        }
        self.now += Duration::from_millis(50);
        self.planner.wake(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.planner.poll_output() {
            self.log.push(output.clone());
            match output {
                Output::Grant { worker, lease, span } => {
                    assert!(span.end() <= self.planner.size(), "a grant outside the file");
                    assert_eq!(
                        self.granted.insert(lease, (worker, span)),
                        None,
                        "a lease id used twice"
                    );
                }
                Output::Trim { worker, lease, end } => {
                    let (holder, rest) = self.granted[&lease];
                    assert_eq!(holder, worker);
                    self.granted.insert(lease, (holder, rest.before(end).unwrap()));
                }
                Output::Revoke { worker, lease } => {
                    assert_eq!(self.granted.remove(&lease).map(|(holder, _)| holder), Some(worker));
                }
                Output::Release { worker, .. } => self.forget(worker),
                Output::Lanes { lanes, .. } => assert!(lanes > 0),
                Output::Stuck => assert!(self.workers.is_empty()),
                Output::Complete => {}
            }
        }
    }

    fn forget(&mut self, worker: WorkerId) {
        self.workers.retain(|&id| id != worker);
        self.granted.retain(|_, (holder, _)| *holder != worker);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let planner = &self.planner;
        let mut leased = SpanSet::new();
        let mut held = 0;
        for (id, worker, rest) in planner.leases() {
            prop_assert!(self.workers.contains(&worker), "a lost worker holds a lease");
            prop_assert_eq!(
                self.granted.get(&id),
                Some(&(worker, rest)),
                "the world disagrees on {:?}",
                id
            );
            held += rest.len();
            leased.insert(rest);
        }
        prop_assert_eq!(planner.leases().count(), self.granted.len());
        let received = planner.received();
        for pending in planner.pending().iter() {
            prop_assert!(
                !received.intersects(pending) && !leased.intersects(pending),
                "{} twice",
                pending
            );
        }
        let mut all: SpanSet = received.iter().chain(planner.pending().iter()).collect();
        all.extend(leased.iter());
        prop_assert_eq!(all.bytes(), planner.size(), "bytes were lost");
        let doubled = held - leased.bytes();
        prop_assert!(doubled <= planner.size() / 100, "{} bytes are leased twice", doubled);
        Ok(())
    }

    fn new_worker(&mut self) -> WorkerId {
        let id = WorkerId(self.log.len() as u32 * 100 + self.workers.len() as u32);
        self.workers.push(id);
        id
    }

    fn pick_lease(&self, at: usize) -> Option<(LeaseId, (WorkerId, Span))> {
        let nth = at.checked_rem(self.granted.len())?;
        self.granted.iter().nth(nth).map(|(&id, &held)| (id, held))
    }
}

fn pick(workers: &[WorkerId], at: usize) -> Option<WorkerId> {
    workers.get(at.checked_rem(workers.len())?).copied()
}

fn setback_of(number: u8) -> Setback {
    match number % 8 {
        0..=3 => Setback::Passing,
        4 => Setback::Throttled { pause: Duration::from_secs(1) },
        5 | 6 => Setback::Elsewhere,
        _ => Setback::Fatal,
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..10u8).prop_map(|lanes| Step::Join { lanes }),
        1 => any::<bool>().prop_map(|open| Step::JoinOwn { open }),
        1 => any::<usize>().prop_map(Step::Leave),
        12 => (any::<usize>(), 1..4_000_000u64).prop_map(|(lease, bytes)| Step::Arrive { lease, bytes }),
        1 => (any::<usize>(), 0..50_000_000u64).prop_map(|(lease, start)| Step::ArriveBeside { lease, start }),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(lease, setback)| Step::Fail { lease, setback }),
        1 => (any::<usize>(), 0..40_000_000u64, 1..3_000_000u64)
            .prop_map(|(worker, start, bytes)| Step::Spoil { worker, start, bytes }),
        1 => (any::<usize>(), 0..10u8).prop_map(|(worker, lanes)| Step::Cap { worker, lanes }),
        4 => (0..4000u64).prop_map(|millis| Step::Wait { millis }),
    ]
}
