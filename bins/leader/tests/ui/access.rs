//! Everybody can use the page: with the keyboard alone, and on a narrow screen.

use crate::stage::Stage;
use haul::Decision;
use haul_lab::Rate;
use serde_json::json;

const TAB: char = '\u{e004}';
const ENTER: &str = "\u{e007}";

#[test]
fn a_keyboard_is_enough() {
    let Some(stage) = Stage::open() else { return };
    stage.browser.press(&stage.origin.url("/file.bin")).unwrap();
    stage.browser.wait("document.querySelector('#save-as').value === 'file'").unwrap();
    stage.browser.press(ENTER).unwrap();
    stage.wait_percent(5);
    reach(&stage, "pause-1");
    stage.browser.press(ENTER).unwrap();
    stage.wait_phase("paused");
    let focus = "document.activeElement.dataset.deed === 'resume-1'";
    stage.browser.wait(focus).unwrap();
    stage.origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(800));
    stage.browser.press(ENTER).unwrap();
    stage.wait_phase("done");
    stage.is_exact("file.bin");
}

/// Presses Tab until this button has the focus, and shows it.
fn reach(stage: &Stage, deed: &str) {
    let is = format!("return document.activeElement.dataset.deed === {};", json!(deed));
    for _ in 0..40 {
        if stage.browser.run(&is).unwrap() == true {
            let outline = "return getComputedStyle(document.activeElement).outlineStyle;";
            assert_ne!(stage.browser.run(outline).unwrap(), "none", "the focus is not seen");
            return;
        }
        stage.browser.press(&TAB.to_string()).unwrap();
    }
    panic!("no way to {deed} with the keyboard");
}

#[test]
fn nothing_is_wider_than_a_narrow_screen() {
    let long = "a-machine-whose-name-has-no-end-and-no-space-in-it-anywhere-at-all";
    let Some(stage) = Stage::with(&[(long, Decision::Yes)]) else { return };
    stage.browser.resize(320, 640).unwrap();
    fits(&stage);
    stage.submit("/file.bin", &"name-without-space-".repeat(8), "bin");
    stage.wait_percent(30);
    fits(&stage);
    stage.click("#job-buttons [data-deed=pause-1]");
    stage.wait_phase("paused");
    stage.click("#job-buttons [data-deed=link-1]");
    fits(&stage);
    stage.submit("/nothing", "gone", "");
    stage.browser.wait("document.querySelector('#job-name').innerText === 'gone'").unwrap();
    stage.wait_phase("failed");
    fits(&stage);
}

fn fits(stage: &Stage) {
    let wide = stage.browser.run("return document.documentElement.scrollWidth;").unwrap();
    assert!(wide.as_u64() <= Some(320), "{wide}");
}

#[test]
fn what_changes_is_said_and_what_only_moves_is_not() {
    let Some(stage) = Stage::open() else { return };
    stage.submit("/file.bin", "a", "bin");
    let live = "[...document.querySelectorAll('[role=status], [role=alert], [aria-live]')]";
    let figures = format!("{live}.some((one) => one.contains(document.querySelector('#figures')))");
    assert_eq!(stage.browser.run(&format!("return {figures};")).unwrap(), false);
    stage.origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(800));
    stage.wait_phase("done");
    stage.browser.wait("document.querySelector('#status').innerText.startsWith('Done')").unwrap();
}
