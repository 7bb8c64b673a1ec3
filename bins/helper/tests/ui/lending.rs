//! What is lent, as it happens, and the owner's hand on it.

use crate::load::Load;
use crate::stage::Stage;
use haul::control::State;
use std::time::Instant;

#[test]
fn a_help_is_seen_slowed_down_let_go_and_stopped_at_once() {
    let Some(stage) = Stage::open() else { return };
    let load = Load::start(stage.address(), "asha");
    stage.browser.find("#ask").unwrap();
    stage.click("#yes");
    stage.shows("#state", "Helping");
    stage.shows("#helps", "asha: a file from 127.0.0.1");
    stage
        .browser
        .wait("/[1-9][0-9.]* [KM]iB\\/s/.test(document.querySelector('#helps').innerText)")
        .unwrap();
    stage.browser.wait("/lends .* · haul/.test(document.title)").unwrap();
    stage.click("#deeds [data-deed=slower]");
    stage.shows("#helps", "slowed to");
    let limit = stage.status().limit.unwrap();
    // The link of the helper brings 2 MiB a second; some of that is there at once.
    assert!((16 << 10..3 << 20).contains(&limit), "{limit}");
    stage.browser.wait("document.querySelector('#deeds [data-deed=faster]')").unwrap();
    let focus = stage.run("return document.activeElement.dataset.deed;");
    assert_eq!(focus, "slower", "the focus stays where it was");
    stage.click("#deeds [data-deed=slower]");
    let slower = || stage.status().limit.is_some_and(|now| now <= limit / 2 + 1);
    assert!(within(slower), "{:?}", stage.status().limit);
    stage.click("#deeds [data-deed=faster]");
    assert!(within(|| stage.status().limit.is_none()));
    stage.click("#helps [data-deed=end]");
    assert!(within(|| stage.status().helping.is_empty()));
    stage.shows("#state", "Ready to help");
    stage.shows("#helped", "Ended by the owner");
    let report = load.ends();
    assert!(report.workers[1].bytes > 0);
}

#[test]
fn what_is_lent_counts_against_the_day_and_the_month_as_one_looks() {
    let Some(stage) = Stage::open() else { return };
    assert!(
        stage.text("#today-text").starts_with("Today: 0 B of 5.0 GiB"),
        "{}",
        stage.text("#today-text")
    );
    let load = Load::start(stage.address(), "asha");
    stage.browser.find("#ask").unwrap();
    stage.click("#yes");
    for lent in ["#today-text", "#month-text"] {
        stage
            .browser
            .wait(&format!("/[0-9] MiB of/.test(document.querySelector('{lent}').textContent)"))
            .unwrap();
    }
    stage
        .browser
        .wait("document.querySelector('#today').value > document.querySelector('#month').value")
        .unwrap();
    stage.click("#helps [data-deed=end]");
    load.ends();
}

#[test]
fn a_pause_ends_help_and_lasts_until_it_is_resumed() {
    let Some(mut stage) = Stage::open() else { return };
    let load = Load::start(stage.address(), "asha");
    stage.browser.find("#ask").unwrap();
    stage.click("#yes");
    stage.shows("#state", "Helping");
    stage.click("#deeds [data-deed=pause]");
    stage.shows("#state", "Paused");
    stage.shows("#state-why", "until you resume");
    assert!(stage.status().helping.is_empty());
    load.ends();
    let port = stage.stop();
    stage.start(port);
    assert_eq!(stage.status().state, State::Paused);
    stage.browser.open(&stage.link).unwrap();
    stage.is_ready();
    stage.click("#deeds [data-deed=resume]");
    stage.shows("#state", "Ready to help");
    stage.click("#deeds [data-deed=quarter]");
    stage.shows("#state-why", "Nobody is helped until");
    let left = stage.status().paused_until.unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((800..=900).contains(&(left.unsigned_abs() - now)), "{left}");
    stage.click("#deeds [data-deed=resume]");
    stage.shows("#state", "Ready to help");
}

#[test]
fn two_tabs_show_and_steer_the_same_help() {
    let Some(stage) = Stage::open() else { return };
    let first = stage.browser.another_tab().unwrap();
    stage.browser.open(stage.page()).unwrap();
    stage.is_ready();
    stage.click("#deeds [data-deed=pause]");
    stage.shows("#state", "Paused");
    stage.browser.turn_to(&first).unwrap();
    stage.shows("#state", "Paused");
    stage.click("#deeds [data-deed=resume]");
    stage.shows("#state", "Ready to help");
}

fn within(is: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < crate::common::PATIENCE {
        if is() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    false
}
