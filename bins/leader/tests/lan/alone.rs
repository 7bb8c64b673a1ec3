use crate::common::Ran;
use crate::scene::{Scene, median, say};
use haul_lab::Payload;
use haul_lab::lan::{Host, Lan, Link};

/// Three times each, in turn: what slows the machine down for a while then slows down all.
const ROUNDS: usize = 3;

#[test]
fn with_nobody_there_to_help_it_is_as_fast_as_curl() {
    let lan = Lan::builder().leader(Link::mbit(20)).helper("idle", Link::mbit(20));
    let Some(scene) = Scene::build(lan) else { return };
    let payload = Payload::new(13, 16 << 20);
    let nginx = scene.serve(payload);
    let url = nginx.url("/file.bin");
    let (mut curls, mut nones, mut autos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        curls.push(curl(scene.lan.leader(), &url));
        nones.push(scene.get(&url, &["--helpers", "none"]).exact(payload).seconds);
        autos.push(scene.get(&url, &[]).exact(payload).seconds);
    }
    let (curl, none, auto) = (median(curls), median(nones), median(autos));
    let (none_ratio, auto_ratio) = (none / curl, auto / curl);
    say(&format!(
        "16 MiB over 20 Mbit/s: curl {curl:.3} s, --helpers none {none:.3} s (×{none_ratio:.3}), auto with nobody there {auto:.3} s (×{auto_ratio:.3})"
    ));
    assert!(none_ratio <= 1.05 && auto_ratio <= 1.05, "slower than curl");
}

/// How long curl takes, from its start to its end.
fn curl(host: &Host, url: &str) -> f64 {
    let mut command = host.command("curl");
    command.args(["--silent", "--show-error", "--fail", "--output", "/dev/null", url]);
    let ran = Ran::of(&mut command);
    assert!(ran.status.success(), "{}", ran.stderr);
    ran.seconds
}
