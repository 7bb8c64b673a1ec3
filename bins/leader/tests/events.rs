//! Every line of `--json` is what `docs/events.schema.json` says, whatever happens in a download.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

#[path = "common/neighbours.rs"]
mod neighbours;

use haul::trust::Standing;
use haul::{
    Answer, Cause, Checks, Decision, Deliverer, Event, Failed, Happening, Report, Stretch,
    Verified, WorkerProgress, WorkerReport,
};
use haul_lab::lan::Process;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use neighbours::Neighbours;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);
const SIZE: u64 = 6 << 20;

#[test]
fn every_line_of_a_helped_download_is_in_the_schema() {
    let place = Place::new();
    let mut helpers = Neighbours::new();
    helpers.add("asha", Decision::Yes);
    helpers.add("<b>\"ben\"\n", Decision::Yes);
    helpers.add("chi", Decision::No);
    let told = place.run(&["/file.bin", "--helpers", &helpers.addresses()]);
    for kind in ["probed", "asked", "answered", "joined", "progress", "published", "done"] {
        assert!(told.contains(kind), "{told:?}");
    }
}

#[test]
fn a_helper_that_leaves_is_told_in_the_schema_s_words() {
    let place = Place::new();
    let mut helpers = Neighbours::new();
    helpers.add("asha", Decision::Yes);
    let mut leader = place.start(&["/file.bin", "--helpers", &helpers.addresses()]);
    leader.wait_for(PATIENCE, |told, _| told.contains("\"joined\"")).unwrap();
    helpers.dismiss();
    assert!(Place::end(leader).contains("lost"));
}

#[test]
fn downloads_of_every_form_are_told_in_the_schema_s_words() {
    let place = Place::new();
    for path in ["/whole.bin", "/chunked.bin", "/close.bin", "/empty.bin"] {
        assert!(place.run(&[path, "--helpers", "none"]).contains("done"), "{path}");
    }
}

#[test]
fn failures_are_told_in_the_schema_s_words() {
    let place = Place::new();
    let wrong = format!("sha-256={}", "ab".repeat(32));
    for arguments in [
        &["/nothing"][..],
        &["/file.bin", "--checksum", &wrong],
        &["/file.bin", "--checksum", "nonsense"],
        &["/file.bin", "-d", "/no/such/folder"],
        &["/whole.bin", "--min-helpers", "1"],
        &["/file.bin", "--no-such-flag"],
    ] {
        let arguments = [arguments, &["--helpers", "none"]].concat();
        assert!(place.run(&arguments).contains("failed"), "{arguments:?}");
    }
}

#[test]
fn a_download_that_goes_on_is_told_in_the_schema_s_words() {
    let place = Place::new();
    let mut leader = place.start(&["/file.bin", "--helpers", "none"]);
    leader.wait_for(PATIENCE, |told, _| told.matches("\"progress\"").count() > 4).unwrap();
    leader.interrupt().unwrap();
    assert!(Place::end(leader).contains("failed"));
    let leader = place.start(&["/file.bin", "--helpers", "none", "--continue"]);
    assert!(Place::end(leader).contains("done"));
}

#[test]
fn every_line_of_a_list_is_in_the_schema_and_all_but_the_last_say_which_file_it_is() {
    let place = Place::new();
    let all_failed = place.run_list(&[("/file.bin", "a"), ("/nothing", "b"), ("/empty.bin", "c")]);
    assert_eq!((all_failed["done"].as_u64(), all_failed["code"].as_u64()), (Some(2), Some(3)));
    let all_done = place.run_list(&[("/file.bin", "a"), ("/close.bin", "d")]);
    assert_eq!(all_done["skipped"].as_u64(), Some(1), "{all_done}");
}

#[test]
fn a_list_that_is_stopped_is_told_in_the_schema_s_words() {
    let place = Place::new();
    let mut leader = place.start_list(&[("/file.bin", "a"), ("/file.bin", "b")]);
    leader.wait_for(PATIENCE, |told, _| told.contains("\"progress\"")).unwrap();
    leader.interrupt().unwrap();
    let last = Place::events(leader).pop().unwrap();
    assert_eq!((&last["event"], last["code"].as_u64()), (&json!("failed"), Some(7)), "{last}");
}

#[test]
fn every_kind_of_event_has_its_words_and_every_word_its_kind() {
    let schema = schema();
    let mut names = BTreeSet::new();
    for what in every_kind() {
        let event = serde_json::to_value(Event { at: Duration::ZERO, what }).unwrap();
        names.insert(event["event"].as_str().unwrap().to_owned());
        check(&schema, &schema, &event).unwrap();
    }
    let kinds = schema["oneOf"].as_array().unwrap().iter();
    let defined = kinds.map(|one| {
        let place = one["$ref"].as_str().unwrap().trim_start_matches('#');
        schema.pointer(place).unwrap()["properties"]["event"]["const"].as_str().unwrap()
    });
    assert_eq!(names, defined.map(str::to_owned).collect());
}

#[test]
fn what_is_not_in_the_schema_is_found_out() {
    let schema = schema();
    for line in [
        r#"{"event":"note","at":0.5}"#,
        r#"{"event":"note","at":-1,"text":"a"}"#,
        r#"{"event":"note","at":0,"text":""}"#,
        r#"{"event":"note","at":0,"text":"a","more":1}"#,
        r#"{"event":"unknown","at":0}"#,
        r#"{"event":"repaired","at":0,"bytes":1.5}"#,
        r#"{"event":"found","at":0,"address":"10.0.0.1","how":"luck"}"#,
    ] {
        assert!(check(&schema, &schema, &serde_json::from_str(line).unwrap()).is_err(), "{line}");
    }
}

fn every_kind() -> Vec<Happening> {
    let (worker, name) = (1, "asha".to_owned());
    let address = "[fe80::1]:4285".parse().unwrap();
    let because = "it was stopped".to_owned();
    let shown = WorkerProgress { worker, name: name.clone(), bytes: 1, rate: 2, lanes: 3, held: 0 };
    let map = [Deliverer::Missing, Deliverer::Earlier, Deliverer::Worker(1)];
    let map = map.map(|by| Stretch { cells: 80, by }).to_vec();
    let ip = Some([10, 0, 0, 2].into());
    let (bytes, wasted, spoiled) = (1, 0, 2);
    let reported = WorkerReport { worker, name: name.clone(), address: ip, bytes, wasted, spoiled };
    let report = Report {
        v: 1,
        path: "file".into(),
        bytes: 1,
        seconds: 0.5,
        verified: Verified::Sha512,
        checks: Some(Checks { samples: 3, bytes: 4096, of: 1 << 20 }),
        workers: vec![reported],
        alone_seconds: 1.0,
        speedup: 2.0,
    };
    let (error, r#try) = ("it failed".to_owned(), "again".to_owned());
    let failed = Failed { v: 1, code: 7, error, because: because.clone(), r#try };
    let told = Some(because.clone());
    let offered = |standing| {
        let (name, code) = (name.clone(), "123456".to_owned());
        Happening::Offered { worker, name, address, code, standing }
    };
    let answer = Answer::Busy;
    vec![
        Happening::Probed { size: None, ranges: true, validator: None, name: name.clone() },
        Happening::Found { address: [10, 0, 0, 2].into(), how: "arp" },
        Happening::Asked { interfaces: 1, addresses: 2 },
        offered(Standing::Stranger),
        offered(Standing::Namesake),
        offered(Standing::Group),
        offered(Standing::Known { name: "asha's".into() }),
        Happening::Answered { worker, name: name.clone(), address, answer, because: told },
        Happening::Joined { worker, name: name.clone(), address, code: "123 456".into() },
        Happening::Progress { stored: 1, durable: 0, rate: 2, workers: vec![shown], map },
        Happening::Blamed { worker, name: name.clone(), address: ip, bytes },
        Happening::Lost { worker, name, because },
        Happening::Repaired { bytes: 1 },
        Happening::Note { text: "a word".into() },
        Happening::Nobody {
            causes: vec![Cause { because: "a VPN is up".into(), r#try: "that".into() }],
        },
        Happening::Published { path: "file".into() },
        Happening::Done(report),
        Happening::Failed(failed),
    ]
}

/// An origin, and a folder to save in.
struct Place {
    folder: TempDir,
    origin: Origin,
}

impl Place {
    fn new() -> Self {
        let payload = Payload::new(9, SIZE);
        let origin = Origin::builder()
            .serve("/file.bin", Resource::of(payload))
            .serve("/whole.bin", Resource::of(payload).without_ranges())
            .serve("/chunked.bin", Resource::of(payload).chunked())
            .serve("/close.bin", Resource::of(payload).close_delimited())
            .serve("/empty.bin", Resource::of(Payload::new(1, 0)))
            .shape(Shape::by_peer(Rate::mbit(16)))
            .start()
            .unwrap();
        Self { folder: TempDir::new().unwrap(), origin }
    }

    /// The kinds of all events of a run; each must be in the schema.
    fn run(&self, arguments: &[&str]) -> BTreeSet<String> {
        Self::end(self.start(arguments))
    }

    fn start(&self, arguments: &[&str]) -> Process {
        self.get(&[&[self.origin.url(arguments[0]).as_str()], &arguments[1..]].concat())
    }

    /// The last event of a run with a list of paths and of names to save under; each must be in the
    /// schema, and all others say which of the files they are about.
    fn run_list(&self, files: &[(&str, &str)]) -> Value {
        let mut events = Self::events(self.start_list(files));
        let last = events.pop().unwrap();
        assert!(last.get("file").is_none(), "{last}");
        let numbers: BTreeSet<u64> =
            events.iter().map(|event| event["file"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=files.len() as u64).collect());
        last
    }

    fn start_list(&self, files: &[(&str, &str)]) -> Process {
        let entry =
            |(path, name): &(&str, &str)| format!("{}\n out={name}\n", self.origin.url(path));
        let list = self.folder.path().join("list");
        fs::write(&list, files.iter().map(entry).collect::<String>()).unwrap();
        self.get(&["-i", list.to_str().unwrap(), "--helpers", "none", "--continue"])
    }

    fn get(&self, arguments: &[&str]) -> Process {
        let mut leader = Command::new(env!("CARGO_BIN_EXE_leader"));
        leader.args(["get", "--json", "--no-scan"]).args(arguments);
        leader.current_dir(self.folder.path());
        leader.env("HAUL_HOME", self.folder.path().join(".home"));
        Process::spawn(&mut leader).unwrap()
    }

    fn end(leader: Process) -> BTreeSet<String> {
        let kind = |event: Value| event["event"].as_str().unwrap().to_owned();
        Self::events(leader).into_iter().map(kind).collect()
    }

    /// Every event of a run; each must be in the schema.
    fn events(mut leader: Process) -> Vec<Value> {
        assert!(leader.wait_within(PATIENCE).unwrap().is_some(), "it goes on and on");
        let schema = schema();
        let told = leader.stdout();
        let events = told.lines().map(|line| {
            let event = serde_json::from_str(line).unwrap();
            check(&schema, &schema, &event).unwrap_or_else(|why| panic!("{line}: {why}"));
            event
        });
        events.collect()
    }
}

fn schema() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.schema.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Checks a value against a part of the schema `whole` (JSON Schema 2020-12, as far as the file
/// uses it; a keyword that is not known here fails).
fn check(whole: &Value, part: &Value, value: &Value) -> Result<(), String> {
    for (keyword, rule) in part.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "properties" => true,
            "$ref" => {
                let place = whole.pointer(rule.as_str().unwrap().trim_start_matches('#'));
                return check(whole, place.unwrap(), value);
            }
            "oneOf" => {
                let parts = rule.as_array().unwrap().iter();
                parts.filter(|part| check(whole, part, value).is_ok()).count() == 1
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => is_of(rule, value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| has_at_least(text, rule)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= number(rule)),
            "required" => rule.as_array().unwrap().iter().all(|key| has(value, key)),
            "additionalProperties" => {
                let known = part["properties"].as_object().unwrap();
                object(value).keys().all(|key| known.contains_key(key))
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten();
                items.all(|item| check(whole, rule, item).is_ok())
            }
            unknown => panic!("the schema uses {unknown}, which is not checked"),
        };
        if !holds {
            return Err(format!("{keyword} {rule} does not hold for {value}"));
        }
    }
    let properties = part["properties"].as_object().cloned().unwrap_or_default();
    let mut there = properties.iter().filter_map(|(key, part)| Some((part, value.get(key)?)));
    there.try_for_each(|(part, value)| check(whole, part, value))
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let one = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        unknown => panic!("there is no type {unknown}"),
    };
    kinds.as_array().map_or_else(|| one(kinds), |kinds| kinds.iter().any(one))
}

fn has(value: &Value, key: &Value) -> bool {
    value.get(key.as_str().unwrap()).is_some()
}

fn has_at_least(text: &str, characters: &Value) -> bool {
    text.chars().count() as u64 >= number(characters)
}

fn number(rule: &Value) -> u64 {
    rule.as_u64().unwrap()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
