//! What a former run left is on the page, and goes on from there.

use crate::looks::looks;
use crate::stage::Stage;
use haul_lab::Rate;
use haul_lab::lan::Process;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

impl Stage {
    /// A run of `leader get` with this much of the file behind it, and then no more.
    fn leave(&self, url: &str, folder: &Path, name: &str) {
        let mut get = Command::new(env!("CARGO_BIN_EXE_leader"));
        get.args(["get", "--helpers", "none", "--json", "--dir"]).arg(folder);
        get.args(["--output", name, url]).env("HAUL_HOME", self.home());
        let mut get = Process::spawn(&mut get).unwrap();
        let some = |told: &str| told.matches("\"event\":\"progress\"").count() >= 8;
        get.wait_for(Duration::from_secs(30), |told, _| some(told)).unwrap();
        get.interrupt().unwrap();
        assert_eq!(get.wait_within(Duration::from_secs(30)).unwrap().unwrap().code(), Some(7));
    }
}

#[test]
fn a_download_that_a_former_run_left_goes_on_where_it_was() {
    let Some(mut stage) = Stage::set(&[]) else { return };
    stage.stop();
    stage.leave(&stage.origin.url("/file.bin"), stage.folder.path(), "left.bin");
    stage.start(0);
    stage.browser.open(&stage.link).unwrap();
    stage.browser.find("#left button").unwrap();
    assert!(stage.text("#left").contains("left.bin"), "{}", stage.text("#left"));
    assert!(stage.text("#left").contains("of 6.0 MiB from 127.0.0.1"), "{}", stage.text("#left"));
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.click("#left button");
    stage.wait_phase("done");
    stage.is_exact("left.bin");
    assert!(stage.text("#strip-text").contains("from before"), "{}", stage.text("#strip-text"));
    stage.browser.wait("document.querySelector('#left').hidden").unwrap();
}

#[test]
fn a_link_whose_secret_part_was_not_kept_is_asked_for() {
    let Some(mut stage) = Stage::set(&[]) else { return };
    stage.stop();
    let url = stage.origin.url("/file.bin?token=secret");
    stage.leave(&url, stage.folder.path(), "left.bin");
    stage.start(0);
    stage.browser.open(&stage.link).unwrap();
    stage.browser.find("#left input").unwrap().fill(&url).unwrap();
    assert!(!stage.text("#left").contains("token"), "{}", stage.text("#left"));
    looks().at(&stage.browser, "leader-left").unwrap();
    stage.browser.find("#left input").unwrap().fill(&url).unwrap();
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.browser.press("\u{e007}").unwrap();
    stage.wait_phase("done");
    stage.is_exact("left.bin");
}

#[test]
fn what_was_left_in_another_folder_is_told_and_not_touched() {
    let Some(mut stage) = Stage::set(&[]) else { return };
    stage.stop();
    let other = tempfile::TempDir::new().unwrap();
    stage.leave(&stage.origin.url("/file.bin"), other.path(), "left.bin");
    stage.start(0);
    stage.browser.open(&stage.link).unwrap();
    stage.browser.find("#left li").unwrap();
    assert!(stage.text("#left").contains("leader resume"), "{}", stage.text("#left"));
    let buttons = "return document.querySelectorAll('#left button, #left input').length;";
    assert_eq!(stage.browser.run(buttons).unwrap(), 0);
}
