//! What a run leaves can be listed, gone on with from any address of the same file, and given up;
//! what is on disk about it holds no secret.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::{LEADER, PATIENCE, Ran, names};
use haul_lab::lan::Process;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

const SIZE: u64 = 6 << 20;

#[test]
fn a_left_download_is_listed_and_gone_on_with_by_its_id_or_as_the_only_one() {
    for by_id in [true, false] {
        let (place, origin) = (Place::new(), origin(Resource::of(payload())));
        place.stop_midway(&origin.url("/file.bin"));
        let [job] = &place.list()[..] else { panic!("one is left") };
        assert_eq!(job["path"], place.file().to_str().unwrap());
        assert_eq!((&job["length"], &job["in_use"]), (&SIZE.into(), &false.into()));
        let stored = job["stored"].as_u64().unwrap();
        assert!(stored > 0 && stored < SIZE);
        let id = job["id"].as_str().unwrap();
        assert!((6..=8).contains(&id.len()), "{id}");
        let sent = origin.counts().bytes;
        let mut resume = place.leader(&["resume", "--helpers", "none", "--json"]);
        Ran::of(if by_id { resume.arg(id) } else { &mut resume }).done();
        assert!(origin.counts().bytes - sent < SIZE - stored + (1 << 20), "it was fetched again");
        place.is_exact();
        assert_eq!(place.list(), Vec::<Value>::new());
    }
}

#[test]
fn of_several_left_downloads_one_must_be_named() {
    let (place, origin) = (Place::new(), origin(Resource::of(payload())));
    assert_eq!(Ran::of(&mut place.leader(&["resume"])).status.code(), Some(2));
    place.stop_midway(&origin.url("/file.bin"));
    place.stop_midway_as("other.bin", &origin.url("/file.bin"), &[]);
    assert_eq!(place.list().len(), 2);
    for command in [&["resume", "--json"][..], &["resume", "nothing"], &["cancel", "--yes"]] {
        assert_eq!(Ran::of(&mut place.leader(command)).status.code(), Some(2));
    }
    assert_eq!(place.names().len(), 4);
}

#[test]
fn a_download_is_given_up_only_by_a_yes() {
    let (place, origin) = (Place::new(), origin(Resource::of(payload())));
    place.stop_midway(&origin.url("/file.bin"));
    let unasked = Ran::of(&mut place.leader(&["cancel"]));
    assert_eq!(unasked.status.code(), Some(2));
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    assert_eq!(place.names(), ["file.bin.haul", "file.bin.part"]);
    assert!(Ran::of(&mut place.leader(&["cancel", "--yes"])).status.success());
    assert!(place.names().is_empty() && place.list().is_empty());
}

#[test]
fn a_download_at_work_is_not_given_up() {
    let (place, origin) = (Place::new(), origin(Resource::of(payload())));
    let mut process = place.get_midway("file.bin", &origin.url("/file.bin"), &[]);
    assert_eq!(place.list()[0]["in_use"], true);
    assert_eq!(Ran::of(&mut place.leader(&["cancel", "--yes"])).status.code(), Some(11));
    Ran::when_ended(&mut process, Instant::now()).done();
    place.is_exact();
}

#[test]
fn an_entry_whose_files_are_gone_vanishes() {
    let (place, origin) = (Place::new(), origin(Resource::of(payload())));
    place.stop_midway(&origin.url("/file.bin"));
    fs::remove_file(place.path("file.bin.part")).unwrap();
    assert!(place.list().is_empty());
    assert_eq!(fs::read_dir(place.home().join("jobs")).unwrap().count(), 0);
}

#[test]
fn no_secret_is_kept_and_what_was_withheld_is_asked_for() {
    let (place, origin) = (Place::new(), origin(Resource::of(payload())));
    let url = origin.url("/file.bin?token=geheim").replace("http://", "http://me:sesam@");
    place.stop_midway_as("file.bin", &url, &["-H", "Cookie: kennwort"]);
    for secret in ["geheim", "sesam", "kennwort"] {
        assert!(!place.anything_holds(secret), "{secret} is on the disk");
        assert!(!place.list()[0].to_string().contains(secret));
    }
    let told = Ran::of(&mut place.leader(&["resume", "--helpers", "none"]));
    assert_eq!(told.status.code(), Some(2));
    assert!(told.stderr.contains("--url"), "{}", told.stderr);
    let resume = ["resume", "--helpers", "none", "--json", "--url", &url];
    Ran::of(&mut place.leader(&resume)).done();
    place.is_exact();
}

#[test]
fn the_digest_that_was_expected_is_still_expected() {
    let (place, origin) = (Place::new(), origin(Resource::of(payload())));
    let wrong = format!("sha-256={}", "ab".repeat(32));
    place.stop_midway_as("file.bin", &origin.url("/file.bin"), &["--checksum", &wrong]);
    let ran = Ran::of(&mut place.leader(&["resume", "--helpers", "none"]));
    assert_eq!(ran.status.code(), Some(32), "{}", ran.stderr);
    assert!(!place.file().exists());
}

#[test]
fn a_mirror_that_names_the_version_otherwise_serves_the_rest_of_the_same_file() {
    let (place, first) = (Place::new(), origin(Resource::of(payload())));
    place.stop_midway(&first.url("/file.bin"));
    let stored = place.list()[0]["stored"].as_u64().unwrap();
    let mirror = origin(Resource::of(payload()).etag(Some("\"mirror\"")));
    let url = mirror.url("/file.bin");
    let ran = Ran::of(&mut place.leader(&["resume", "--helpers", "none", "--json", "--url", &url]));
    ran.done();
    assert!(mirror.counts().bytes < SIZE - stored + (1 << 20), "it was fetched again");
    place.is_exact();
}

#[test]
fn another_file_of_the_same_length_is_refused_and_costs_nothing() {
    let (place, first) = (Place::new(), origin(Resource::of(payload())));
    place.stop_midway(&first.url("/file.bin"));
    let stored = place.list()[0]["stored"].clone();
    let other = Payload::new(99, SIZE);
    for resource in [
        Resource::of(other).etag(Some("\"other\"")),
        Resource::of(other).etag(None).modified(None),
        Resource::of(Payload::new(21, SIZE + 1)),
    ] {
        let elsewhere = origin(resource);
        let url = elsewhere.url("/file.bin");
        let ran = Ran::of(&mut place.leader(&["resume", "--helpers", "none", "--url", &url]));
        assert_eq!(ran.status.code(), Some(41), "{}", ran.stderr);
        assert_eq!(place.list()[0]["stored"], stored);
    }
    Ran::of(&mut place.leader(&["resume", "--helpers", "none", "--json"])).done();
    place.is_exact();
}

#[test]
fn without_a_validator_what_was_left_is_compared_before_it_is_trusted() {
    let unnamed = |payload| Resource::of(payload).etag(None).modified(None);
    let (place, first) = (Place::new(), origin(unnamed(payload())));
    place.stop_midway(&first.url("/file.bin"));
    let replaced = origin(unnamed(Payload::new(99, SIZE)));
    let again = |origin: &Origin| {
        let url = origin.url("/file.bin");
        Ran::of(&mut place.leader(&["resume", "--helpers", "none", "--json", "--url", &url]))
    };
    assert_eq!(again(&replaced).status.code(), Some(41));
    again(&first).done();
    place.is_exact();
}

fn payload() -> Payload {
    Payload::new(21, SIZE)
}

/// An origin that takes about three seconds.
fn origin(resource: Resource) -> Origin {
    let link = Shape::by_peer(Rate::bytes_per_second(2 << 20));
    Origin::builder().serve("/file.bin", resource).shape(link).start().unwrap()
}

/// A folder to download to, and the home of a leader.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        Self { folder }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("file.bin")
    }

    fn is_exact(&self) {
        assert_eq!(payload().first_difference(self.file()).unwrap(), None);
    }

    fn names(&self) -> Vec<String> {
        names(&self.path(""))
    }

    fn leader(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LEADER);
        command.args(arguments).env("HAUL_HOME", self.home());
        command
    }

    fn list(&self) -> Vec<Value> {
        let ran = Ran::of(&mut self.leader(&["list", "--json"]));
        assert!(ran.status.success(), "{}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A download that has a third of its file durable.
    fn get_midway(&self, name: &str, url: &str, more: &[&str]) -> Process {
        let file = self.path(name);
        let arguments = ["get", url, "--helpers", "none", "--json", "-o", file.to_str().unwrap()];
        let mut process = Process::spawn(self.leader(&arguments).args(more)).unwrap();
        let durable = |line: &str| serde_json::from_str::<Value>(line).ok()?["durable"].as_u64();
        let enough = |out: &str, _: &str| out.lines().filter_map(durable).any(|is| is > SIZE / 3);
        process.wait_for(PATIENCE, enough).unwrap();
        process
    }

    fn stop_midway(&self, url: &str) {
        self.stop_midway_as("file.bin", url, &[]);
    }

    fn stop_midway_as(&self, name: &str, url: &str, more: &[&str]) {
        let mut process = self.get_midway(name, url, more);
        process.interrupt().unwrap();
        let ran = Ran::when_ended(&mut process, Instant::now());
        assert_eq!(ran.status.code(), Some(7), "{}", ran.stdout);
    }

    /// Whether any file but the part holds this text.
    fn anything_holds(&self, text: &str) -> bool {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.path().extension().is_none_or(|end| end != "part") {
                    let held = fs::read(entry.path()).unwrap();
                    if held.windows(text.len()).any(|part| part == text.as_bytes()) {
                        return true;
                    }
                }
            }
        }
        false
    }
}
