use crate::common::{PATIENCE, stored};
use crate::scene::{Get, Scene, median, say};
use haul_lab::lan::{Lan, Link, Nginx, Process};
use haul_lab::{Payload, Rate};
use std::time::Instant;

/// The most that help may cost, for now; 1.02 is where this goes.
const LIMIT: f64 = 1.10;

/// What the links carry, in Mbit/s.
const RATE: u64 = 20;

const SIZE: u64 = 16 << 20;

#[test]
fn helpers_that_stall_as_soon_as_they_joined_cost_nothing() {
    let Some(stage) = Stage::set(19) else { return };
    let _helpers = stage.scene.helpers();
    let mut get = stage.get();
    until_joined(&mut get, 2);
    stage.stall_helpers();
    stage.compare("helpers that stall once they joined", get);
}

#[test]
fn helpers_that_stall_in_the_middle_cost_nothing_from_then_on() {
    let Some(stage) = Stage::set(20) else { return };
    let _helpers = stage.scene.helpers();
    let mut get = stage.get();
    get.until_stored(SIZE * 3 / 10);
    stage.stall_helpers();
    stage.compare_rest("helpers that stall at 30 %", get);
}

#[test]
fn helpers_that_freeze_in_the_middle_cost_nothing_from_then_on() {
    let Some(stage) = Stage::set(21) else { return };
    let mut helpers = stage.scene.helpers();
    let mut get = stage.get();
    get.until_stored(SIZE * 3 / 10);
    for helper in &mut helpers {
        helper.freeze().unwrap();
    }
    stage.compare_rest("helpers that freeze at 30 %", get);
}

#[test]
fn helpers_a_hundred_times_slower_than_the_leader_cost_nothing() {
    let Some(stage) = Stage::set(22) else { return };
    let slow = Rate::bytes_per_second(Rate::mbit(RATE).as_bytes_per_second() / 100);
    for host in stage.scene.lan.helpers() {
        host.set_link(Link::of(slow, slow)).unwrap();
    }
    let _helpers: Vec<Process> = stage.scene.helpers();
    stage.compare("helpers at 1 % of the leader", stage.get());
}

/// A leader and two helpers with equal links, and what the leader takes by itself.
struct Stage {
    scene: Scene,
    url: String,
    payload: Payload,
    alone: f64,
    _origin: Nginx,
}

impl Stage {
    fn set(seed: u64) -> Option<Self> {
        let link = Link::mbit(RATE);
        let lan = Lan::builder().leader(link).helper("asha", link).helper("ben", link);
        let scene = Scene::build(lan)?;
        let payload = Payload::new(seed, SIZE);
        let origin = scene.serve(payload);
        let url = origin.url("/file.bin");
        let once = |_| scene.get(&url, &["--helpers", "none"]).exact(payload).seconds;
        let alone = median((0..3).map(once).collect());
        Some(Self { scene, url, payload, alone, _origin: origin })
    }

    fn get(&self) -> Get {
        self.scene.get(&self.url, &[])
    }

    /// Lets nothing come from the origin to the helpers any more.
    fn stall_helpers(&self) {
        for host in self.scene.lan.helpers() {
            host.stall().unwrap();
        }
    }

    /// Holds the whole of a download against what it takes alone.
    fn compare(&self, what: &str, get: Get) {
        let took = get.exact(self.payload).seconds;
        judge(what, took, self.alone);
    }

    /// Holds what is left of a download against what that takes alone.
    fn compare_rest(&self, what: &str, get: Get) {
        let (began, left) = (Instant::now(), SIZE - stored(&get.process.stdout()));
        get.exact(self.payload);
        let alone = self.alone * left as f64 / SIZE as f64;
        judge(what, began.elapsed().as_secs_f64(), alone);
    }
}

fn judge(what: &str, took: f64, alone: f64) {
    let ratio = took / alone;
    say(&format!("{what}: {took:.2} s, alone {alone:.2} s, ×{ratio:.3}"));
    assert!(ratio <= LIMIT, "×{ratio:.3}");
}

/// Waits until so many helpers are at work.
fn until_joined(get: &mut Get, helpers: usize) {
    let joined = |out: &str, _: &str| out.matches(r#""event":"joined""#).count() == helpers;
    get.process.wait_for(PATIENCE, joined).unwrap();
}
