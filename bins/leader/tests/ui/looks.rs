//! Every state of the page in light and in dark: a picture of it, and no serious violation of the
//! rules of accessibility that axe-core checks.

use crate::stage::{Stage, picture};
use haul::Decision;
use haul_lab::Rate;
use haul_lab::lan::{Process, skip_or_fail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

const SCHEMES: [&str; 2] = ["light", "dark"];

#[test]
fn every_state_is_accessible_in_light_and_in_dark() {
    let yes = Decision::Yes;
    let helpers = [("asha", yes), ("ben", yes), ("chi", Decision::No)];
    let Some(mut stage) = Stage::with(&helpers) else { return };
    let axe = axe();
    let looks = Looks { axe };
    looks.at(&stage, "leader-empty");
    stage.submit("/file.bin", "../file", "bin");
    stage.browser.find("#refused").unwrap();
    looks.at(&stage, "leader-refused");

    stage.submit("/file.bin", "ubuntu-26.04", "bin");
    stage.wait_percent(30);
    // Slow enough for all the pictures.
    for link in [1, 11, 12] {
        stage.origin.set_rate([127, 0, 0, link].into(), Rate::bytes_per_second(20 << 10));
    }
    stage.submit("/mirror.bin", "mirror", "bin");
    stage.browser.wait("document.querySelector('#jobs').innerText.includes('Waits for')").unwrap();
    looks.at(&stage, "leader-working");
    stage.click("#job-buttons [data-deed=pause-1]");
    stage.browser.wait("document.querySelector('#job-name').innerText === 'mirror.bin'").unwrap();
    stage.click("#jobs [data-deed=link-1]");
    looks.at(&stage, "leader-next");
    stage.origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(80));
    stage.wait_phase("done");
    looks.at(&stage, "leader-done");

    stage.helpers.dismiss();
    stage.submit("/nothing.iso", "nothing", "iso");
    stage.wait_phase("failed");
    looks.at(&stage, "leader-failed");
    let port = stage.stop();
    stage.browser.find("#away").unwrap();
    looks.at(&stage, "leader-away");
    stage.start(port);
    stage.browser.find("#link").unwrap();
    looks.at(&stage, "leader-restarted");
}

#[test]
fn the_report_is_accessible_in_light_and_in_dark() {
    let Some(mut stage) = Stage::set(&[("asha <b>", Decision::Yes)]) else { return };
    let looks = Looks { axe: axe() };
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
    looks.at(&stage, "report");
}

struct Looks {
    axe: Option<String>,
}

impl Looks {
    /// Takes the pictures of a state, wide and narrow, and checks it.
    fn at(&self, stage: &Stage, name: &str) {
        for scheme in SCHEMES {
            stage.browser.prefer(scheme).unwrap();
            for (width, size) in [(1000, ""), (320, "-narrow")] {
                stage.browser.resize(width, 900).unwrap();
                stage.browser.picture(&picture(&format!("{name}-{scheme}{size}"))).unwrap();
            }
            if let Some(axe) = &self.axe {
                let found = serious(stage, axe);
                assert!(found.is_empty(), "{name} in {scheme}: {found:#?}");
            }
        }
        stage.browser.resize(1000, 900).unwrap();
    }
}

/// The violations that axe-core finds serious or critical.
fn serious(stage: &Stage, axe: &str) -> Vec<Value> {
    let script = format!(
        "{axe};\nconst done = arguments[arguments.length - 1];\n\
         axe.run().then((found) => done(found.violations), (error) => done([String(error)]));"
    );
    let found = stage.browser.run_async(&script).unwrap();
    let is_serious = |one: &&Value| !matches!(one["impact"].as_str(), Some("minor" | "moderate"));
    found.as_array().unwrap().iter().filter(is_serious).cloned().collect()
}

/// The script of axe-core, which is no part of the repository.
fn axe() -> Option<String> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/axe/package/axe.min.js");
    let file = env::var_os("HAUL_AXE").map_or(usual, Into::into);
    let script = fs::read_to_string(&file).ok();
    if script.is_none() {
        let get = "npm pack axe-core@4.14.1 && tar xzf axe-core-4.14.1.tgz package/axe.min.js";
        skip_or_fail(&format!("{} is not there: in its folder, {get}", file.display()));
    }
    script
}
