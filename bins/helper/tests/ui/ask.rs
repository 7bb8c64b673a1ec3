//! The question, and every answer that it takes.

use crate::job::Job;
use crate::stage::{ENTER, Stage};
use haul::{Answer, Home};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn a_yes_helps_and_the_question_says_who_wants_what_and_what_it_costs() {
    let Some(stage) = Stage::open() else { return };
    let job = stage.asked_by("asha");
    let asked = stage.text("#ask");
    for part in ["asha", "You do not know it", "127.0.0.1", "1.0 MiB of the", "today's 5.0 GiB"] {
        assert!(asked.contains(part), "no {part}: {asked}");
    }
    stage.shows("#ask-left", "s left; no answer means no");
    assert_eq!(stage.run("return document.title;"), "asha asks for help · haul");
    let focus = "return document.activeElement.closest('#ask') === null;";
    assert_eq!(stage.run(focus), true, "no answer is given by what was begun before");
    stage.click("#yes");
    job.ends_helped();
    stage.is_not_asked();
    stage.shows("#said", "You help asha for 2 hours.");
    stage.shows("#helped", "asha");
    stage.shows("#helped", "from 127.0.0.1");
}

#[test]
fn the_code_is_not_on_the_page_so_that_it_must_be_read_on_the_other_screen() {
    let Some(stage) = Stage::open() else { return };
    let job = stage.asked_by("asha");
    let code = job.code();
    let bare: String = code.chars().filter(char::is_ascii_digit).collect();
    let page = stage.run("return document.documentElement.outerHTML;");
    assert!(!page.as_str().unwrap().contains(&code) && !page.as_str().unwrap().contains(&bare));
    stage.press("n");
    job.ends_refused();
}

#[test]
fn a_no_refuses_with_the_pointer_and_with_a_key() {
    let Some(stage) = Stage::open() else { return };
    let job = stage.asked_by("asha");
    stage.click("#no");
    job.ends_refused();
    stage.is_not_asked();
    let job = stage.asked_by("ben");
    stage.press("n");
    job.ends_refused();
    stage.is_not_asked();
}

#[test]
fn always_takes_the_code_of_the_leaders_screen_and_asks_no_more() {
    let Some(stage) = Stage::open() else { return };
    let kept = TempDir::new().unwrap();
    let home = || Home::at(kept.path());
    let job = Job::start_as(&stage.address(), "asha", home(), TempDir::new().unwrap());
    stage.browser.find("#ask").unwrap();
    stage.press("p");
    stage.browser.wait("document.activeElement.id === 'code'").unwrap();
    stage.browser.press("000 000").unwrap();
    stage.browser.press(ENTER).unwrap();
    stage.shows("#ask-trouble", "That is not its code; 2 more tries are left");
    stage.click("#code-back");
    stage.click("#always");
    stage.browser.find("#code").unwrap().fill(&job.code()).unwrap();
    stage.browser.press(ENTER).unwrap();
    job.ends_helped();
    stage.shows("#said", "asha is known from now on.");
    assert!(stage.kept("known").starts_with("leader "), "{}", stage.kept("known"));
    let again = Job::start_as(&stage.address(), "asha", home(), TempDir::new().unwrap());
    again.ends_helped();
    assert_eq!(stage.run("return document.querySelector('#ask').hidden;"), true);
}

#[test]
fn never_refuses_for_good() {
    let Some(stage) = Stage::open() else { return };
    let kept = TempDir::new().unwrap();
    let home = || Home::at(kept.path());
    let job = Job::start_as(&stage.address(), "asha", home(), TempDir::new().unwrap());
    stage.browser.find("#ask").unwrap();
    stage.press("b");
    job.ends_refused();
    stage.shows("#said", "asha is blocked from now on.");
    assert!(stage.kept("blocked").contains("asha"), "{}", stage.kept("blocked"));
    let again = Job::start_as(&stage.address(), "another name", home(), TempDir::new().unwrap());
    assert_eq!(again.refusal(), Answer::No);
}

#[test]
fn the_time_runs_out_before_ones_eyes_and_silence_is_a_no() {
    let Some(stage) = Stage::open() else { return };
    let job = stage.asked_by("asha");
    let left = || stage.run("return document.querySelector('#ask-bar').value;").as_f64().unwrap();
    let first = left();
    assert!((30.0..=45.0).contains(&first), "{first}");
    stage.browser.wait(&format!("document.querySelector('#ask-bar').value < {first} - 3")).unwrap();
    job.ends_refused();
    stage.is_not_asked();
    stage.shows("#said", "The question of asha is closed.");
}

#[test]
fn what_was_meant_for_something_else_a_moment_before_is_no_answer() {
    let Some(stage) = Stage::open() else { return };
    // Clicks and types in the very moment in which the question turns up.
    stage.run(
        "new MutationObserver(() => {
           if (document.querySelector('#ask').hidden) return;
           document.querySelector('#yes').click();
           document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'y', bubbles: true }));
           window.hit = true;
         }).observe(document.querySelector('#ask'), { attributes: true });",
    );
    let job = stage.asked_by("asha");
    stage.browser.wait("window.hit").unwrap();
    stage.press("n");
    job.ends_refused();
}

#[test]
fn what_is_typed_into_a_field_is_no_answer() {
    let Some(stage) = Stage::open() else { return };
    stage.click_summary();
    let job = stage.asked_by("asha");
    stage.browser.find("#field-limits-per-day").unwrap().fill("").unwrap();
    stage.press("y");
    let typed = "document.querySelector('#field-limits-per-day').value";
    stage.browser.wait(&format!("{typed} === 'y'")).unwrap();
    assert_eq!(stage.run("return document.querySelector('#ask').hidden;"), false);
    stage.click("#no");
    job.ends_refused();
}

#[test]
fn names_full_of_markup_are_shown_as_text() {
    let Some(stage) = Stage::open() else { return };
    let evil = "<img src=x onerror=hit()>\u{202e}<script>hit()</script>\u{1b}[2J";
    let job = stage.asked_by(evil);
    // What is left of it is what a machine's name may hold.
    assert!(stage.text("#ask-what").contains("img srcx"), "{}", stage.text("#ask-what"));
    stage.click("#yes");
    job.ends_helped();
    stage.shows("#helped", "img srcx");
    let made = "return document.querySelectorAll('main img, main script, main b, main i').length;";
    assert_eq!(stage.run(made), 0);
    let shown = stage.run("return document.querySelector('main').textContent;").to_string();
    assert!(!shown.contains('\u{202e}') && !shown.contains("\\u001b"), "{shown}");
}

#[test]
fn a_name_of_the_page_itself_that_came_from_the_disk_is_text_too() {
    let Some(stage) = Stage::set() else { return };
    let evil = "<b id=evil>asha</b>";
    let helped = json!({ "v": 1, "at": 1, "seconds": 1, "leader": evil, "leader_id": "", "host": evil,
        "bytes": 1, "because": evil });
    std::fs::write(stage.home.path().join("history.jsonl"), helped.to_string() + "\n").unwrap();
    stage.browser.open(&stage.link).unwrap();
    stage.shows("#helped", evil);
    assert_eq!(stage.run("return document.querySelector('#evil');"), json!(null));
}

#[test]
fn two_tabs_show_the_same_question_and_one_answer_is_enough() {
    let Some(stage) = Stage::open() else { return };
    let first = stage.browser.another_tab().unwrap();
    stage.browser.open(stage.page()).unwrap();
    stage.is_ready();
    let job = stage.asked_by("asha");
    stage.browser.turn_to(&first).unwrap();
    stage.browser.find("#ask").unwrap();
    stage.click("#no");
    job.ends_refused();
    stage.is_not_asked();
    let second = stage.browser.another_tab().unwrap();
    stage.browser.open(stage.page()).unwrap();
    stage.is_ready();
    assert_eq!(stage.run("return document.querySelector('#ask').hidden;"), true);
    stage.browser.turn_to(&second).unwrap();
    stage.is_not_asked();
}

#[test]
fn a_page_that_nobody_sees_at_the_moment_is_a_door_all_the_same() {
    let Some(stage) = Stage::open() else { return };
    let behind = stage.browser.another_tab().unwrap();
    stage.browser.open("about:blank").unwrap();
    let job = Job::start(&stage.address(), "asha");
    job.code();
    stage.browser.turn_to(&behind).unwrap();
    stage.browser.find("#ask").unwrap();
    stage.click("#yes");
    job.ends_helped();
}

#[test]
fn a_page_finds_its_program_again_after_a_restart() {
    let Some(mut stage) = Stage::open() else { return };
    let job = stage.asked_by("asha");
    let port = stage.stop();
    stage.browser.find("#away").unwrap();
    stage.is_not_asked();
    assert!(stage.text("#away").contains("nothing is lent"), "{}", stage.text("#away"));
    assert_eq!(stage.run("return document.querySelector('#lending').hidden;"), true);
    assert!(job.ended().1.is_err());
    stage.start(port);
    stage.browser.find("#link").unwrap().fill(&stage.link).unwrap();
    stage.browser.press(ENTER).unwrap();
    stage.browser.wait("document.querySelector('#away').hidden").unwrap();
    stage.is_ready();
    let job = stage.asked_by("ben");
    stage.click("#yes");
    job.ends_helped();
}

#[test]
fn a_browser_without_the_link_is_told_what_to_do_and_sees_no_question() {
    let Some(stage) = Stage::set() else { return };
    stage.browser.open(stage.page()).unwrap();
    stage.browser.find("#link-form").unwrap();
    let job = Job::start(&stage.address(), "asha");
    job.code();
    assert_eq!(stage.run("return document.querySelector('#ask').hidden;"), true);
    assert!(!stage.text("body").contains("asha"));
    stage.browser.open(&stage.link).unwrap();
    stage.browser.find("#ask").unwrap();
    stage.click("#no");
    job.ends_refused();
}
