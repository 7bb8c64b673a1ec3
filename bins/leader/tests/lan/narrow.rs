//! Where the narrowest place is: helpers tell a narrow local network from a narrow origin.

use crate::common::Ran;
use crate::scene::{Scene, checksum, median, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};

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

/// What two helpers say on the middle of how long the way to the leader holds their data.
fn held_of_helpers(seed: u64, link: Link, cable: Link, what: &str) -> Option<[f64; 2]> {
    let lan = Lan::builder().leader(Link::mbit(8)).helper("asha", link).helper("ben", link);
    let scene = Scene::build(lan)?;
    scene.lan.leader().set_cable(cable).unwrap();
    let payload = Payload::new(seed, 24 << 20);
    let nginx = scene.serve(payload);
    let _helpers = scene.helpers();
    let ran = scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]).exact(payload);
    let held = ["asha", "ben"].map(|name| median_held(&ran, name));
    say(&format!("{what}: {:.2} s, held {held:?} hundredths of the time", ran.seconds));
    Some(held)
}

fn median_held(ran: &Ran, name: &str) -> f64 {
    let events = ran.events();
    let joined = events.iter().find(|it| it["event"] == "joined" && it["name"] == name).unwrap();
    let settled = joined["at"].as_f64().unwrap() + SETTLED;
    let later = events.iter().filter(|it| it["at"].as_f64().unwrap() >= settled);
    let shown =
        later.filter_map(|it| it["workers"].as_array().filter(|_| it["event"] == "progress"));
    let of_it = shown.flatten().filter(|worker| worker["name"] == name && worker["lanes"] != 0);
    let mut shares: Vec<f64> = of_it.map(|worker| worker["held"].as_f64().unwrap()).collect();
    assert!(shares.len() > 10, "{name} was hardly at work: {}", ran.stdout);
    shares.truncate((shares.len() - 1) | 1);
    median(shares)
}
