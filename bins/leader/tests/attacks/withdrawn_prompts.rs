//! Leaders that have an owner asked and are gone before the answer.

use crate::common::PATIENCE;
use crate::hostile::{add_addresses, leader, scene};
use crate::scene::say;
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};
use std::time::{Duration, Instant};

/// How many prompts are opened and closed at once: more than an owner is shown in an hour.
const PROMPTS: usize = 10;

/// How soon the owner must be asked about an honest leader.
const SOON: Duration = Duration::from_secs(15);

/// How long a leader waits that was told to come later.
const AGAIN: Duration = Duration::from_millis(2200);

#[test]
fn helper_asks_its_owner_about_an_honest_leader_after_ten_withdrawn_prompts() {
    let lan = Lan::builder().helper("asha", Link::UNSHAPED);
    let lan = lan.helper("mallory", Link::UNSHAPED).helper("carol", Link::UNSHAPED);
    let Some(scene) = scene(lan) else { return };
    let origin = scene.serve(Payload::new(53, 1 << 20));
    let [asha, mallory, carol] = ["asha", "mallory", "carol"].map(|name| scene.lan.helper(name));
    let owner = scene.absent_owner(asha);
    let hostile = add_addresses(mallory, 30, PROMPTS);
    let keys = PROMPTS.to_string();
    let mut more = vec!["--keys", &keys, "--hold", "0.5", "--seconds", "60", "--patience", "3"];
    more.extend(hostile.iter().flat_map(|address| ["--from", address]));
    let mut prompter = leader(mallory, "prompts", asha, &more);
    prompter.wait_within(PATIENCE).unwrap().expect("it has a time to end");
    let url = origin.url("/file.bin");
    let honest = ["--url", &url, "--seconds", "60"];
    let began = Instant::now();
    let mut asks = leader(carol, "honest", asha, &honest);
    while !owner.shown().contains("carol") && began.elapsed() < SOON {
        if asks.wait_within(AGAIN).unwrap().is_some() {
            asks = leader(carol, "honest", asha, &honest);
        }
    }
    let shown = owner.shown();
    let asked = shown.matches("wants to download").count();
    let is_asked = shown.contains("carol");
    say(&format!("withdrawn prompts: {asked} questions in all, about the honest one: {is_asked}"));
    assert!(is_asked, "{shown}{}", prompter.stdout());
}
