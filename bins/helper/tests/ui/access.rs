//! Everybody can use the page: with the keyboard alone, on a narrow screen, and by ear.

use crate::load::Load;
use crate::stage::{ENTER, Stage, TAB};

/// A name as long as a machine's may be, without a place to break it.
const LONG: &str = "a-machine-whose-name-has-no-end-and-no-space-in-it-anywhere-at-all";

#[test]
fn a_keyboard_is_enough() {
    let Some(stage) = Stage::open() else { return };
    let load = Load::start(stage.address(), "asha");
    stage.browser.find("#ask").unwrap();
    stage.browser.wait("document.querySelector('#yes').disabled === false").unwrap();
    reach(&stage, "#always");
    stage.browser.press(ENTER).unwrap();
    reach(&stage, "#code-back");
    stage.browser.press(ENTER).unwrap();
    stage.browser.wait("document.activeElement.id === 'always'").unwrap();
    reach(&stage, "#yes");
    stage.browser.press(ENTER).unwrap();
    stage.shows("#state", "Helping");
    stage.browser.wait("document.activeElement.id === 'top'").unwrap();
    reach(&stage, "#deeds [data-deed=pause]");
    stage.browser.press(ENTER).unwrap();
    stage.shows("#state", "Paused");
    stage.browser.wait("document.activeElement.dataset.deed === 'resume'").unwrap();
    stage.browser.press(ENTER).unwrap();
    stage.shows("#state", "Ready to help");
    reach(&stage, "#rules summary");
    stage.browser.press(ENTER).unwrap();
    reach(&stage, "#field-limits-per-day");
    stage.browser.press("9G").unwrap();
    reach(&stage, "#save");
    stage.browser.press(ENTER).unwrap();
    stage.shows("#policy-said", "Saved");
    assert!(stage.kept("policy.toml").contains("per_day = \"9G\""));
    load.ends();
}

/// Presses Tab until this has the focus, and shows it.
fn reach(stage: &Stage, selector: &str) {
    let is = format!("return document.activeElement === document.querySelector('{selector}');");
    for _ in 0..60 {
        if stage.run(&is) == true {
            let outline = "return getComputedStyle(document.activeElement).outlineStyle;";
            assert_ne!(stage.run(outline), "none", "the focus is not seen");
            return;
        }
        stage.browser.press(TAB).unwrap();
    }
    panic!("no way to {selector} with the keyboard");
}

#[test]
fn nothing_is_wider_than_a_narrow_screen() {
    let Some(stage) = Stage::open() else { return };
    stage.browser.resize(320, 640).unwrap();
    fits(&stage);
    let job = stage.asked_by(LONG);
    fits(&stage);
    stage.click("#always");
    fits(&stage);
    stage.click("#code-back");
    stage.click("#yes");
    job.ends_helped();
    stage.shows("#helped", "127.0.0.1");
    stage.click_summary();
    fits(&stage);
    stage.type_into("hosts-deny", &format!("{LONG} {LONG}"));
    stage.click("#save");
    stage.shows("#field-hosts-deny-wrong", "a host such as");
    fits(&stage);
}

fn fits(stage: &Stage) {
    let wide = stage.run("return document.documentElement.scrollWidth;");
    assert!(wide.as_u64() <= Some(320), "{wide}");
}

#[test]
fn a_question_is_heard_once_and_what_only_moves_is_not_heard() {
    let Some(stage) = Stage::open() else { return };
    let job = stage.asked_by("asha");
    let heard = "document.querySelector('#ask-said[role=alert]').textContent";
    stage.browser.wait(&format!("{heard}.includes('asha wants to download a file')")).unwrap();
    let live =
        "[...document.querySelectorAll('[role=status], [role=alert], [role=log], [aria-live]')]";
    for moving in ["#ask-left", "#ask-bar", "#helps", "#today-text"] {
        let is_heard =
            format!("{live}.some((one) => one.contains(document.querySelector('{moving}')))");
        assert_eq!(stage.run(&format!("return {is_heard};")), false, "{moving}");
    }
    stage.click("#no");
    job.ends_refused();
    stage.shows("#said", "You do not help asha.");
    stage.browser.wait(&format!("{heard} === ''")).unwrap();
}
