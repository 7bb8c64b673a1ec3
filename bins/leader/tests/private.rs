//! Everything that the programs write is its user's alone until it is finished, whatever the umask,
//! and no other user of the machine sees a secret or keeps a program from its work.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{LEADER, PATIENCE, Ran, listening, program, stored};
use haul_lab::lan::{Process, skip_or_fail};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SIZE: u64 = 6 << 20;
const NOBODY: u32 = 65_534;

#[test]
fn every_file_that_the_programs_write_is_private_and_the_finished_one_is_as_the_umask_has_it() {
    for umask in ["0", "022", "002", "077"] {
        let place = Place::new(umask);
        let (_helper, address) = listening(&mut place.helper(&[]), &["--accept", "always"]);
        for words in
            [&["group", "new"][..], &["trust", "add", &"ab".repeat(32), "asha"], &["pause", "1h"]]
        {
            let ran = Ran::of(&mut place.helper(words));
            assert!(ran.status.success(), "{words:?}: {}", ran.stderr);
        }
        Ran::of(&mut place.helper(&["resume"]));
        let mut pipe = place.pipe();
        let mut get = place.get_midway("q", &address);
        place.home_is_private();
        let underway = place.walk("files");
        assert_eq!(underway.len(), 2, "a part and a journal");
        assert!(underway.iter().all(|(_, mode)| *mode == 0o600), "{underway:?}");
        assert!(!place.walk("leader/spool").is_empty(), "the pipe is spooled");
        assert!(get.wait_within(PATIENCE).unwrap().unwrap().success(), "{}", get.stderr());
        pipe.wait_within(PATIENCE).unwrap().unwrap();
        place.get_midway("left", &address).interrupt().unwrap();
        place.home_is_private();
        let wanted = 0o666 & !u32::from_str_radix(umask, 8).unwrap();
        assert_eq!(fs::metadata(place.path("files/q")).unwrap().mode() & 0o777, wanted, "{umask}");
        let written = place.walk("helper");
        for name in ["key", "history.jsonl", "accounts", "group.key", "known"] {
            assert!(written.iter().any(|(path, _)| path.ends_with(name)), "{name}: {written:?}");
        }
    }
}

#[test]
fn a_home_of_before_is_closed_to_others_and_one_of_another_user_is_refused() {
    let place = Place::new("022");
    fs::create_dir(place.path("leader")).unwrap();
    fs::write(place.path("leader/history.jsonl"), "").unwrap();
    fs::set_permissions(place.path("leader"), Permissions::from_mode(0o755)).unwrap();
    assert!(Ran::of(&mut place.leader(&["trust", "id"])).status.success());
    place.home_is_private();
    fs::set_permissions(place.path("leader/key"), Permissions::from_mode(0o666)).unwrap();
    let ran = Ran::of(&mut place.leader(&["trust", "id"]));
    assert_eq!(ran.status.code(), Some(9), "{}", ran.stderr);
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
    fs::set_permissions(place.path("leader/key"), Permissions::from_mode(0o600)).unwrap();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skip_or_fail("only root can give a folder to another user");
    }
    for theirs in ["leader/key", "leader"] {
        chown(place.path(theirs), Some(NOBODY), None).unwrap();
        let ran = Ran::of(&mut place.leader(&["trust", "id"]));
        assert_eq!(ran.status.code(), Some(9), "{}", ran.stderr);
        assert!(ran.stderr.contains("another user"), "{}", ran.stderr);
        assert!(ran.stderr.contains("HAUL_HOME"), "{}", ran.stderr);
        chown(place.path(theirs), Some(0), None).unwrap();
    }
}

#[test]
fn another_user_cannot_hold_the_lock_of_a_helper() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skip_or_fail("only root can act for another user");
    }
    let place = Place::new("0");
    fs::set_permissions(place.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let (helper, _) = listening(&mut place.helper(&[]), &["--accept", "never"]);
    drop(helper);
    // As an earlier version left it: open to all, and somebody has the lock.
    fs::set_permissions(place.path("helper"), Permissions::from_mode(0o755)).unwrap();
    let old = place.path("helper/helper.lock");
    fs::write(&old, "").unwrap();
    fs::set_permissions(&old, Permissions::from_mode(0o666)).unwrap();
    let as_another = |lock: &Path, meanwhile: &[&str]| {
        let mut other = Command::new("setpriv");
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "flock", "-nF"]);
        other.arg(lock).args(meanwhile);
        other
    };
    let mut other =
        Process::spawn(&mut as_another(&old, &["sh", "-c", "echo; exec sleep 60"])).unwrap();
    other.wait_for(PATIENCE, |out, _| out.contains('\n')).unwrap();
    let lock = place.path("helper/run/helper.lock");
    assert!(!as_another(&lock, &["true"]).output().unwrap().status.success(), "it was locked");
    let (helper, _) = listening(&mut place.helper(&[]), &["--accept", "never"]);
    let ran = Ran::of(place.helper(&["run", "--json"]).args(["--listen", "127.0.0.1:0"]));
    assert_eq!(ran.status.code(), Some(11), "{}", ran.stderr);
    drop(helper);
    other.kill().unwrap();
}

#[test]
fn no_secret_among_the_arguments_is_seen_in_the_list_of_processes() {
    let place = Place::new("022");
    let url = place.origin.url("/file.bin?token=sesam").replace("http://", "http://me:sesam@");
    for header in [&["-H", "Authorization: Bearer sesam"][..], &["--header=X-Key:sesam"]] {
        let mut get = place.leader(&["get", &url, "--helpers", "none", "--json"]);
        let file = place.path("files/secret");
        let mut get = Process::spawn(get.args(header).arg("-o").arg(&file)).unwrap();
        get.wait_for(PATIENCE, |out, _| stored(out) > SIZE / 4).unwrap();
        let shown = fs::read(format!("/proc/{}/cmdline", get.id())).unwrap();
        let shown = String::from_utf8(shown).unwrap().replace('\0', " ");
        assert!(!shown.contains("sesam") && shown.contains("***"), "{shown}");
        let environment = fs::metadata(format!("/proc/{}/environ", get.id())).unwrap();
        assert_eq!(environment.mode() & 0o077, 0);
        assert!(get.wait_within(PATIENCE).unwrap().unwrap().success(), "{}", get.stderr());
        let told = place.origin.seen().iter().any(|seen| {
            let told = |name| seen.header(name).is_some_and(|value| value.ends_with("sesam"));
            told("authorization") || told("x-key")
        });
        assert!(told, "the origin was told");
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn headers_come_from_a_file_from_standard_input_and_from_the_environment() {
    let place = Place::new("022");
    let file = place.path("headers");
    fs::write(&file, "X-One: 1\n\nX-Two: 2\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let from_file = format!("@{}", file.display());
    let input = || fs::File::open(&file).unwrap();
    for (number, header) in [&["-H", &from_file][..], &["-H", "@-"], &[]].iter().enumerate() {
        let mut get = place.leader(&["get", &place.origin.url("/small"), "--helpers", "none"]);
        get.args(*header).arg("-o").arg(place.path(&format!("files/{number}")));
        get.stdin(input());
        if header.is_empty() {
            get.env("HAUL_HEADERS", "X-One: 1\nX-Two: 2");
        }
        let ran = get.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let seen = place.origin.seen().pop().unwrap();
        let told = ["x-one", "x-two"].map(|name| seen.header(name).map(str::to_owned));
        assert_eq!(told, ["1", "2"].map(|value| Some(value.to_owned())), "{header:?}");
    }
    let mut list = place.leader(&["get", "-i", "-", "-H", "@-"]);
    assert_eq!(list.stdin(Stdio::null()).output().unwrap().status.code(), Some(2));
    fs::write(&file, "sesam\n").unwrap();
    let mut get = place.leader(&["get", &place.origin.url("/small"), "-H", &from_file]);
    let ran = Ran::of(&mut get);
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stderr.contains("line 1") && !ran.stderr.contains("sesam"), "{}", ran.stderr);
}

struct Place {
    folder: TempDir,
    origin: Origin,
    umask: String,
}

impl Place {
    fn new(umask: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let link = Shape::by_peer(Rate::bytes_per_second(3 << 20));
        let file = Resource::of(Payload::new(5, SIZE));
        let small = Resource::of(Payload::new(6, 1000));
        let origin = Origin::builder().serve("/file.bin", file).serve("/small", small);
        Self { folder, origin: origin.shape(link).start().unwrap(), umask: umask.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn machine(&self, program: &Path, home: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("umask {}; exec \"$0\" \"$@\"", self.umask)).arg(program);
        command.env("HAUL_HOME", self.path(home)).env_remove("HAUL_HEADERS");
        command
    }

    fn leader(&self, arguments: &[&str]) -> Command {
        let mut leader = self.machine(Path::new(LEADER), "leader");
        leader.args(arguments);
        leader
    }

    fn helper(&self, arguments: &[&str]) -> Command {
        let mut helper = self.machine(&program("helper"), "helper");
        helper.args(arguments);
        helper
    }

    fn get_midway(&self, name: &str, helper: &str) -> Process {
        let mut get = self.leader(&["get", &self.origin.url("/file.bin"), "--json"]);
        get.args(["--helpers", helper, "--limit-rate", "1M", "-o"]);
        let mut get = Process::spawn(get.arg(self.path("files").join(name))).unwrap();
        get.wait_for(PATIENCE, |out, _| stored(out) > SIZE / 4).unwrap();
        get
    }

    /// A download to a pipe that nobody reads quickly.
    fn pipe(&self) -> Process {
        let mut pipe = self.leader(&["get", &self.origin.url("/file.bin"), "-q", "-o", "-"]);
        pipe.args(["--helpers", "none", "--limit-rate", "1M"]);
        Process::spawn(&mut pipe).unwrap()
    }

    /// Every file of the homes, however it is called, is its user's alone, and so is every folder.
    fn home_is_private(&self) {
        for home in ["leader", "helper"].map(|home| self.path(home)) {
            let mut folders = vec![home];
            while let Some(folder) = folders.pop() {
                let Ok(about) = fs::metadata(&folder) else { continue };
                assert_eq!(about.mode() & 0o777, 0o700, "{}", folder.display());
                for path in entries(&folder) {
                    let Ok(about) = path.symlink_metadata() else { continue };
                    if about.is_dir() {
                        folders.push(path);
                        continue;
                    }
                    let mode = about.mode() & 0o777;
                    assert_eq!((mode, about.nlink()), (0o600, 1), "{}", path.display());
                    assert_eq!(about.uid(), fs::metadata("/proc/self").unwrap().uid());
                }
            }
        }
    }

    /// The files in a folder, with their modes.
    fn walk(&self, folder: &str) -> Vec<(PathBuf, u32)> {
        let files = entries(&self.path(folder)).into_iter();
        let mode = |path: &Path| path.symlink_metadata().map(|about| about.mode() & 0o777);
        files.filter_map(|path| Some((path.clone(), mode(&path).ok()?))).collect()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
