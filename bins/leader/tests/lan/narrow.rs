//! Where the narrowest place is: helpers tell a narrow local network from a narrow origin.

use crate::scene::{Scene, checksum, median, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};
use serde_json::Value;

/// How long a helper has been at work before what it says counts, in seconds: what it says first is
/// also of the time before it had anything to send.
const SETTLED: f64 = 4.0;

#[test]
fn helpers_that_the_local_network_holds_back_say_so() {
    let what = "a LAN of 8 Mbit/s, links of 40";
    let Some(held) = held_of_helpers(51, Link::mbit(40), Link::mbit(8), what) else { return };
    assert!(held.iter().all(|&share| share > 50.0), "{held:?}");
}

#[test]
fn helpers_whose_own_links_are_narrow_do_not_blame_the_local_network() {
    let what = "a free LAN, links of 8 Mbit/s";
    let Some(held) = held_of_helpers(52, Link::mbit(8), Link::UNSHAPED, what) else { return };
    assert!(held.iter().all(|&share| share < 20.0), "{held:?}");
}

/// What each of two helpers says, on the middle, of how long the way to the leader holds its data.
fn held_of_helpers(seed: u64, link: Link, cable: Link, what: &str) -> Option<Vec<f64>> {
    let lan = Lan::builder().leader(Link::mbit(8)).helper("asha", link).helper("ben", link);
    let scene = Scene::build(lan)?;
    scene.lan.leader().set_cable(cable).unwrap();
    let payload = Payload::new(seed, 24 << 20);
    let nginx = scene.serve(payload);
    let _helpers = scene.helpers();
    let ran = scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]).exact(payload);
    let events = ran.events();
    let joined = events.iter().filter(|event| event["event"] == "joined");
    let held: Vec<f64> = joined.map(|joined| median_held(&events, joined)).collect();
    say(&format!("{what}: {:.2} s, held {held:?} hundredths of the time", ran.seconds));
    assert_eq!(held.len(), 2);
    Some(held)
}

/// What a helper said from when it had settled.
fn median_held(events: &[Value], joined: &Value) -> f64 {
    let settled = joined["at"].as_f64().unwrap() + SETTLED;
    let later = events.iter().filter(|event| event["at"].as_f64().unwrap() >= settled);
    let workers = later.filter(|event| event["event"] == "progress");
    let workers = workers.flat_map(|event| event["workers"].as_array().unwrap());
    let at_work = workers.filter(|one| one["worker"] == joined["worker"] && one["lanes"] != 0);
    let mut held: Vec<f64> = at_work.map(|one| one["held"].as_f64().unwrap()).collect();
    assert!(held.len() > 10, "it was hardly at work: {events:?}");
    held.truncate((held.len() - 1) | 1);
    median(held)
}
