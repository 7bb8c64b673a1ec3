//! What every test of the programs needs: where the programs are, and what a leader told.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use haul_lab::lan::Process;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

/// No run of a test takes longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// The leader's program.
pub(crate) const LEADER: &str = env!("CARGO_BIN_EXE_leader");

/// The program of another package of the workspace, built if it is absent or older than a source.
///
/// Cargo builds for a test the programs of its own package alone.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _alone = BUILDING.lock().unwrap();
    let program = Path::new(LEADER).with_file_name(name);
    let built = fs::metadata(&program).and_then(|about| about.modified()).ok();
    if built.is_none_or(|built| newest_source() > built) {
        build(name);
    }
    program
}

fn build(package: &str) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", package]).current_dir(workspace());
    if Path::new(LEADER).parent().is_some_and(|folder| folder.ends_with("release")) {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "{package} was not built");
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// When the youngest source of the crates that the programs are made of was changed.
fn newest_source() -> SystemTime {
    let mut folders = vec![workspace().join("crates"), workspace().join("bins/helper/src")];
    let mut newest = SystemTime::UNIX_EPOCH;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, about) = (entry.path(), entry.metadata().unwrap());
            match entry.file_name().to_str() {
                Some("tests" | "benches" | "fuzz" | "peers") => {}
                _ if about.is_dir() => folders.push(path),
                _ => newest = newest.max(about.modified().unwrap()),
            }
        }
    }
    newest
}

/// Starts `helper run --json` with these arguments on a free port of loopback; where it hears asks.
pub(crate) fn listening(helper: &mut Command, arguments: &[&str]) -> (Process, String) {
    helper.args(["run", "--json", "--allow-net", "127.0.0.0/8", "--listen", "127.0.0.1:0"]);
    let mut helper = Process::spawn(helper.args(arguments)).unwrap();
    helper.wait_for(PATIENCE, |out, _| out.contains('\n')).unwrap();
    let listening = event(helper.stdout().lines().next().unwrap()).unwrap();
    let address = listening["address"].as_str().unwrap().to_owned();
    (helper, address)
}

/// What is in a folder, in the order of the names.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap().map(Result::unwrap);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A leader's run that has ended.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    /// From its start to its end.
    pub(crate) seconds: f64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let began = Instant::now();
        let mut process = Process::spawn(command).unwrap();
        Self::when_ended(&mut process, began)
    }

    /// Waits for the end of what was started at `began`.
    pub(crate) fn when_ended(process: &mut Process, began: Instant) -> Self {
        let ended = process.wait_within(PATIENCE).unwrap();
        let seconds = began.elapsed().as_secs_f64();
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let status = ended.unwrap_or_else(|| panic!("it goes on and on: {stdout}{stderr}"));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { status, seconds, stdout, stderr }
    }

    /// Every event of a run with `--json`; the last must be `done` or `failed`, and no other.
    pub(crate) fn events(&self) -> Vec<Value> {
        let events: Vec<Value> = self.stdout.lines().map(|line| event(line).unwrap()).collect();
        let is_last = |event: &Value| matches!(event["event"].as_str(), Some("done" | "failed"));
        let last = events.iter().position(is_last);
        assert_eq!(last, events.len().checked_sub(1), "{}{}", self.stdout, self.stderr);
        events
    }

    /// The last event of a run that ended well.
    pub(crate) fn done(&self) -> Value {
        let last = self.events().pop().unwrap();
        assert!(self.status.success() && last["event"] == "done", "{last}{}", self.stderr);
        last
    }
}

/// How many bytes a leader with `--json` has stored, by the last line that tells.
pub(crate) fn stored(stdout: &str) -> u64 {
    let told = |line| event(line)?["stored"].as_u64();
    stdout.lines().rev().find_map(told).unwrap_or(0)
}

fn event(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}
