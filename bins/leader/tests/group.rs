//! Machines that hold the group's key know each other, wherever they have it from and also while it
//! is replaced; with `--group-only` nobody else helps or is helped; and no key is ever an argument.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{LEADER, Ran, listening, program};
use haul::Home;
use haul::trust::{GroupFile, GroupKey};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const GROUP_ONLY: &[&str] = &["--group-only"];

#[test]
fn a_key_is_good_from_the_environment_a_named_file_and_the_home() {
    let (place, key) = (Place::new(), GroupKey::fresh());
    let keys = [&key];
    let environment = || Keys::Environment(text(&keys));
    assert!(place.meet(&environment(), &place.file("named", &keys)));
    assert!(place.meet(&place.file("other", &keys), &environment()));
    place.join("leader", &key);
    assert!(place.meet(&Keys::Home, &environment()));
}

#[test]
fn machines_know_each_other_at_every_step_of_a_change_of_keys() {
    let (place, old, new) = (Place::new(), GroupKey::fresh(), GroupKey::fresh());
    let steps = [vec![&old], vec![&old, &new], vec![&new, &old], vec![&new]];
    for (before, after) in steps.iter().zip(&steps[1..]) {
        let [before, after] = [before, after].map(|keys| Keys::Environment(text(keys)));
        assert!(place.meet(&before, &after) && place.meet(&after, &before));
    }
}

#[test]
fn nobody_without_the_key_helps_or_is_helped() {
    let (place, key, other) = (Place::new(), GroupKey::fresh(), GroupKey::fresh());
    let [ours, theirs] = [key, other].map(|key| Keys::Environment(text(&[&key])));
    assert!(!place.meet(&ours, &theirs), "each of a group of its own");
    let helped = |leader: &Keys, only: &[&str], helper: &Keys, run: &[&str]| {
        place.are_together((leader, only), (helper, run))
    };
    let anybody: &[&str] = &["--accept", "always"];
    assert!(!helped(&ours, GROUP_ONLY, &Keys::Home, anybody), "the leader wants its group only");
    let group = &[anybody, GROUP_ONLY].concat();
    assert!(!helped(&Keys::Home, &[], &ours, group), "the helper wants its group only");
    assert!(helped(&Keys::Home, &[], &ours, anybody), "neither does");
}

#[test]
fn who_wants_a_group_only_and_has_no_key_is_told_so() {
    let place = Place::new();
    let ran = Ran::of(&mut place.get("127.0.0.1:9", &Keys::Home, GROUP_ONLY));
    // Its own link works without helpers.
    assert!(ran.stdout.contains("no key"), "{}", ran.stdout);
    ran.done();
    let mut helper = place.machine(&program("helper"), "helper", &Keys::Home);
    let ran = Ran::of(helper.args(["run", "--group-only", "--listen", "127.0.0.1:0"]));
    assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("no key"), "{}", ran.stderr);
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_remedy_and_without_the_key() {
    let (place, key) = (Place::new(), GroupKey::fresh());
    let keys = place.file("open", &[&key]);
    fs::set_permissions(place.path("open"), Permissions::from_mode(0o644)).unwrap();
    let mut helper = place.machine(&program("helper"), "helper", &keys);
    let ran = Ran::of(helper.args(["run", "--listen", "127.0.0.1:0"]));
    assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("chmod 600") && !ran.stderr.contains(&key.reveal()));
}

#[test]
fn no_argument_takes_a_key() {
    let (place, key) = (Place::new(), GroupKey::fresh().reveal());
    let helper = program("helper");
    for program in [Path::new(LEADER), &helper] {
        for arguments in [
            &["group", "join", &key][..],
            &["group", "new", &key],
            &["group", "--key", &key, "join"],
            &["--group-key", &key, "group", "show"],
        ] {
            let ran = Ran::of(place.machine(program, "leader", &Keys::Home).args(arguments));
            assert_eq!(ran.status.code(), Some(2), "{arguments:?}: {}", ran.stdout);
        }
    }
}

/// Where a machine has its keys from.
enum Keys {
    /// The home, which may have none.
    Home,
    Environment(String),
    File(PathBuf),
}

/// An origin, and the homes of a leader and a helper.
struct Place {
    folder: TempDir,
    origin: Origin,
}

impl Place {
    fn new() -> Self {
        let link = Shape::by_peer(Rate::bytes_per_second(1 << 20));
        let file = Resource::of(Payload::new(3, 2 << 20));
        let origin = Origin::builder().serve("/file.bin", file).shape(link).start().unwrap();
        Self { folder: TempDir::new().unwrap(), origin }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with these keys.
    fn file(&self, name: &str, keys: &[&GroupKey]) -> Keys {
        fs::write(self.path(name), text(keys)).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
        Keys::File(self.path(name))
    }

    fn join(&self, home: &str, key: &GroupKey) {
        GroupFile::of(&Home::at(self.path(home))).join(key.clone()).unwrap();
    }

    fn machine(&self, program: &Path, home: &str, keys: &Keys) -> Command {
        let mut command = Command::new(program);
        command.env("HAUL_HOME", self.path(home));
        command.env_remove("HAUL_GROUP_KEY").env_remove("HAUL_GROUP_KEY_FILE");
        match keys {
            Keys::Home => &mut command,
            Keys::Environment(keys) => command.env("HAUL_GROUP_KEY", keys),
            Keys::File(path) => command.env("HAUL_GROUP_KEY_FILE", OsString::from(path)),
        };
        command
    }

    fn get(&self, helpers: &str, keys: &Keys, more: &[&str]) -> Command {
        let mut get = self.machine(Path::new(LEADER), "leader", keys);
        get.args(["get", &self.origin.url("/file.bin"), "--json", "--overwrite"]);
        get.arg("--dir").arg(self.folder.path()).args(["--helpers", helpers]).args(more);
        get
    }

    /// Whether a leader and a helper that want their group only get together.
    fn meet(&self, leader: &Keys, helper: &Keys) -> bool {
        let known = ["--accept", "known", "--group-only"];
        self.are_together((leader, GROUP_ONLY), (helper, &known))
    }

    fn are_together(&self, leader: (&Keys, &[&str]), helper: (&Keys, &[&str])) -> bool {
        let mut run = self.machine(&program("helper"), "helper", helper.0);
        let (_helper, address) = listening(&mut run, helper.1);
        let ran = Ran::of(&mut self.get(&address, leader.0, leader.1));
        ran.done();
        ran.events().iter().any(|event| event["event"] == "joined")
    }
}

/// Keys as they stand in a file.
fn text(keys: &[&GroupKey]) -> String {
    keys.iter().map(|key| key.reveal() + "\n").collect()
}
