//! Every state of the page in light and in dark: a picture of it, and no serious violation of the
//! rules of accessibility that axe-core checks.

use crate::load::Load;
use crate::stage::Stage;
use haul_lab::browser::Looks;
use std::path::Path;

#[test]
fn every_state_is_accessible_in_light_and_in_dark() {
    let Some(mut stage) = Stage::open() else { return };
    let looks = Looks::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let at = |stage: &Stage, name: &str| looks.at(&stage.browser, name).unwrap();
    at(&stage, "helper-ready");
    let job = stage.asked_by("asha");
    stage.browser.wait("document.querySelector('#yes').disabled === false").unwrap();
    at(&stage, "helper-asked");
    stage.click("#always");
    stage.browser.find("#code").unwrap().fill("000000").unwrap();
    stage.browser.press(crate::stage::ENTER).unwrap();
    stage.shows("#ask-trouble", "more tries");
    at(&stage, "helper-code");
    stage.click("#code-back");
    stage.click("#yes");
    job.ends_helped();

    let load = Load::start(stage.address(), "ben");
    stage.browser.find("#ask").unwrap();
    stage.click("#yes");
    stage
        .browser
        .wait("/[1-9][0-9.]* [KM]iB\\/s/.test(document.querySelector('#helps').innerText)")
        .unwrap();
    stage.click("#deeds [data-deed=slower]");
    stage.shows("#helps", "slowed to");
    at(&stage, "helper-helping");
    stage.click("#deeds [data-deed=pause]");
    stage.shows("#state", "Paused");
    at(&stage, "helper-paused");
    load.ends();

    stage.click_summary();
    stage.type_into("limits-per-day", "-5G");
    stage.click("#save");
    stage.shows("#field-limits-per-day-wrong", "a size such as");
    at(&stage, "helper-rules-refused");
    std::fs::write(stage.policy(), "version = 2\n").unwrap();
    stage.browser.find("#rules-broken").unwrap();
    at(&stage, "helper-rules-broken");
    let port = stage.stop();
    stage.browser.find("#away").unwrap();
    at(&stage, "helper-away");
    crate::common::write_policy(stage.home.path(), "ask", "");
    stage.start(port);
    stage.browser.find("#link").unwrap();
    at(&stage, "helper-restarted");
}
