//! No file of the user's or of another user's is opened for writing, replaced or removed, whatever
//! its name, and what haul is told to try instead loses nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{LEADER, PATIENCE, Ran, names, stored};
use haul_lab::lan::{Process, skip_or_fail};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const SIZE: u64 = 4 << 20;
const NOBODY: u32 = 65_534;

#[test]
fn a_users_file_beside_the_target_outlives_every_way_to_download() {
    for name in ["q.haul", "q.part"] {
        let place = Place::new();
        fs::write(place.path(name), "notes\n").unwrap();
        for flags in [&[][..], &["-c"], &["--overwrite"]] {
            let ran = place.get("/q", flags);
            assert_eq!(ran.status.code(), Some(13), "{flags:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(name) && ran.stderr.contains("-o"), "{}", ran.stderr);
            assert!(!ran.stderr.contains("--overwrite"), "{}", ran.stderr);
            assert_eq!(fs::read(place.path(name)).unwrap(), b"notes\n");
            assert_eq!(names(&place.path("")), [name]);
        }
        // What it says to try is true.
        assert!(place.get("/q", &["--auto-rename"]).status.success());
        assert!(place.get("/q", &["-o", place.path("other").to_str().unwrap()]).status.success());
        assert_eq!(fs::read(place.path(name)).unwrap(), b"notes\n");
        assert_eq!(names(&place.path("")), ["other", "q (1)", name]);
    }
}

#[test]
fn a_list_does_not_take_a_users_file_for_the_finished_one() {
    let place = Place::new();
    fs::write(place.path("q.part"), "notes\n").unwrap();
    let list = place.folder.path().join("list");
    fs::write(&list, format!("{}\n", place.origin.url("/q"))).unwrap();
    let mut get = place.leader(&["get", "-c", "--helpers", "none", "-i"]);
    let ran = Ran::of(get.arg(list).arg("-d").arg(place.path("")));
    assert_eq!(ran.status.code(), Some(13), "{}", ran.stderr);
    assert!(!ran.stderr.contains("there already"), "{}", ran.stderr);
    assert_eq!(names(&place.path("")), ["q.part"]);
}

#[test]
fn a_finished_file_that_is_named_like_a_part_is_not_resumed_into_or_cancelled() {
    let place = Place::new();
    place.stop_midway("/q");
    let id = place.list();
    fs::remove_file(place.path("q.part")).unwrap();
    let finished = place.path("q.part");
    assert!(place.get("/q", &["-o", finished.to_str().unwrap()]).status.success());
    let was = fs::metadata(&finished).unwrap();
    for command in [&["resume", &id][..], &["cancel", "--yes", &id], &["list"]] {
        let ran = Ran::of(&mut place.leader(command));
        assert!(!ran.stderr.contains("removed"), "{}", ran.stderr);
        let is = fs::metadata(&finished).unwrap();
        assert_eq!((is.ino(), is.modified().unwrap()), (was.ino(), was.modified().unwrap()));
    }
    assert_eq!(place.get("/q", &["-c"]).status.code(), Some(13));
    assert_eq!(Payload::new(21, SIZE).first_difference(finished).unwrap(), None);
}

#[test]
fn a_name_from_the_origin_never_ends_as_an_unfinished_file() {
    let place = Place::new();
    for (path, name) in [("/x.part", "x.part_"), ("/x.haul", "x.haul_")] {
        assert!(place.get(path, &[]).status.success());
        assert!(place.path(name).exists());
    }
}

#[test]
fn a_report_replaces_no_file_of_the_users() {
    let place = Place::new();
    let (notes, report) = (place.folder.path().join("n.html"), place.folder.path().join("r.html"));
    fs::write(&notes, "notes\n").unwrap();
    let ran = place.get("/q", &["--report", notes.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(13), "{}", ran.stderr);
    assert_eq!(fs::read(&notes).unwrap(), b"notes\n");
    assert!(names(&place.path("")).is_empty(), "it is told before the download");
    for _ in 0..2 {
        let again = place.get("/q", &["--overwrite", "--report", report.to_str().unwrap()]);
        assert!(again.status.success(), "{}", again.stderr);
    }
}

#[test]
fn in_a_shared_folder_nothing_of_another_user_is_taken_for_ones_own() {
    if !rustix_is_root() {
        return skip_or_fail("only root can give a file to another user");
    }
    let place = Place::new();
    place.stop_midway("/q");
    fs::set_permissions(place.path(""), Permissions::from_mode(0o1777)).unwrap();
    let part = place.path("q.part");
    chown(&part, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&part, Permissions::from_mode(0o666)).unwrap();
    let before = fs::metadata(&part).unwrap();
    for flags in [&[][..], &["-c"], &["--overwrite"]] {
        let ran = place.get("/q", flags);
        assert_eq!(ran.status.code(), Some(9), "{flags:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("another user"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("--overwrite") && !ran.stderr.contains("-c,"));
        let after = fs::metadata(&part).unwrap();
        assert_eq!((after.ino(), after.len()), (before.ino(), before.len()));
        assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    }
    chown(&part, Some(0), Some(0)).unwrap();
    assert_eq!(place.get("/q", &["-c"]).status.code(), Some(9), "others may write to it");
    fs::set_permissions(&part, Permissions::from_mode(0o600)).unwrap();
    assert!(place.get("/q", &["-c"]).status.success());
    let file = fs::metadata(place.path("q")).unwrap();
    assert_eq!((file.uid(), file.mode() & 0o022), (0, 0));
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

struct Place {
    folder: TempDir,
    origin: Origin,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let link = Shape::by_peer(Rate::bytes_per_second(4 << 20));
        let file = || Resource::of(Payload::new(21, SIZE));
        let origin = Origin::builder().serve("/q", file()).serve("/x.part", file());
        let origin = origin.serve("/x.haul", file()).shape(link).start().unwrap();
        Self { folder, origin }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    fn leader(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LEADER);
        command.args(arguments).env("HAUL_HOME", self.folder.path().join("home"));
        command
    }

    fn get(&self, path: &str, more: &[&str]) -> Ran {
        let mut get = self.leader(&["get", &self.origin.url(path), "--helpers", "none"]);
        if !more.contains(&"-o") {
            get.arg("-d").arg(self.path(""));
        }
        Ran::of(get.args(more))
    }

    fn stop_midway(&self, path: &str) {
        let mut get = self.leader(&["get", &self.origin.url(path), "--helpers", "none", "--json"]);
        let mut process = Process::spawn(get.arg("-d").arg(self.path(""))).unwrap();
        process.wait_for(PATIENCE, |out, _| stored(out) > SIZE / 4).unwrap();
        process.interrupt().unwrap();
        process.wait_within(PATIENCE).unwrap();
        assert!(self.path("q.part").exists());
    }

    /// The ID of the one that was left.
    fn list(&self) -> String {
        let ran = Ran::of(&mut self.leader(&["list"]));
        ran.stdout.split_whitespace().next().unwrap().to_owned()
    }
}
