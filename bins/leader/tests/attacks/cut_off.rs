//! A leader that loses its own way to the origin while its helpers go on: what they bring cannot be
//! compared any more.

use crate::common::Ran;
use crate::hostile::{helpers, scene};
use crate::scene::{Saved, Scene, say};
use haul_lab::Payload;
use haul_lab::lan::{Host, Lan, Link, Process};
use std::process::Command;

const SIZE: u64 = 32 << 20;

#[test]
fn leader_takes_nothing_for_sampled_that_came_after_its_uplink_was_pulled() {
    let link = Link::mbit(20);
    let lan = Lan::builder().leader(link).helper("asha", link).helper("ben", link);
    let Some(scene) = scene(lan) else { return };
    let payload = Payload::new(45, SIZE);
    let origin = scene.serve(payload);
    let _helpers = scene.helpers();
    let mut get = scene.get(&origin.url("/file.bin"), &[]);
    get.until_stored(SIZE / 3);
    scene.lan.leader().ip("link set net0 down").unwrap();
    let (ran, saved) = get.ended();
    let end = ended("the uplink pulled, honest helpers", payload, &ran, &saved);
    assert_ne!(end["verified"], "sampled", "two thirds were not: {end}");
}

#[test]
fn leader_publishes_no_wrong_file_when_helpers_lie_once_its_way_to_the_origin_is_cut() {
    let link = Link::mbit(20);
    let lan = Lan::builder().leader(link).helper("mallory", link).helper("trudy", link);
    let Some(scene) = scene(lan) else { return };
    let payload = Payload::new(47, SIZE);
    let origin = scene.serve(payload);
    let honest = (SIZE * 2 / 5 / 3).to_string();
    let liars = |name| helpers(scene.lan.helper(name), "late", 1, &["--honest", &honest]);
    let _liars = ["mallory", "trudy"].map(liars);
    let mut get = scene.get(&origin.url("/file.bin"), &[]);
    get.until_stored(SIZE * 2 / 5);
    drop_all_to_origin(&scene, scene.lan.leader());
    let (ran, saved) = get.ended();
    ended("the way cut at 40 %, lying helpers", payload, &ran, &saved);
}

/// The last event; whatever has its final name is right.
fn ended(what: &str, payload: Payload, ran: &Ran, saved: &Saved) -> serde_json::Value {
    let end = ran.events().pop().unwrap();
    let file = saved.path("file.bin");
    let wrong = file.exists().then(|| payload.first_difference(&file).unwrap()).flatten();
    let how = if end["event"] == "done" { &end["verified"] } else { &end["code"] };
    say(&format!("{what}: {how} after {:.1} s, first wrong byte {wrong:?}", ran.seconds));
    assert_eq!(wrong, None, "{end}");
    assert!(file.exists() || end["code"] == 6 || end["code"] == 42, "{end}");
    end
}

/// Lets no packet of a machine reach the origin any more, without a word.
fn drop_all_to_origin(scene: &Scene, host: &Host) {
    let origin = scene.lan.origin().internet_address();
    let rules = format!(
        "add table inet cut; \
         add chain inet cut output {{ type filter hook output priority 0 ; }}; \
         add rule inet cut output ip daddr {origin} drop"
    );
    let mut nft: Command = host.command("nft");
    let mut done = Process::spawn(nft.arg(rules)).unwrap();
    let status = done.wait_within(crate::common::PATIENCE).unwrap().unwrap();
    assert!(status.success(), "{}", done.stderr());
}
