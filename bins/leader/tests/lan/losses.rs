use crate::scene::{Scene, checksum};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};

#[test]
fn a_helper_that_is_killed_and_one_that_refuses_cost_no_byte() {
    let link = Link::mbit(20);
    let lan = Lan::builder().leader(link).helper("asha", link).helper("ben", link);
    let Some(scene) = Scene::build(lan.helper("chi", link)) else { return };
    let payload = Payload::new(12, 64 << 20);
    let nginx = scene.serve(payload);
    let _asha = scene.helper(scene.lan.helper("asha"), "always", &[]);
    let mut ben = scene.helper(scene.lan.helper("ben"), "always", &[]);
    let _chi = scene.helper(scene.lan.helper("chi"), "never", &[]);
    let mut get = scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]);
    get.until_stored(payload.len() * 3 / 10);
    ben.kill().unwrap();
    let ran = get.exact(payload);
    let done = ran.done();
    let delivered = |worker: &serde_json::Value| worker["bytes"].as_u64().unwrap() > 0;
    let workers = done["workers"].as_array().unwrap();
    assert_eq!(workers.iter().filter(|worker| delivered(worker)).count(), 3, "{done}");
    let told = |field: &str, value: &str| ran.events().iter().any(|event| event[field] == value);
    assert!(told("answer", "no"), "nobody refused");
    assert!(told("event", "lost"), "nobody was lost");
}
