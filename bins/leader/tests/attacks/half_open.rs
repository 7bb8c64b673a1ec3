//! Connections to a helper that go so far and no farther.

use crate::hostile::{add_addresses, is_helped, leader, scene};
use crate::scene::say;
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};
use std::thread;
use std::time::Duration;

/// How many honest leaders ask meanwhile, one after the other.
const LEADERS: usize = 7;

/// How many half-open connections each address of the attacker holds.
const HELD: usize = 12;

#[test]
fn helper_helps_every_honest_leader_beside_half_open_sessions_of_two_addresses() {
    let lan = Lan::builder().helper("asha", Link::UNSHAPED);
    let lan = lan.helper("mallory", Link::UNSHAPED).helper("carol", Link::UNSHAPED);
    let Some(scene) = scene(lan) else { return };
    let origin = scene.serve(Payload::new(51, 1 << 20));
    let [asha, mallory, carol] = ["asha", "mallory", "carol"].map(|name| scene.lan.helper(name));
    let helper = scene.helper(asha, "always", &[]);
    let (hostile, own) = (add_addresses(mallory, 30, 2), add_addresses(carol, 50, LEADERS));
    let keys = (2 * HELD).to_string();
    let held = ["--from", &hostile[0], "--from", &hostile[1], "--keys", &keys];
    let held = [&held[..], &["--depth", "greeted", "--seconds", "90"]].concat();
    let holder = leader(mallory, "half-open", asha, &held);
    thread::sleep(Duration::from_secs(12));
    let url = origin.url("/file.bin");
    let count = own.iter().filter(|from| is_helped(carol, from, asha, &url)).count();
    say(&format!("half-open sessions: {count} of {LEADERS} honest leaders were helped"));
    assert!(holder.stdout().contains("\"open\""), "{}", holder.stdout());
    assert_eq!(count, LEADERS, "{}", helper.stdout());
}
