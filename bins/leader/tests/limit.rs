//! `--limit-rate` holds the rate to 2 % over 10 s of real time.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may panic")]

mod common;

use common::{LEADER, Ran};
use haul_lab::Payload;
use haul_lab::origin::{Origin, Resource};
use std::process::Command;

const SECONDS: u64 = 10;

#[test]
fn a_limited_download_takes_the_time_that_its_rate_says_for_any_number_of_lanes() {
    let rate = 2 << 20;
    let payload = Payload::new(5, SECONDS * rate);
    for resource in [Resource::of(payload), Resource::of(payload).without_ranges()] {
        let origin = Origin::builder().serve("/file.bin", resource).start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(LEADER);
        command.current_dir(folder.path()).env("HAUL_HOME", folder.path().join("home"));
        command.args(["get", &origin.url("/file.bin"), "--helpers", "none", "--json"]);
        let done = Ran::of(command.args(["--limit-rate", "2M"])).done();
        let off = done["seconds"].as_f64().unwrap() / SECONDS as f64 - 1.0;
        assert!(off.abs() <= 0.02, "{:.2} % off: {done}", 100.0 * off);
        assert_eq!(payload.first_difference(folder.path().join("file.bin")).unwrap(), None);
    }
}
