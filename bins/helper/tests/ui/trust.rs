//! A yes that lasts, a no, and a block: each is chosen, seen, and taken back on the page.

use crate::job::Job;
use crate::load::Load;
use crate::stage::Stage;
use haul::trust::Covers;
use haul::{Answer, Home};
use haul_lab::browser::Looks;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

/// A leader that stays the same.
struct Asha(TempDir);

impl Asha {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn asks(&self, stage: &Stage) -> Job {
        // An address is answered once in two seconds.
        std::thread::sleep(std::time::Duration::from_millis(2100));
        let home = Home::at(self.0.path());
        Job::start_as(&stage.address(), "asha", home, TempDir::new().unwrap())
    }

    /// The same, and the question is on the page.
    fn is_asked_about(&self, stage: &Stage) -> Job {
        let job = self.asks(stage);
        stage.browser.wait("document.querySelector('#ask').hidden === false").unwrap();
        job
    }
}

#[test]
fn a_yes_lasts_as_long_as_is_chosen_and_two_hours_unless_told() {
    let Some(stage) = Stage::open() else { return };
    let asha = Asha::new();
    for (choice, covers_all, least) in [("file", false, 7000), ("today", true, 0), ("", true, 7000)]
    {
        let job = asha.is_asked_about(&stage);
        let chosen = stage.run("return document.querySelector('#lasts :checked').value;");
        assert_eq!(chosen, "hours", "each question begins with it");
        if !choice.is_empty() {
            stage.browser.find(&format!("#lasts [value={choice}]")).unwrap().click().unwrap();
        }
        // A key is an answer also where the choice has the focus.
        stage.press("y");
        let [grant] = &granted(&stage)[..] else { panic!("one yes") };
        assert_eq!(grant.covers == Covers::All, covers_all, "{choice}");
        assert!((least..=86_400).contains(&(grant.until - grant.made)), "{grant:?}");
        job.ends_helped();
        if covers_all {
            asha.asks(&stage).ends_helped();
            stage.shows("#trusted", "helped without a question until");
            stage.shows("#trusted", "in 2 files so far");
            stage.click("#trusted [data-undo=granted]");
        }
        stage.browser.wait("document.querySelector('#trusted li') === null").unwrap();
        stage.shows("#trust-none", "Nobody at present");
    }
}

#[test]
fn a_yes_that_is_taken_back_ends_what_is_under_way() {
    let Some(stage) = Stage::open() else { return };
    let load = Load::start(stage.address(), "asha");
    stage.browser.find("#ask").unwrap();
    stage.click("#yes");
    stage.shows("#state", "Helping");
    stage.click("#trusted [data-undo=granted]");
    stage.shows("#state", "Ready to help");
    stage.shows("#said", "asha is asked about again.");
    stage.shows("#helped", "The owner took the yes back");
    assert!(stage.status().helping.is_empty() && stage.status().granted.is_empty());
    load.ends();
}

#[test]
fn a_no_and_a_block_are_seen_and_taken_back() {
    let Some(stage) = Stage::open() else { return };
    let looks = Looks::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let asha = Asha::new();
    let job = asha.is_asked_about(&stage);
    stage.press("n");
    job.ends_refused();
    stage.shows("#trusted", "refused: you are not asked about it before");
    assert_eq!(asha.asks(&stage).refusal(), Answer::Later);
    stage.click("#trusted [data-undo=refused]");
    stage.browser.wait("document.querySelector('#trusted li') === null").unwrap();
    let job = asha.is_asked_about(&stage);
    stage.press("b");
    job.ends_refused();
    stage.shows("#trusted", "blocked: never helped");
    looks.at(&stage.browser, "helper-trust").unwrap();
    assert_eq!(asha.asks(&stage).refusal(), Answer::No);
    stage.click("#trusted [data-undo=blocked]");
    stage.browser.wait("document.querySelector('#trusted li') === null").unwrap();
    let job = asha.is_asked_about(&stage);
    stage.click("#yes");
    job.ends_helped();
}

#[test]
fn a_known_leader_is_seen_and_forgotten() {
    let Some(stage) = Stage::open() else { return };
    let id = "ab".repeat(32);
    let trust = haul::trust::Trust::of(&Home::at(stage.home.path()));
    trust.add(haul::trust::Role::Leader, &id, "Asha of ward 3").unwrap();
    stage.shows("#trusted", "Asha of ward 3");
    stage.click("#trusted [data-undo=known]");
    stage.browser.wait("document.querySelector('#trusted li') === null").unwrap();
    assert_eq!(json!(trust.list().unwrap()), json!([]));
}

fn granted(stage: &Stage) -> Vec<haul::trust::Grant> {
    let began = std::time::Instant::now();
    loop {
        let granted = stage.status().granted;
        if !granted.is_empty() || began.elapsed() > crate::common::PATIENCE {
            return granted;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
