//! Every state of the page in light and in dark: a picture of it, and no serious violation of the
//! rules of accessibility that axe-core checks.

use crate::stage::Stage;
use haul::Decision;
use haul_lab::Rate;
use haul_lab::browser::Looks;
use haul_lab::lan::Process;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn every_state_is_accessible_in_light_and_in_dark() {
    let yes = Decision::Yes;
    let helpers = [("asha", yes), ("ben", yes), ("chi", Decision::No)];
    let Some(mut stage) = Stage::with(&helpers) else { return };
    let looks = looks();
    let at = |stage: &Stage, name: &str| looks.at(&stage.browser, name).unwrap();
    at(&stage, "leader-empty");
    stage.submit("/file.bin", "../file", "bin");
    stage.browser.find("#refused").unwrap();
    at(&stage, "leader-refused");

    stage.submit("/file.bin", "ubuntu-26.04", "bin");
    stage.wait_percent(30);
    // Slow enough for all the pictures.
    for link in [1, 11, 12] {
        stage.origin.set_rate([127, 0, 0, link].into(), Rate::bytes_per_second(20 << 10));
    }
    stage.submit("/mirror.bin", "mirror", "bin");
    stage.browser.wait("document.querySelector('#jobs').innerText.includes('Waits for')").unwrap();
    at(&stage, "leader-working");
    stage.click("#job-buttons [data-deed=pause-1]");
    stage.browser.wait("document.querySelector('#job-name').innerText === 'mirror.bin'").unwrap();
    stage.click("#jobs [data-deed=link-1]");
    at(&stage, "leader-next");
    stage.origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(80));
    stage.wait_phase("done");
    at(&stage, "leader-done");

    stage.helpers.dismiss();
    stage.submit("/nothing.iso", "nothing", "iso");
    stage.wait_phase("failed");
    at(&stage, "leader-failed");
    let port = stage.stop();
    stage.browser.find("#away").unwrap();
    at(&stage, "leader-away");
    stage.start(port);
    stage.browser.find("#link").unwrap();
    at(&stage, "leader-restarted");
}

#[test]
fn the_report_is_accessible_in_light_and_in_dark() {
    let Some(mut stage) = Stage::set(&[("asha <b>", Decision::Yes)]) else { return };
    let looks = looks();
    let report = stage.folder.path().join("report.html");
    let mut get = Command::new(env!("CARGO_BIN_EXE_leader"));
    get.args(["get", "-q", "--no-scan", "--helpers", &stage.helpers.addresses(), "--report"]);
    get.arg(&report).arg(stage.origin.url("/file.bin")).current_dir(stage.folder.path());
    let mut get = Process::spawn(get.env("HAUL_HOME", stage.folder.path().join(".home"))).unwrap();
    assert!(get.wait_within(Duration::from_secs(60)).unwrap().unwrap().success());
    stage.stop();
    stage.browser.open(&format!("file://{}", report.display())).unwrap();
    for drawn in ["polygon", "line", "rect"] {
        stage.browser.find(&format!(".picture {drawn}")).unwrap();
    }
    looks.at(&stage.browser, "report").unwrap();
}

pub(crate) fn looks() -> Looks {
    Looks::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}
