use crate::common::{PATIENCE, Ran, stored};
use crate::scene::{Get, Scene, came_twice, median, say};
use haul_lab::lan::{Lan, LanBuilder, Link, Nginx};
use haul_lab::{Payload, Rate};
use std::time::Instant;

/// The most that help may cost.
const LIMIT: f64 = 1.02;

/// How often each is played, in turn with a download alone: what slows the machine down for a
/// while then slows down both.
const ROUNDS: usize = 3;

/// What the links carry, in Mbit/s.
const RATE: u64 = 20;

const SIZE: u64 = 16 << 20;

#[test]
fn helpers_that_stall_as_soon_as_they_joined_cost_nothing() {
    let Some(stage) = Stage::set(19, SIZE, own_links()) else { return };
    let _helpers = stage.scene.helpers();
    stage.compare("helpers that stall once they joined", || {
        let mut get = stage.get();
        until_joined(&mut get, 3);
        stage.stall_helpers();
        let ran = get.exact(stage.payload);
        stage.relieve_helpers();
        Timed::whole(&ran)
    });
}

#[test]
fn helpers_that_stall_in_the_middle_cost_nothing_from_then_on() {
    let Some(stage) = Stage::set(20, SIZE, own_links()) else { return };
    let _helpers = stage.scene.helpers();
    stage.compare("helpers that stall at 30 %", || {
        let timed = stage.get_rest(|| stage.stall_helpers());
        stage.relieve_helpers();
        timed
    });
}

#[test]
fn helpers_that_freeze_in_the_middle_cost_nothing_from_then_on() {
    let Some(stage) = Stage::set(21, SIZE, own_links()) else { return };
    let mut helpers = stage.scene.helpers();
    stage.compare("helpers that freeze at 30 %", || {
        let timed = stage.get_rest(|| helpers.iter_mut().for_each(|it| it.freeze().unwrap()));
        for helper in &mut helpers {
            helper.thaw().unwrap();
        }
        timed
    });
}

#[test]
fn helpers_a_hundred_times_slower_than_the_leader_cost_nothing() {
    let slow = Rate::bytes_per_second(Rate::mbit(RATE).as_bytes_per_second() / 100);
    let lan = three_helpers(Lan::builder().leader(Link::mbit(RATE)), Link::of(slow, slow));
    let Some(stage) = Stage::set(22, SIZE, lan) else { return };
    let _helpers = stage.scene.helpers();
    let helped = || Timed::whole(&stage.get().exact(stage.payload));
    stage.compare("helpers at 1 % of the leader", helped);
}

#[test]
fn helpers_behind_the_leaders_own_uplink_cost_nothing() {
    let lan = Lan::builder().uplink(Link::mbit(RATE));
    let Some(stage) = Stage::set(23, SIZE, three_helpers(lan, Link::UNSHAPED)) else { return };
    let _helpers = stage.scene.helpers();
    let helped = || Timed::whole(&stage.get().exact(stage.payload));
    stage.compare("helpers behind the leader's uplink", helped);
}

#[test]
fn helpers_behind_the_leaders_own_uplink_are_released_with_the_figure() {
    let lan = Lan::builder().uplink(Link::mbit(RATE));
    let Some(stage) = Stage::set(24, 4 * SIZE, three_helpers(lan, Link::UNSHAPED)) else { return };
    let _helpers = stage.scene.helpers();
    let ran = stage.get().exact(stage.payload);
    let events = ran.events();
    let released = events.iter().filter_map(|event| {
        let because = event["because"].as_str().filter(|because| because.contains(" % and added "));
        because.filter(|_| event["event"] == "lost")
    });
    released.clone().for_each(say);
    assert_eq!(released.count(), 3);
    let told = ran.done()["speedup"].as_f64().unwrap();
    assert!(told <= 1.1, "×{told} by help that came over the same link");
}

/// A leader and three helpers, each with a link of its own.
fn own_links() -> LanBuilder {
    let link = Link::mbit(RATE);
    three_helpers(Lan::builder().leader(link), link)
}

fn three_helpers(lan: LanBuilder, link: Link) -> LanBuilder {
    lan.helper("asha", link).helper("ben", link).helper("chi", link)
}

/// A LAN, and what there is to download.
struct Stage {
    scene: Scene,
    url: String,
    payload: Payload,
    _origin: Nginx,
}

/// How long some part of a download took.
struct Timed {
    seconds: f64,
    part: f64,
    twice: f64,
}

impl Timed {
    fn whole(ran: &Ran) -> Self {
        Self { seconds: ran.seconds, part: 1.0, twice: came_twice(ran) }
    }
}

impl Stage {
    fn set(seed: u64, size: u64, lan: LanBuilder) -> Option<Self> {
        let scene = Scene::build(lan)?;
        let payload = Payload::new(seed, size);
        let origin = scene.serve(payload);
        let url = origin.url("/file.bin");
        Some(Self { scene, url, payload, _origin: origin })
    }

    fn get(&self) -> Get {
        self.scene.get(&self.url, &[])
    }

    fn alone(&self) -> f64 {
        self.scene.get(&self.url, &["--helpers", "none"]).exact(self.payload).seconds
    }

    /// Downloads with help up to 30 %, lets something befall the helpers, and times the rest.
    fn get_rest(&self, befall: impl FnOnce()) -> Timed {
        let size = self.payload.len();
        let mut get = self.get();
        get.until_stored(size * 3 / 10);
        befall();
        let (began, left) = (Instant::now(), size - stored(&get.process.stdout()));
        get.process.wait_within(PATIENCE).unwrap();
        let seconds = began.elapsed().as_secs_f64();
        let twice = came_twice(&get.exact(self.payload));
        Timed { seconds, part: left as f64 / size as f64, twice }
    }

    /// Lets nothing come from the origin to the helpers any more.
    fn stall_helpers(&self) {
        for host in self.scene.lan.helpers() {
            host.stall().unwrap();
        }
    }

    fn relieve_helpers(&self) {
        for host in self.scene.lan.helpers() {
            host.set_link(Link::mbit(RATE)).unwrap();
        }
    }

    /// Holds downloads with help against those without.
    fn compare(&self, what: &str, mut helped: impl FnMut() -> Timed) {
        let (mut alones, mut helpeds, mut most) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..ROUNDS {
            alones.push(self.alone());
            let Timed { seconds, part, twice } = helped();
            helpeds.push(seconds / part);
            most = f64::max(most, 100.0 * twice);
        }
        say(&format!("{what}: {helpeds:.2?} s, alone {alones:.2?} s, {most:.2} % came twice"));
        let ratio = median(helpeds) / median(alones);
        say(&format!("{what}: ×{ratio:.3}"));
        assert!(ratio <= LIMIT, "×{ratio:.3}");
    }
}

/// Waits until so many helpers are at work.
fn until_joined(get: &mut Get, helpers: usize) {
    let joined = |out: &str, _: &str| out.matches(r#""event":"joined""#).count() == helpers;
    get.process.wait_for(PATIENCE, joined).unwrap();
}
