//! Asks that say to come from addresses at which nobody is.

use crate::hostile::{add_addresses, is_helped, leader, scene};
use crate::scene::say;
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};
use std::thread;
use std::time::Duration;

/// How many honest leaders ask meanwhile, one after the other.
const LEADERS: usize = 4;

#[test]
fn helper_helps_whoever_asks_while_30_asks_a_second_are_forged() {
    let lan = Lan::builder().helper("asha", Link::UNSHAPED);
    let lan = lan.helper("mallory", Link::UNSHAPED).helper("carol", Link::UNSHAPED);
    let Some(scene) = scene(lan) else { return };
    let origin = scene.serve(Payload::new(49, 1 << 20));
    let [asha, mallory, carol] = ["asha", "mallory", "carol"].map(|name| scene.lan.helper(name));
    let helper = scene.helper(asha, "always", &[]);
    let own = add_addresses(carol, 50, LEADERS);
    let forged = ["--empty", "10.77.0.100", "--keys", "100", "--seconds", "60"];
    let _forger = leader(mallory, "forged-asks", asha, &forged);
    thread::sleep(Duration::from_secs(3));
    let url = origin.url("/file.bin");
    let count = own.iter().filter(|from| is_helped(carol, from, asha, &url)).count();
    say(&format!("forged asks: {count} of {LEADERS} honest leaders were helped"));
    assert_eq!(count, LEADERS, "{}", helper.stdout());
}
