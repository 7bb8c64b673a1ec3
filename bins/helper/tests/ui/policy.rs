//! The owner's rules as a form.

use crate::stage::{ENTER, Stage};
use serde_json::json;
use std::fs;

impl Stage {
    /// Opens the form.
    pub(crate) fn click_summary(&self) {
        self.browser.find("#rules summary").unwrap().click().unwrap();
        self.browser.find("#field-limits-per-day").unwrap();
    }

    pub(crate) fn type_into(&self, field: &str, text: &str) {
        self.browser.find(&format!("#field-{field}")).unwrap().fill(text).unwrap();
    }

    fn choose(&self, field: &str, word: &str) {
        self.run(&format!("document.querySelector('#field-{field}').value = {};", json!(word)));
    }

    fn value(&self, field: &str) -> String {
        let value = self.run(&format!("return document.querySelector('#field-{field}').value;"));
        value.as_str().unwrap().to_owned()
    }
}

#[test]
fn what_is_typed_is_saved_into_the_file_and_holds_in_a_moment() {
    let Some(stage) = Stage::open() else { return };
    let before = stage.kept("policy.toml");
    stage.click_summary();
    assert_eq!(stage.value("when-metered"), "allow", "the form shows what the file says");
    stage.type_into("limits-per-day", "9G");
    stage.type_into("hosts-deny", "a.example\n*.b.example");
    stage.choose("mode", "known");
    stage.click("#save");
    stage.shows("#policy-said", "Saved");
    stage.shows("#today-text", "of 9.0 GiB");
    stage.shows("#facts", "only who is known is helped");
    let text = stage.kept("policy.toml");
    for part in ["per_day = \"9G\"", "mode = \"known\"", "deny = [\"a.example\", \"*.b.example\"]"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        text.contains(before.split("[when]").nth(1).unwrap().split("[limits]").next().unwrap())
    );
    stage.type_into("limits-per-day", "");
    stage.click("#save");
    stage.shows("#today-text", "of 5.0 GiB");
    assert!(!stage.kept("policy.toml").contains("\nper_day"));
}

#[test]
fn what_cannot_be_is_told_at_its_field_and_nothing_is_saved() {
    let Some(stage) = Stage::open() else { return };
    let before = stage.kept("policy.toml");
    stage.click_summary();
    stage.type_into("limits-per-job", "1G");
    stage.type_into("limits-per-day", "-5G");
    stage.type_into("when-hours", "9-17");
    stage.browser.find("#field-limits-connections").unwrap().fill("99").unwrap();
    stage.browser.press(ENTER).unwrap();
    stage.shows("#policy-said", "Nothing was saved");
    stage.shows("#field-limits-per-day-wrong", "a size such as");
    stage.shows("#field-when-hours-wrong", "hours such as");
    stage.shows("#field-limits-connections-wrong", "a whole number from 1 to 8");
    let wrong = "return [...document.querySelectorAll('[aria-invalid]')].map((one) => one.id);";
    let wrong = stage.run(wrong);
    assert_eq!(
        wrong,
        json!(["field-limits-per-day", "field-limits-connections", "field-when-hours"])
    );
    assert_eq!(stage.run("return document.activeElement.id;"), "field-limits-per-day");
    assert_eq!(stage.value("limits-per-job"), "1G", "what was typed stays");
    assert_eq!(stage.kept("policy.toml"), before);
    stage.click("#undo");
    assert_eq!(stage.value("limits-per-job"), "");
    assert_eq!(stage.run("return document.querySelectorAll('[aria-invalid]').length;"), 0);
}

#[test]
fn a_file_that_is_changed_elsewhere_shows_and_what_is_being_typed_stays() {
    let Some(stage) = Stage::open() else { return };
    stage.click_summary();
    stage.type_into("limits-per-job", "1G");
    let text = stage.kept("policy.toml").replace("[limits]", "[limits]\nper_day = \"7G\"");
    fs::write(stage.policy(), text).unwrap();
    stage.browser.wait("document.querySelector('#field-limits-per-day').value === '7G'").unwrap();
    assert_eq!(stage.value("limits-per-job"), "1G");
    assert_eq!(stage.run("return document.activeElement.id;"), "field-limits-per-job");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_line_and_the_form_comes_back_with_it() {
    let Some(stage) = Stage::open() else { return };
    let good = stage.kept("policy.toml");
    fs::write(stage.policy(), "version = 1\nmdoe = \"ask\"\n").unwrap();
    stage.browser.find("#rules-broken").unwrap();
    let told = stage.text("#rules-broken");
    assert!(told.contains("policy.toml:2:") && told.contains("correct line 2"), "{told}");
    stage.shows("#facts", "Not in force");
    fs::write(stage.policy(), good).unwrap();
    stage.browser.wait("document.querySelector('#rules-broken').hidden").unwrap();
    stage.click_summary();
}

#[test]
fn every_field_has_a_name_that_people_use() {
    let Some(stage) = Stage::open() else { return };
    stage.click_summary();
    let labels = stage.run(
        "return [...document.querySelectorAll('#fields label')].map((one) => one.textContent);",
    );
    let labels: Vec<&str> =
        labels.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(labels.len(), 23);
    assert!(labels.iter().all(|label| !label.contains('.') && !label.contains('_')), "{labels:?}");
}
