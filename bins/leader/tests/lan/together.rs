use crate::scene::{Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};
use serde_json::Value;

#[test]
fn four_links_of_20_mbit_add_up_and_every_helper_carries_its_part() {
    let link = Link::mbit(20);
    let lan = Lan::builder().leader(link).helper("asha", link).helper("ben", link);
    let Some(scene) = Scene::build(lan.helper("chi", link)) else { return };
    let payload = Payload::new(11, 64 << 20);
    let nginx = scene.serve(payload);
    let _helpers = scene.helpers();
    let ran = scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]).exact(payload);
    let done = ran.done();
    assert_eq!(done["verified"], "sha-256");
    let ideal = payload.len() as f64 / (4.0 * 20e6 / 8.0 * Link::GOODPUT);
    let share_of = |worker: &Value| worker["bytes"].as_f64().unwrap() / payload.len() as f64;
    let shares: Vec<f64> = done["workers"].as_array().unwrap().iter().map(share_of).collect();
    let (took, eta) = (ran.seconds, ideal / ran.seconds);
    say(&format!(
        "64 MiB over 4 links of 20 Mbit/s: {took:.2} s, ideal {ideal:.2} s, η {eta:.3}, shares {shares:.3?}"
    ));
    assert_eq!(shares.len(), 4);
    assert!(shares[1..].iter().all(|&share| share >= 0.15), "{shares:?}");
    assert!(took <= 1.25 * ideal, "{took:.2} s is more than 1.25 × {ideal:.2} s");
}
