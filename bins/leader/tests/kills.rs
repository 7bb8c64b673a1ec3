//! A download that is killed again and again goes on where it was: at most 2 s of work is done
//! twice for each kill, and the file is byte-exact.
//!
//! `HAUL_KILLS` says how many kills there are to be; more of them take longer and show more.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "the figures are what this is for")]

mod common;

use common::{LEADER, PATIENCE, Ran};
use haul_lab::lan::Process;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SIZE: u64 = 512 << 20;
/// What the link to the origin carries, in bytes per second: a job takes about eight seconds.
const RATE: u64 = 64 << 20;
/// What a kill may cost, in seconds of work.
const PROMISE: f64 = 2.0;
/// The longest time that a run is given, in milliseconds.
const LONGEST: u64 = 3_000;

#[test]
fn a_kill_at_any_moment_costs_at_most_two_seconds_of_work_and_no_byte() {
    let kills: usize = std::env::var("HAUL_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut costs: Vec<f64> = Vec::new();
    let mut jobs = 0;
    while costs.len() < kills {
        jobs += 1;
        costs.extend(Job::new(jobs).run(kills - costs.len(), &mut chance));
    }
    let mean = costs.iter().sum::<f64>() / costs.len() as f64;
    let worst = costs.iter().copied().fold(0.0, f64::max);
    println!("{} kills in {jobs} jobs of 512 MiB, each byte-exact:", costs.len());
    println!(
        "fetched again per kill, in seconds of work: {mean:.2} on average, {worst:.2} at worst"
    );
    assert!(worst <= PROMISE, "a kill cost {worst:.2} s of work");
}

/// One file, downloaded to its end whatever happens meanwhile.
struct Job {
    payload: Payload,
    origin: Origin,
    folder: TempDir,
}

impl Job {
    fn new(seed: u64) -> Self {
        let payload = Payload::new(seed, SIZE);
        let origin = Origin::builder()
            .serve("/file.bin", Resource::of(payload))
            .shape(Shape::by_peer(Rate::bytes_per_second(RATE)))
            .start()
            .unwrap();
        Self { payload, origin, folder: TempDir::new().unwrap() }
    }

    /// Kills it at most so often; returns what each kill cost, in seconds of work.
    fn run(&self, most: usize, chance: &mut Chance) -> Vec<f64> {
        let (mut costs, mut twice) = (Vec::new(), 0.0);
        while costs.len() < most {
            let mut process = Process::spawn(&mut self.get()).unwrap();
            let moment = Duration::from_millis(1 + chance.below(LONGEST));
            if process.wait_within(moment).unwrap().is_some() {
                break;
            }
            process.kill().unwrap();
            process.wait_within(PATIENCE).unwrap();
            assert!(!self.file().exists() || self.is_exact(), "a wrong file was published");
            let now = self.fetched_twice();
            let cost = (now - twice) / RATE as f64;
            if cost > PROMISE {
                println!("{cost:.2} s after {moment:?}: {:?}{}", self.left(), process.stdout());
            }
            costs.push(cost);
            twice = now;
        }
        if !self.file().exists() {
            Ran::of(&mut self.get()).done();
        }
        assert!(self.is_exact());
        assert!(!self.file().with_extension("bin.part").exists());
        costs
    }

    /// Bytes that the origin sent so far and that are not durable.
    fn fetched_twice(&self) -> f64 {
        let mut sent = self.origin.counts().bytes;
        // What is on its way to a connection that broke is still being noticed.
        let settled = Instant::now();
        while settled.elapsed() < Duration::from_millis(60) {
            std::thread::sleep(Duration::from_millis(20));
            sent = self.origin.counts().bytes;
        }
        sent as f64 - self.durable() as f64
    }

    /// What `leader list` says of it; all of it once it is published.
    fn durable(&self) -> u64 {
        if self.file().exists() {
            return SIZE;
        }
        let listed = self.leader("list").arg("--json").output().unwrap();
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let job: Option<Value> = serde_json::from_slice(&listed.stdout).ok();
        job.map_or(0, |job| job["stored"].as_u64().unwrap())
    }

    /// What is in the folder, and how long each file is.
    fn left(&self) -> Vec<(PathBuf, u64)> {
        let entries = fs::read_dir(self.folder.path().join("files")).unwrap().map(Result::unwrap);
        entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect()
    }

    fn get(&self) -> Command {
        let mut get = self.leader("get");
        fs::create_dir_all(self.folder.path().join("files")).unwrap();
        get.args([&self.origin.url("/file.bin"), "--helpers", "none", "--json", "-c", "--output"]);
        get.arg(self.file());
        get
    }

    fn leader(&self, command: &str) -> Command {
        let mut leader = Command::new(LEADER);
        leader.arg(command).env("HAUL_HOME", self.folder.path().join("home"));
        leader
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("files/file.bin")
    }

    fn is_exact(&self) -> bool {
        self.payload.first_difference(self.file()).unwrap().is_none()
    }
}

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }
}
