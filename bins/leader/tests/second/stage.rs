//! An origin on loopback, and the programs and peers around it, each with a link of its own.

use crate::common::{LEADER, PATIENCE, Ran, listening, names, program};
use haul_lab::lan::{Process, skip_or_fail};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate, peers};
use serde_json::Value;
use std::fs::{self, DirBuilder};
use std::io::{Write, stderr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What each link carries, in Mbit/s.
const RATE: u64 = 32;

/// The address of loopback whose link a peer's helper has.
const LINK: &str = "127.0.0.11";

/// An origin with one file, and a folder for everything else.
pub(crate) struct Stage {
    pub(crate) payload: Payload,
    pub(crate) origin: Origin,
    folder: TempDir,
}

impl Stage {
    /// A stage with a file of so many bytes; `None` where there can be no peer.
    pub(crate) fn set(size: u64) -> Option<Self> {
        if let Some(reason) = peers::missing() {
            skip_or_fail(&reason);
            return None;
        }
        let payload = Payload::new(size, size);
        let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
        let origin = origin.shape(Shape::by_peer(Rate::mbit(RATE))).start().unwrap();
        Some(Self { payload, origin, folder: TempDir::new().unwrap() })
    }

    pub(crate) fn url(&self) -> String {
        self.origin.url("/file.bin")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether a file of this stage is the origin's, to the last byte.
    pub(crate) fn is_exact(&self, path: impl AsRef<Path>) {
        assert_eq!(self.payload.first_difference(path.as_ref()).unwrap(), None);
    }

    /// The same of an owner who helps one leader at a time.
    pub(crate) fn helper_of_one(&self, home: &str) -> (Process, String) {
        let folder = self.path(home);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
        let policy = "version = 1\n[leaders]\nat_once = 1\n";
        fs::write(folder.join("policy.toml"), policy).unwrap();
        self.helper(home)
    }

    /// `helper run --accept always`, and where it hears asks.
    pub(crate) fn helper(&self, home: &str) -> (Process, String) {
        let mut helper = Command::new(program("helper"));
        listening(helper.env("HAUL_HOME", self.path(home)), &["--accept", "always"])
    }

    /// A peer's leader of this file, run to its end at this address of loopback.
    pub(crate) fn peer_leads(&self, helper: &str, from: &str, more: &[&str]) -> Led {
        let saved = self.path("led.bin");
        let url = self.url();
        let all = ["leader", "--helper", helper, "--from", from, "--url", &url];
        let into = ["--fetch-from", from, "--output", saved.to_str().unwrap(), "--seconds", "60"];
        let mut command = peers::command(&[&all, &into[..], more].concat());
        let mut peer = Process::spawn(&mut command).unwrap();
        peer.wait_within(PATIENCE).unwrap().expect("it has a time to end");
        Led { told: peer.stdout(), stderr: peer.stderr(), saved }
    }

    /// `leader get` of this file by itself and with this machine asked; what it saved is exact.
    pub(crate) fn get(&self, helper: &str, more: &[&str]) -> Ran {
        let folder = self.path("got");
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new(LEADER);
        command.args(["get", &self.url(), "--json", "--helpers", helper, "--overwrite", "--dir"]);
        command.arg(&folder).args(more).env("HAUL_HOME", self.path("leader"));
        let ran = Ran::of(&mut command);
        ran.done();
        assert_eq!(names(&folder), ["file.bin"]);
        self.is_exact(folder.join("file.bin"));
        ran
    }

    /// The argument that demands this file.
    pub(crate) fn checksum(&self) -> String {
        format!("--checksum=sha-256={}", self.payload.sha256())
    }
}

/// A peer's helper that waits to be asked, and where; with a link of its own.
pub(crate) fn peer_helper(more: &[&str]) -> (Process, String) {
    let own = ["helper", "--hear", "127.0.0.1:0", "--from", LINK, "--fetch-from", LINK];
    let all = [&own[..], &["--seconds", "100"], more].concat();
    peers::listening(&mut peers::command(&all)).unwrap()
}

/// What a peer's leader told, and where it saved what it got.
pub(crate) struct Led {
    pub(crate) told: String,
    pub(crate) stderr: String,
    pub(crate) saved: PathBuf,
}

impl Led {
    /// The one event of this kind.
    pub(crate) fn the(&self, kind: &str) -> Value {
        let found = peers::events(&self.told, kind);
        assert_eq!(found.len(), 1, "{kind}: {}{}", self.told, self.stderr);
        found.into_iter().next().unwrap()
    }
}

/// The first event of this kind among the lines of a program.
pub(crate) fn first(stdout: &str, kind: &str) -> Value {
    let found = peers::events(stdout, kind).into_iter().next();
    found.unwrap_or_else(|| panic!("no {kind}: {stdout}"))
}

/// Prints past the test harness, which keeps what passing tests print to itself.
pub(crate) fn say(line: &str) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}
