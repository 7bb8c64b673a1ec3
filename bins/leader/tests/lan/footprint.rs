use crate::common::PATIENCE;
use crate::scene::{Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link};

#[test]
fn a_helper_writes_nothing_to_its_disk_but_its_accounts_and_needs_little_memory() {
    let lan = Lan::builder().leader(Link::mbit(10)).helper("asha", Link::mbit(200));
    let Some(scene) = Scene::build(lan) else { return };
    let payload = Payload::new(18, 64 << 20);
    let nginx = scene.serve(payload);
    let host = scene.lan.helper("asha");
    let mut first = scene.helper(host, "never", &[]);
    first.interrupt().unwrap();
    assert!(first.wait_within(PATIENCE).unwrap().unwrap().success(), "its key is made by now");
    let mut asha = scene.helper(host, "always", &[]);
    let done = scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]).exact(payload).done();
    let delivered = done["workers"][1]["bytes"].as_u64().unwrap();
    assert!(delivered > payload.len() / 2, "{done}");
    let used = asha.usage();
    say(&format!(
        "a helper that delivered {} MiB: {} bytes to its disk, at most {} MiB of memory",
        delivered >> 20,
        used.written_to_disk,
        used.peak_memory >> 20
    ));
    // Its owner's budgets take about a page for every 2 MiB, and the history a line.
    assert!(used.written_to_disk < delivered / 100, "{} bytes written", used.written_to_disk);
    assert!(used.peak_memory < 64 << 20, "{} bytes of memory", used.peak_memory);
}
