//! `--limit-rate` holds the rate to 2 % over 10 s of real time.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may panic")]

mod common;

use common::{LEADER, Ran};
use haul_lab::Payload;
use haul_lab::origin::{Origin, Resource};
use std::process::Command;

const SECONDS: u64 = 10;

/// What the limit allows, in bytes a second.
const RATE: u64 = 2 << 20;

/// A machine that has other things to do is late once in a while, but not every time.
const TRIES: usize = 3;

#[test]
fn a_limited_download_takes_the_time_that_its_rate_says_for_any_number_of_lanes() {
    let payload = Payload::new(5, SECONDS * RATE);
    for resource in [Resource::of(payload), Resource::of(payload).without_ranges()] {
        let mut tries = (0..TRIES).map(|_| how_far_off(payload, resource.clone()));
        assert!(tries.any(|off| off.abs() <= 0.02), "off by more than 2 % every time");
    }
}

/// The part of its time by which a download is later than its rate says; below zero, earlier.
fn how_far_off(payload: Payload, resource: Resource) -> f64 {
    let origin = Origin::builder().serve("/file.bin", resource).start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(LEADER);
    command.current_dir(folder.path()).env("HAUL_HOME", folder.path().join("home"));
    command.args(["get", &origin.url("/file.bin"), "--helpers", "none", "--json"]);
    let done = Ran::of(command.args(["--limit-rate", "2M"])).done();
    assert_eq!(payload.first_difference(folder.path().join("file.bin")).unwrap(), None);
    done["seconds"].as_f64().unwrap() / SECONDS as f64 - 1.0
}
