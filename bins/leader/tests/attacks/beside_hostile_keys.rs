//! The main job beside 16 hostile keys at four addresses takes as long as without them.

use crate::common::Ran;
use crate::hostile::{helpers, scene};
use crate::scene::{Get, Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::lan::{Host, Lan, Link, Nginx, Process};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

/// What the links carry, in Mbit/s.
const RATE: u64 = 20;

const SIZE: u64 = 64 << 20;

/// The most that hostile helpers may cost.
const LIMIT: f64 = 1.05;

/// How often the pair is played before a slow machine is taken for a slow leader.
const ROUNDS: usize = 3;

const HELPERS: [&str; 3] = ["asha", "ben", "chi"];

const MACHINES: [&str; 4] = ["mallory", "trudy", "eve", "oscar"];

/// So many keys of each machine take all places that a leader has, and the most that they may cost
/// then: nobody is known to be silent before some seconds have passed.
const ALL_PLACES: usize = 16;
const LIMIT_OF_PLACES: f64 = 1.5;

/// When helpers come that are late.
const LATE: Duration = Duration::from_millis(500);

#[test]
fn leader_loses_no_time_to_16_spoiling_keys_of_four_addresses_and_names_them() {
    let Some(runs) = compare("spoiling", &[("fresh", 4); 4]) else { return };
    names_the_spoilers(&runs);
}

#[test]
fn leader_loses_no_time_to_16_silent_keys_of_four_addresses() {
    compare("silent", &[("silent", 4); 4]);
}

#[test]
fn leader_loses_no_time_to_16_challenging_keys_of_four_addresses() {
    compare("challenging", &[("challenges", 4); 4]);
}

#[test]
fn leader_loses_no_time_to_16_challenging_keys_of_one_address() {
    compare("challenging, at one address,", &[("challenges", 16)]);
}

#[test]
fn leader_loses_no_time_to_16_keys_of_four_addresses_that_are_hostile_each_in_its_way() {
    let kinds = [("fresh", 4), ("mute", 4), ("challenges", 4), ("pings", 4)];
    let Some(runs) = compare("mixed", &kinds) else { return };
    names_the_spoilers(&runs);
}

#[test]
fn leader_gives_the_places_of_64_silent_keys_to_helpers_that_come_later() {
    give_way("silent");
}

#[test]
fn leader_gives_the_places_of_64_keys_that_only_ping_to_helpers_that_come_later() {
    give_way("pings");
}

/// Plays the main job with helpers that come when all places are taken by keys of this scenario.
fn give_way(scenario: &str) {
    let Some(stage) = Stage::set() else { return };
    let alone = stage.get_with_late_helpers();
    let _hostile = stage.arrive(&[(scenario, ALL_PLACES); 4]);
    let beside = stage.get_with_late_helpers();
    let ratio = beside / alone;
    say(&format!(
        "64 keys, {scenario}: {alone:.1} s alone, {beside:.1} s beside them, {ratio:.2} ×"
    ));
    assert!(ratio <= LIMIT_OF_PLACES, "{alone:.2} s alone, {beside:.2} s beside them");
}

/// A run beside hostile helpers, and the addresses at which they were.
struct Beside {
    ran: Ran,
    hostile: BTreeSet<String>,
}

/// Plays the main job alone and beside hostile helpers, each machine of a scenario under so many
/// keys. All files must be right; `None` where nothing can be played.
fn compare(kind: &str, hostile: &[(&str, usize)]) -> Option<Vec<Beside>> {
    let stage = Stage::set()?;
    let _honest = stage.honest();
    let (mut alone, mut beside, mut runs) = (f64::MAX, f64::MAX, Vec::new());
    for _ in 0..ROUNDS {
        alone = alone.min(stage.get().exact(stage.payload).seconds);
        let _hostile = stage.arrive(hostile);
        let ran = stage.get().exact(stage.payload);
        beside = beside.min(ran.seconds);
        runs.push(Beside { ran, hostile: stage.addresses() });
        if beside <= LIMIT * alone {
            break;
        }
    }
    let ratio = beside / alone;
    say(&format!("16 {kind} keys: {alone:.1} s alone, {beside:.1} s beside them, {ratio:.2} ×"));
    assert!(ratio <= LIMIT, "{kind}: {alone:.2} s alone, {beside:.2} s beside them");
    Some(runs)
}

/// The main job: a leader and three helpers with a link each, beside four hostile machines.
struct Stage {
    scene: Scene,
    origin: Nginx,
    payload: Payload,
}

impl Stage {
    fn set() -> Option<Self> {
        let link = Link::mbit(RATE);
        let lan =
            HELPERS.iter().fold(Lan::builder().leader(link), |lan, name| lan.helper(*name, link));
        let lan = MACHINES.iter().fold(lan, |lan, name| lan.helper(*name, Link::UNSHAPED));
        let (scene, payload) = (scene(lan)?, Payload::new(41, SIZE));
        let origin = scene.serve(payload);
        Some(Self { scene, origin, payload })
    }

    fn honest(&self) -> Vec<Process> {
        let each = HELPERS.iter().map(|name| self.scene.lan.helper(name));
        each.map(|host| self.scene.helper(host, "always", &[])).collect()
    }

    fn get(&self) -> Get {
        self.scene.get(&self.origin.url("/file.bin"), &[&checksum(self.payload)])
    }

    /// How long the job takes where its helpers hear the asks of its first second, and no others.
    fn get_with_late_helpers(&self) -> f64 {
        let get = self.get();
        thread::sleep(LATE);
        let _honest = self.honest();
        get.exact(self.payload).seconds
    }

    /// Lets each machine's keys come as soon as they are asked.
    fn arrive(&self, hostile: &[(&str, usize)]) -> Vec<Process> {
        let each = self.machines().into_iter().zip(hostile);
        each.map(|(host, &(scenario, keys))| helpers(host, scenario, keys, &[])).collect()
    }

    fn addresses(&self) -> BTreeSet<String> {
        self.machines().map(|host| host.address().to_string()).into()
    }

    fn machines(&self) -> [&Host; 4] {
        MACHINES.map(|name| self.scene.lan.helper(name))
    }
}

/// Every address whose bytes were wrong is named in the result, and no other.
fn names_the_spoilers(runs: &[Beside]) {
    for Beside { ran, hostile } in runs {
        let done = ran.done();
        let workers = done["workers"].as_array().unwrap().iter();
        let spoilers = workers.filter(|worker| worker["spoiled"].as_u64().unwrap_or(0) > 0);
        let named: BTreeSet<String> =
            spoilers.map(|worker| worker["address"].as_str().unwrap().to_owned()).collect();
        assert!(!named.is_empty() && named.is_subset(hostile), "{named:?}: {done}");
        let blamed = ran.events().iter().filter(|event| event["event"] == "blamed").count();
        assert!(blamed >= named.len(), "{blamed} were blamed, of {named:?}");
    }
}
