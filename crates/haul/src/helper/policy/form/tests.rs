use super::*;
use crate::Home;
use crate::helper::policy::{Care, Mode, Policies, Policy};
use proptest::prelude::*;
use std::path::PathBuf;
use tempfile::TempDir;

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(own: &str) -> Self {
        let desk = Self { folder: TempDir::new().unwrap() };
        fs::write(desk.own(), own).unwrap();
        desk
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    fn source(&self) -> PolicySource {
        PolicySource::file(self.own()).managed_from(self.folder.path().join("managed.toml"))
    }

    fn save(&self, typed: &[(&str, &str)]) -> Result<(), Unsaved> {
        let typed = typed.iter().map(|(name, text)| ((*name).into(), (*text).into()));
        self.source().save(&typed.collect())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.own()).unwrap()
    }

    fn policy(&self) -> Policy {
        Policies::open(self.source()).unwrap().in_force().policy.clone()
    }

    fn field(&self, name: &str) -> PolicyField {
        let fields = self.source().form().unwrap();
        fields.into_iter().find(|field| field.name == name).unwrap()
    }
}

fn faults(unsaved: Result<(), Unsaved>) -> BTreeMap<String, String> {
    match unsaved {
        Err(Unsaved::Fields(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_form_has_every_field_with_its_default_and_the_words_of_the_first_file() {
    let fields = Desk::new(TEMPLATE).source().form().unwrap();
    assert_eq!(fields.len(), 23);
    assert!(fields.iter().all(|field| !field.about.is_empty() && field.own.is_none()));
    let field = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
    assert_eq!(
        (field("mode").default.as_str(), field("limits.per_day").default.as_str()),
        ("ask", "5G")
    );
    assert_eq!(field("leaders.at_once").shape, Shape::Number);
    assert_eq!(
        (field("hosts.allow").shape, field("hosts.allow").default.as_str()),
        (Shape::List, "*")
    );
    assert_eq!(field("limits.per_day").about, field("limits.per_job").about);
    assert_eq!(field("leaders.known").shape, Shape::Shown);
}

#[test]
fn every_word_of_a_choice_is_one_that_the_parser_takes() {
    let desk = Desk::new(TEMPLATE);
    for (name, words) in CHOICES {
        for word in words {
            desk.save(&[(name, word)]).unwrap();
            assert_eq!(desk.field(name).own.as_deref(), Some(*word));
        }
    }
    let never = (Mode::Never, Care::Allow);
    assert_eq!((desk.policy().mode, desk.policy().vpn), never);
}

#[test]
fn what_is_saved_changes_its_field_and_no_other_line_of_the_first_file() {
    let desk = Desk::new(TEMPLATE);
    desk.save(&[
        ("limits.per_day", "9G"),
        ("mode", "known"),
        ("hosts.deny", "a.example\n *.b.example \n"),
    ])
    .unwrap();
    let expected = TEMPLATE
        .replace("#per_day = \"5G\"", "per_day = \"9G\"")
        .replace("#mode = \"ask\"", "mode = \"known\"")
        .replace("#deny = []", "deny = [\"a.example\", \"*.b.example\"]");
    assert_eq!(desk.text(), expected);
    desk.save(&[("limits.per_day", " "), ("mode", ""), ("hosts.deny", "\n")]).unwrap();
    assert_eq!(desk.text(), TEMPLATE);
    assert_eq!(desk.policy(), Policy::default());
}

#[test]
fn what_a_person_wrote_stays_as_it_is_around_a_changed_field() {
    let desk =
        Desk::new("version = 1 # mine\n[limits]\n  per_day = \"1G\"   # enough\nrate = \"1M\"");
    desk.save(&[("limits.per_day", "2G"), ("limits.connections", "3"), ("when.battery", "9%")])
        .unwrap();
    assert_eq!(
        desk.text(),
        "version = 1 # mine\n[limits]\nconnections = 3\n  per_day = \"2G\"   # enough\nrate = \"1M\"\n\n\
         [when]\nbattery = \"9%\"\n"
    );
    desk.save(&[("limits.rate", "")]).unwrap();
    assert_eq!(desk.field("limits.rate").own, None);
    assert!(desk.text().contains("# enough"));
}

#[test]
fn what_is_written_in_another_way_is_changed_rightly_or_not_at_all() {
    for text in [
        "version = 1\nlimits = { per_day = \"1G\", rate = \"2M\" }\n",
        "version = 1\nlimits.per_day = \"1G\"\nlimits.rate = \"2M\"\n",
        "version = 1\n[limits]\n\"per_day\" = '1G'\nrate = \"2M\"\n",
        "version = 1\n[when]\nhours = [\n  \"any\", # all day\n]\n[limits]\nper_day = \"1G\"\nrate = \"2M\"\n",
    ] {
        for (typed, name) in [
            ("3G", "limits.per_day"),
            ("", "limits.per_day"),
            ("22:00-07:00", "when.hours"),
            ("", "when.hours"),
            ("3", "limits.connections"),
        ] {
            let desk = Desk::new(text);
            let rate = || desk.policy().rate;
            let before = rate();
            match desk.save(&[(name, typed)]) {
                Ok(()) => {
                    assert_eq!(
                        desk.field(name).own.as_deref().unwrap_or_default(),
                        typed,
                        "{text}"
                    );
                }
                Err(Unsaved::File(error)) => {
                    assert!(error.remedy().unwrap().contains("in an editor"), "{error:?}");
                    assert_eq!(desk.text(), text);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(rate(), before, "{text}");
        }
    }
}

#[test]
fn every_fault_is_told_at_its_field_and_then_nothing_is_saved() {
    let desk = Desk::new(TEMPLATE);
    let faults = faults(desk.save(&[
        ("limits.per_day", "-5G"),
        ("limits.connections", "9"),
        ("leaders.at_once", "two"),
        ("when.hours", "any\n9-17"),
        ("hosts.deny", "a b"),
        ("mode", "perhaps"),
        ("leaders.known", "me"),
        ("limits.per_month", "1G"),
        ("limits.rate", "1M\"\nmode = \"always"),
        ("limits.per_job", "1G"),
    ]));
    for (name, because) in [
        ("limits.per_day", "a size such as"),
        ("limits.connections", "a whole number from 1 to 8"),
        ("leaders.at_once", "a whole number from 1 to 256"),
        ("when.hours", "hours such as"),
        ("hosts.deny", "a host such as"),
        ("mode", "unknown variant `perhaps`"),
        ("leaders.known", "changed in the file"),
        ("limits.per_month", "no such field"),
        ("limits.rate", "a rate of at least 1k"),
    ] {
        assert!(faults[name].contains(because), "{name}: {}", faults[name]);
    }
    assert_eq!(faults.len(), 9);
    assert_eq!(desk.text(), TEMPLATE);
}

#[test]
fn what_the_organisation_has_set_is_shown_and_cannot_be_saved_over() {
    let desk = Desk::new(TEMPLATE);
    let managed = "version = 1\nmode = \"known\"\n[hosts]\ndeny = [\"b.example\"]\n";
    fs::write(desk.folder.path().join("managed.toml"), managed).unwrap();
    assert_eq!(desk.field("mode").managed.as_deref(), Some("known"));
    let faults = faults(desk.save(&[("mode", "always"), ("limits.per_day", "1G")]));
    assert_eq!(faults["mode"], "it is managed by your organisation");
    assert_eq!(desk.text(), TEMPLATE);
    desk.save(&[("hosts.deny", "a.example")]).unwrap();
    assert!(!desk.policy().admits_host("a.example") && !desk.policy().admits_host("b.example"));
}

#[test]
fn what_was_said_for_this_run_is_told() {
    let desk = Desk::new(TEMPLATE);
    let fields = desk.source().mode(Mode::Ask).form().unwrap();
    let said: Vec<_> = fields.iter().filter(|field| field.said).map(|field| &field.name).collect();
    assert_eq!(said, ["mode"]);
}

#[test]
fn a_file_that_is_no_policy_is_neither_shown_nor_changed() {
    let desk = Desk::new("version = 1\nmdoe = 1\n");
    assert_eq!(desk.source().form().unwrap_err().line(), Some(2));
    assert!(matches!(desk.save(&[("mode", "ask")]), Err(Unsaved::File(_))));
    assert!(matches!(PolicySource::default().save(&BTreeMap::new()), Err(Unsaved::File(_))));
}

#[test]
fn a_home_without_a_policy_gets_the_first_file_with_the_change() {
    let folder = TempDir::new().unwrap();
    let source = PolicySource::of_home(&Home::at(folder.path()));
    source.save(&BTreeMap::from([("mode".to_owned(), "never".to_owned())])).unwrap();
    let text = fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    assert_eq!(text, TEMPLATE.replace("#mode = \"ask\"", "mode = \"never\""));
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let desk = Desk::new(TEMPLATE);
    let real = desk.folder.path().join("real.toml");
    fs::rename(desk.own(), &real).unwrap();
    std::os::unix::fs::symlink(&real, desk.own()).unwrap();
    desk.save(&[("mode", "never")]).unwrap();
    assert!(fs::symlink_metadata(desk.own()).unwrap().is_symlink());
    assert!(fs::read_to_string(real).unwrap().contains("\nmode = \"never\""));
}

proptest! {
    #[test]
    fn nothing_that_is_typed_changes_another_field(
        at in 0usize..23, typed in "(?s).{0,40}",
    ) {
        let desk = Desk::new(TEMPLATE);
        let before = desk.source().form().unwrap();
        let name = before[at].name.clone();
        let saved = desk.save(&[(&name, &typed)]);
        let after = desk.source().form().unwrap();
        for (one, other) in before.iter().zip(&after) {
            prop_assert!(one.name == name || one == other);
        }
        prop_assert!(saved.is_ok() || before == after);
    }
}
