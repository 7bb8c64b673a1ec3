//! The planner's events at 64 workers of 8 lanes, for files of unequal size: an event is to take
//! a microsecond, and no longer for a longer file. And at 5 and 500 workers: a wake looks at each
//! of them, but an arrival mostly does not.

#![allow(clippy::print_stdout, reason = "the figures are what this is for")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use haul_benches::is_smoke;
use haul_plan::{Arrival, Config, LeaseId, Output, Planner, WorkerId};
use haul_span::{Span, SpanSet};
use std::time::{Duration, Instant};

const CROWDS: [u32; 3] = [5, 64, 500];
const WORKERS: u32 = 64;
const LANES: u8 = 8;

/// How many bytes arrive at a time.
const PIECE: u64 = 64 << 10;

/// How much time passes between two arrivals of one worker: it has 10 Mbit/s.
const PACE: Duration = Duration::from_millis(50);

/// Arrivals in one iteration.
const STEPS: u64 = 2000;

const SIZES: [(&str, u64); 3] = [("1 GiB", 1 << 30), ("32 GiB", 32 << 30), ("1 TiB", 1 << 40)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    events(&mut criterion);
    criterion.final_summary();
    let arrivals = if is_smoke() { STEPS } else { 50 * STEPS };
    println!("\nns of one event            median     99 %  slowest");
    for (name, size) in SIZES {
        let (arrivals, wakes) = Job::at_full_pace(size, WORKERS).timed(arrivals);
        tell(&format!("arrival, {name}"), arrivals);
        tell(&format!("wake, {name}"), wakes);
    }
    for workers in CROWDS {
        let (arrivals, wakes) = Job::at_full_pace(32 << 30, workers).timed(arrivals);
        tell(&format!("arrival, {workers} workers"), arrivals);
        tell(&format!("wake, {workers} workers"), wakes);
    }
}

/// Arrivals with the wakes that fall between them.
fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan/events");
    group.throughput(Throughput::Elements(STEPS));
    for (name, size) in SIZES {
        let job = Job::at_full_pace(size, WORKERS);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let steps = |job: &mut Job| (0..STEPS).for_each(|_| job.step());
            bencher.iter_batched_ref(|| job.clone(), steps, BatchSize::LargeInput);
        });
    }
}

fn tell(event: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |nth: usize| times.get(nth).map_or(0, Duration::as_nanos);
    let (half, most, last) = (times.len() / 2, times.len() * 99 / 100, times.len() - 1);
    println!("{event:<24} {:>8} {:>8} {:>8}", at(half), at(most), at(last));
}

/// A job whose workers deliver a piece each in turn.
#[derive(Clone)]
struct Job {
    planner: Planner,
    now: Duration,
    turn: u32,
    workers: Vec<Worker>,
}

#[derive(Clone, Default)]
struct Worker {
    lanes: usize,
    /// What is still to be sent of each lease; lanes are at work on the first ones.
    leases: Vec<(LeaseId, Span)>,
}

impl Job {
    /// A job whose workers have all opened their lanes and shown their rates.
    fn at_full_pace(size: u64, workers: u32) -> Self {
        let config = Config {
            lane_trial: Duration::from_millis(1),
            lane_gain: 0.0,
            // Of so many equal workers, each adds less than what the default asks for.
            release_below: 0.0,
            ..Config::default()
        };
        let mut job = Self {
            planner: Planner::new(size, SpanSet::new(), config),
            now: Duration::ZERO,
            turn: 0,
            workers: vec![Worker::default(); workers as usize],
        };
        for worker in 0..workers {
            job.planner.join(Duration::ZERO, WorkerId(worker), LANES);
            job.drain();
        }
        while job.now < Duration::from_secs(2) {
            job.step();
        }
        assert!(job.workers.iter().all(|worker| worker.lanes == usize::from(LANES)));
        job
    }

    fn step(&mut self) {
        self.arrive();
        if self.planner.wake_at().is_some_and(|at| at <= self.now) {
            self.wake();
        }
    }

    /// What each of so many arrivals takes, or as many as the file has, and each wake among them.
    fn timed(mut self, arrivals: u64) -> (Vec<Duration>, Vec<Duration>) {
        let (mut arrived, mut woken) = (Vec::new(), Vec::new());
        for _ in 0..arrivals {
            let begun = Instant::now();
            if self.arrive().is_some() {
                arrived.push(begun.elapsed());
            }
            if self.planner.wake_at().is_some_and(|at| at <= self.now) {
                let begun = Instant::now();
                self.wake();
                woken.push(begun.elapsed());
            }
        }
        (arrived, woken)
    }

    /// Lets the next lane deliver a piece, if it has anything to do.
    fn arrive(&mut self) -> Option<Arrival> {
        let workers = u32::try_from(self.workers.len()).ok()?;
        self.now += PACE / workers;
        self.turn = self.turn.wrapping_add(1);
        let id = self.turn % workers;
        let worker = self.workers.get_mut(id as usize)?;
        let lane = (self.turn / workers) as usize % worker.lanes;
        let &(lease, rest) = worker.leases.get(lane)?;
        let piece = rest.first(PIECE)?;
        match rest.from(piece.end()) {
            Some(rest) => worker.leases[lane].1 = rest,
            None => drop(worker.leases.remove(lane)),
        }
        let arrival = self.planner.arrive(self.now, WorkerId(id), lease, piece);
        self.drain();
        Some(arrival)
    }

    fn wake(&mut self) {
        self.planner.wake(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.planner.poll_output() {
            match output {
                Output::Grant { worker, lease, span } => {
                    self.worker(worker).leases.push((lease, span));
                }
                Output::Trim { worker, lease, end } => self.worker(worker).trim(lease, end),
                Output::Revoke { worker, lease } => self.worker(worker).trim(lease, 0),
                Output::Lanes { worker, lanes } => self.worker(worker).lanes = usize::from(lanes),
                Output::Complete => {}
                Output::Release { .. } | Output::Stuck => unreachable!("all workers deliver"),
            }
        }
    }

    fn worker(&mut self, id: WorkerId) -> &mut Worker {
        &mut self.workers[id.0 as usize]
    }
}

impl Worker {
    fn trim(&mut self, lease: LeaseId, end: u64) {
        self.leases.retain_mut(|(held, rest)| {
            let kept = if *held == lease { rest.before(end) } else { Some(*rest) };
            kept.map(|kept| *rest = kept).is_some()
        });
    }
}
