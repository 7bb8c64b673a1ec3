//! An origin that gives each connection little: more lanes bring more, alone and with helpers.

use crate::scene::{Scene, came_twice, checksum, say};
use haul_lab::lan::{Lan, Link, Nginx};
use haul_lab::{Payload, Rate};

/// What the origin gives each connection.
const CAP: Rate = Rate::bytes_per_second(500_000);

/// How many lanes a worker comes to use.
const LANES: f64 = 8.0;

/// What is to be reached of what links and lanes could carry.
const PROMISE: f64 = 0.9;

#[test]
fn an_origin_that_caps_each_connection_is_read_over_many_lanes() {
    let lan = Lan::builder().leader(Link::mbit(100));
    reaches(lan, 41, 128, "alone, 100 Mbit/s");
}

#[test]
fn an_origin_that_caps_each_connection_is_read_over_many_lanes_of_every_worker() {
    let lan = Lan::builder().leader(Link::mbit(100)).helper("asha", Link::mbit(100));
    reaches(lan.helper("ben", Link::mbit(20)), 42, 256, "with two helpers, 100 + 100 + 20 Mbit/s");
}

/// Downloads so many MiB and holds the time against what links and lanes could have carried.
fn reaches(lan: haul_lab::lan::LanBuilder, seed: u64, mebibytes: u64, what: &str) {
    let Some(scene) = Scene::build(lan) else { return };
    let payload = Payload::new(seed, mebibytes << 20);
    payload.write_to(scene.served("file.bin")).unwrap();
    let origin = Nginx::serving(scene.served("file.bin").parent().unwrap());
    let origin = origin.per_connection(CAP).start(scene.lan.origin()).unwrap();
    let _helpers = scene.helpers();
    let ran = scene.get(&origin.url("/file.bin"), &[&checksum(payload)]).exact(payload);
    let lanes = LANES * CAP.as_bytes_per_second() as f64;
    let links = [100.0, 100.0, 20.0].into_iter().take(scene.lan.helpers().len() + 1);
    let possible: f64 = links.map(|rate| (rate * 1e6 / 8.0 * Link::GOODPUT).min(lanes)).sum();
    let ratio = payload.len() as f64 / ran.seconds / possible;
    say(&format!(
        "{mebibytes} MiB at 500 kB/s a connection, {what}: {:.2} s, {ratio:.3} of what 8 lanes and the links could, {:.2} % came twice",
        ran.seconds,
        100.0 * came_twice(&ran)
    ));
    assert!(ratio >= PROMISE, "{ratio:.3}");
}
