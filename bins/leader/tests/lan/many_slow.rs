//! A crowd of helpers whose links are slow: joining, proofs, samples and the end of the job cost
//! the sum of the links next to nothing.

use crate::scene::{Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};

const MIB: u64 = 1 << 20;

/// What the links carry, in Mbit/s; the leader's is like the others.
struct Crowd {
    helpers: u32,
    rate: f64,
}

impl Crowd {
    /// Downloads so much, which must reach this part of the sum of the links while at most 1 % of
    /// the file comes twice. What slows the machine down for a while, on which all of them run, is
    /// not the programs' fault.
    fn reaches(&self, least: f64, size: u64) {
        for last in [false, false, true] {
            let Some((eta, twice)) = self.download(Payload::new(size, size)) else { return };
            if eta >= least && twice <= 0.01 {
                return;
            }
            assert!(!last, "η {eta:.3} is below {least}, or {twice:.4} came twice");
        }
    }

    /// The part of the sum of the links that a download reaches, and the part of the file that came
    /// to the leader twice.
    fn download(&self, payload: Payload) -> Option<(f64, f64)> {
        let Self { helpers, rate } = *self;
        let link = Link::mbit(rate as u64);
        let names = (0..helpers).map(|at| format!("{}{at}", ["asha", "ben"][at as usize % 2]));
        let lan = names.fold(Lan::builder().leader(link), |lan, name| lan.helper(name, link));
        let scene = Scene::build(lan)?;
        let nginx = scene.serve(payload);
        let _helpers = scene.helpers();
        let ran = scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]).exact(payload);
        let all = f64::from(helpers + 1) * rate * 125_000.0 * Link::GOODPUT;
        let eta = payload.len() as f64 / (all * ran.seconds);
        let done = ran.done();
        let workers = done["workers"].as_array().unwrap().iter();
        let wasted: f64 = workers.map(|worker| worker["wasted"].as_f64().unwrap()).sum();
        let twice = wasted / payload.len() as f64;
        say(&format!(
            "{} MiB, {helpers} helpers and a leader, each of {rate} Mbit/s: {:.2} s, η {eta:.3}, \
             {:.2} % came twice",
            payload.len() / MIB,
            ran.seconds,
            100.0 * twice,
        ));
        Some((eta, twice))
    }
}

#[test]
fn forty_slow_helpers_reach_90_per_cent_of_their_sum_within_seconds() {
    Crowd { helpers: 40, rate: 2.0 }.reaches(0.90, 80 * MIB);
}

#[test]
fn forty_slow_helpers_reach_95_per_cent_of_their_sum() {
    Crowd { helpers: 40, rate: 2.0 }.reaches(0.95, 256 * MIB);
}
