//! Helpers that serve other leaders too are taken for what they are: their rates and lanes change,
//! and nobody is blamed for it.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test may panic, and rates are fluids"
)]

use haul_plan::{Config, LeaseId, Output, Planner, WorkerId};
use haul_span::{Span, SpanSet};
use proptest::prelude::*;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(20);

/// A worker alone on its link has so many bytes per second.
const LINK: f64 = 2e6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn helpers_whose_rates_step_down_and_up_are_neither_stalled_nor_released(
        seed in any::<u64>(), helpers in 1..6u32, together in any::<bool>(), own_wanders in any::<bool>()
    ) {
        let mut job = Job::of(helpers + 1, f64::INFINITY);
        let mut draws = Draws(seed);
        for _ in 0..20 {
            let share = 1.0 / draws.between(1, 5) as f64;
            for helper in 1..=helpers {
                let own_share = 1.0 / draws.between(1, 5) as f64;
                job.share(helper, if together { share } else { own_share });
            }
            if own_wanders {
                job.share(0, draws.between(80, 121) as f64 / 100.0);
            }
            job.run(Duration::from_millis(500 + draws.between(0, 5000)));
        }
        prop_assert_eq!(&job.released, &[], "released");
        prop_assert!(own_wanders || job.revoked == 0, "{} leases were taken back", job.revoked);
    }

    #[test]
    fn lanes_that_are_capped_hold_their_leases_and_are_never_more(
        seed in any::<u64>(), silent_beyond in any::<bool>()
    ) {
        let mut job = Job::of(3, if silent_beyond { f64::INFINITY } else { LINK / 8.0 });
        let mut draws = Draws(seed);
        for _ in 0..20 {
            job.run(Duration::from_millis(draws.between(100, 5000)));
            let (helper, lanes) = (draws.between(1, 3) as u32, draws.between(1, 9) as u8);
            job.cap(helper, lanes);
            prop_assert!(job.workers[helper as usize].lanes <= lanes.into());
        }
        prop_assert_eq!(job.revoked, 0, "leases were taken back");
        prop_assert_eq!(&job.released, &[], "released");
    }

    #[test]
    fn lanes_that_were_tried_while_the_rate_fell_are_tried_again(fell_at in 0..6000u64, part in 2..5u8) {
        let mut job = Job::of(2, LINK / 16.0);
        job.run(Duration::from_millis(fell_at));
        job.workers[1].lane_rate /= f64::from(part);
        job.run(Duration::from_secs(40));
        prop_assert_eq!(job.workers[1].lanes, 8);
    }
}

#[test]
fn lanes_that_are_offered_again_are_used_again() {
    let mut job = Job::of(2, LINK / 16.0);
    job.run(Duration::from_secs(10));
    assert_eq!(job.workers[1].lanes, 8);
    job.cap(1, 1);
    assert_eq!(job.workers[1].lanes, 1);
    job.run(Duration::from_secs(10));
    assert_eq!(job.workers[1].lanes, 1);
    job.cap(1, 8);
    assert_eq!(job.workers[1].lanes, 2, "a lane works while the other waits for its request");
    job.run(Duration::from_secs(10));
    assert_eq!(job.workers[1].lanes, 8);
}

#[test]
fn worker_of_which_nothing_is_expected_yet_keeps_its_leases_and_then_must_bring_something() {
    let second = Duration::from_secs(1);
    let mut planner = Planner::new(64 << 20, SpanSet::new(), Config::default());
    planner.join_own(Duration::ZERO, WorkerId(0), 1, None);
    planner.join(Duration::ZERO, WorkerId(1), 2);
    planner.expect_from(Duration::ZERO, WorkerId(1), 5 * second);
    let mut revoked_at = None;
    for step in 1..500 {
        let now = STEP * step;
        while let Some(output) = planner.poll_output() {
            if matches!(output, Output::Revoke { worker: WorkerId(1), .. }) {
                revoked_at.get_or_insert(now);
            }
        }
        let own: Vec<(LeaseId, Span)> = planner
            .leases()
            .filter(|lease| lease.1 == WorkerId(0))
            .map(|it| (it.0, it.2))
            .collect();
        if let Some((lease, span)) = own.first() {
            planner.arrive(now, WorkerId(0), *lease, span.first(1024).unwrap());
        }
        planner.wake(now);
    }
    let revoked_at = revoked_at.unwrap();
    assert!(revoked_at >= 8 * second && revoked_at < 9 * second, "{revoked_at:?}");
}

#[test]
fn time_left_is_what_is_missing_over_what_all_bring() {
    let mut job = Job::of(4, f64::INFINITY);
    assert_eq!(job.planner.time_left(), None, "nothing came yet");
    job.run(Duration::from_secs(10));
    let missing = job.planner.size() - job.planner.received().bytes();
    let expected = missing as f64 / (4.0 * LINK);
    let left = job.planner.time_left().unwrap().as_secs_f64();
    assert!((left / expected - 1.0).abs() < 0.05, "{left} for {expected}");
}

/// A planner whose file does not end, and workers whose lanes share a link.
struct Job {
    planner: Planner,
    now: Duration,
    workers: Vec<Worker>,
    released: Vec<WorkerId>,
    revoked: u32,
}

struct Worker {
    lanes: usize,
    rate: f64,
    /// The most that one lane brings.
    lane_rate: f64,
    leases: Vec<(LeaseId, Span)>,
}

impl Job {
    fn of(workers: u32, lane_rate: f64) -> Self {
        let planner = Planner::new(1 << 40, SpanSet::new(), Config::default());
        let worker = |_| Worker { lanes: 0, rate: LINK, lane_rate, leases: Vec::new() };
        let workers_of = (0..workers).map(worker).collect();
        let (now, released) = (Duration::ZERO, Vec::new());
        let mut job = Self { planner, now, workers: workers_of, released, revoked: 0 };
        job.planner.join_own(job.now, WorkerId(0), 8, None);
        (1..workers).for_each(|worker| job.planner.join(job.now, WorkerId(worker), 8));
        job.drain();
        job
    }

    fn share(&mut self, worker: u32, share: f64) {
        self.workers[worker as usize].rate = LINK * share;
    }

    fn cap(&mut self, worker: u32, lanes: u8) {
        self.planner.cap_lanes(self.now, WorkerId(worker), lanes);
        self.drain();
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            for worker in 0..self.workers.len() {
                self.deliver(worker);
            }
            self.planner.wake(self.now);
            self.drain();
        }
    }

    fn deliver(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        let flowing = worker.lanes.min(worker.leases.len());
        let lane_rate = (worker.rate / flowing as f64).min(worker.lane_rate);
        let bytes = (lane_rate * STEP.as_secs_f64()) as u64;
        let mut pieces = Vec::new();
        for (lease, rest) in worker.leases.iter_mut().take(flowing) {
            let piece = rest.first(bytes).unwrap();
            pieces.push((*lease, piece, rest.from(piece.end())));
        }
        for (lease, piece, rest) in pieces {
            let leases = &mut self.workers[at].leases;
            match rest {
                Some(rest) => leases.iter_mut().find(|(id, _)| *id == lease).unwrap().1 = rest,
                None => leases.retain(|(id, _)| *id != lease),
            }
            self.planner.arrive(self.now, WorkerId(at as u32), lease, piece);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.planner.poll_output() {
            match output {
                Output::Grant { worker, lease, span } => {
                    self.workers[worker.0 as usize].leases.push((lease, span));
                }
                Output::Lanes { worker, lanes } => {
                    self.workers[worker.0 as usize].lanes = lanes.into();
                }
                Output::Revoke { worker, lease } => {
                    self.revoked += 1;
                    self.workers[worker.0 as usize].leases.retain(|(id, _)| *id != lease);
                }
                Output::Release { worker, .. } => {
                    self.released.push(worker);
                    self.workers[worker.0 as usize].leases.clear();
                }
                Output::Trim { .. } | Output::Stuck | Output::Complete => unreachable!(),
            }
        }
    }
}

/// Numbers that repeat: `SplitMix64`.
struct Draws(u64);

impl Draws {
    /// Evenly from `low` to below `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        low + (z ^ (z >> 31)) % (high - low)
    }
}
