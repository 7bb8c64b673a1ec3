//! Many keys that bring a little and leave, so that spot checks are still open when spoilers have
//! delivered the rest.

use crate::hostile::{add_addresses, helpers, scene};
use crate::scene::{Scene, say};
use haul_lab::Payload;
use haul_lab::lan::{Host, Lan, Link, Process};
use haul_lab::origin::{Origin, Resource, Shape};
use std::fs;
use std::path::Path;
use std::time::Duration;

const SIZE: u64 = 96 << 20;

/// Every byte of a spoiler.
const SPOILED: u8 = 0xa5;

const MACHINES: [&str; 4] = ["mallory", "trudy", "eve", "oscar"];

/// How many decoys each of them is, at how many addresses, as a leader takes few of one; and how
/// many spoilers come after that.
const DECOYS: usize = 60;
const ADDRESSES: usize = 20;
const SPOILERS: &str = "1";

#[test]
fn leader_publishes_no_wrong_file_after_240_decoys_with_an_origin_20_ms_away() {
    outlasts_decoys(Duration::from_millis(20));
}

#[test]
fn leader_publishes_no_wrong_file_after_240_decoys_with_an_origin_80_ms_away() {
    outlasts_decoys(Duration::from_millis(80));
}

fn outlasts_decoys(away: Duration) {
    let lan = Lan::builder().leader(Link::mbit(20));
    let lan = MACHINES.iter().fold(lan, |lan, name| lan.helper(*name, Link::UNSHAPED));
    let Some(scene) = scene(lan) else { return };
    let payload = Payload::new(43, SIZE);
    let _origin = distant_origin(&scene, payload, away);
    let hosts = MACHINES.map(|name| scene.lan.helper(name));
    let hostile: Vec<Process> = (0..).zip(hosts).map(|(at, host)| decoys(at, host)).collect();
    let (ran, saved) = scene.get("http://203.0.113.10/file.bin", &[]).ended();
    let end = ran.events().pop().unwrap();
    let wrong = if saved.path("file.bin").exists() {
        payload.first_difference(saved.path("file.bin")).unwrap()
    } else {
        None
    };
    let how = if end["event"] == "done" { &end["verified"] } else { &end["code"] };
    say(&format!(
        "240 decoys, then 4 spoilers, {away:?} away: {how} after {:.1} s, {:.0} % wrong",
        ran.seconds,
        100.0 * spoiled(&saved.path("file.bin"))
    ));
    let came: usize = hostile.iter().map(|peer| peer.stdout().matches("greeted").count()).sum();
    assert!(came > 100, "{came} came");
    assert_eq!(wrong, None, "published as {how}");
    assert!(end["event"] == "done" || end["code"] == 6 || end["code"] == 42, "{end}");
}

/// The decoys and spoilers of one machine.
fn decoys(at: usize, host: &Host) -> Process {
    let addresses = add_addresses(host, 100 + at * ADDRESSES, ADDRESSES);
    let mut more = vec!["--spoilers", SPOILERS, "--little", "262144"];
    more.extend(addresses.iter().flat_map(|address| ["--from", address.as_str()]));
    helpers(host, "decoys", DECOYS, &more)
}

/// An origin on the internet whose answers come so much later.
fn distant_origin(scene: &Scene, payload: Payload, away: Duration) -> Origin {
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
    let origin = origin.shape(Shape::default().latency(away));
    let listen = (scene.lan.origin().internet_address(), 80).into();
    let start = move || origin.listen(listen).start().unwrap();
    scene.lan.origin().enter(start).unwrap().join().unwrap()
}

/// What part of a file is what spoilers bring; nothing of one that is not there.
fn spoiled(file: &Path) -> f64 {
    let bytes = fs::read(file).unwrap_or_default();
    let is_spoiled = |block: &&[u8]| block.iter().all(|&byte| byte == SPOILED);
    let spoiled = bytes.chunks(4096).filter(is_spoiled).count() as f64;
    spoiled * 4096.0 / SIZE as f64
}
