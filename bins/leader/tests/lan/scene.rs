//! The stage on which every test plays, one test at a time, as they measure time.

use crate::common::{LEADER, PATIENCE, Ran, names, program, stored};
use haul_lab::Payload;
use haul_lab::lan::{self, Host, Lan, LanBuilder, Nginx, Process};
use std::fs::{self, DirBuilder, File};
use std::io::{Write, stderr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The network of every origin.
const ORIGINS: &str = "203.0.113.0/24";

static TURN: Mutex<()> = Mutex::new(());

/// A LAN, a folder that the origin serves, and one in which machines keep what they keep.
pub(crate) struct Scene {
    pub(crate) lan: Lan,
    served: TempDir,
    kept: TempDir,
    /// Whether the programs go before everything else on this machine.
    ahead: bool,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// Builds the LAN when it is this test's turn; `None` where there can be no LAN.
    pub(crate) fn build(lan: LanBuilder) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = lan::missing(&["nginx", "curl", "python3"]) {
            lan::skip_or_fail(&reason);
            return None;
        }
        // What a machine keeps is to be on a disk, so that what it writes there is counted.
        let kept = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let served = TempDir::new().unwrap();
        Some(Self { lan: lan.build().unwrap(), served, kept, ahead: false, _turn: turn })
    }

    /// Lets the programs go before everything else on this machine, for what is a matter of
    /// milliseconds.
    pub(crate) fn ahead(self) -> Self {
        Self { ahead: true, ..self }
    }

    /// nginx on the origin, for what is put into [`Scene::served`].
    pub(crate) fn nginx(&self) -> Nginx {
        Nginx::serving(self.served.path()).start(self.lan.origin()).unwrap()
    }

    /// nginx on the origin with this payload under `/file.bin`.
    pub(crate) fn serve(&self, payload: Payload) -> Nginx {
        payload.write_to(self.served("file.bin")).unwrap();
        self.nginx()
    }

    /// A file that the origin serves under this name.
    pub(crate) fn served(&self, name: &str) -> PathBuf {
        self.served.path().join(name)
    }

    /// `helper run` on this machine, which hears asks when this returns.
    pub(crate) fn helper(&self, host: &Host, accept: &str, more: &[&str]) -> Process {
        let mut command = self.command(host, &program("helper"));
        command.args(["run", "--json", "--allow-net", ORIGINS, "--accept", accept]).args(more);
        let mut helper = Process::spawn(&mut command).unwrap();
        helper.wait_for(PATIENCE, |out, _| out.contains("listening")).unwrap();
        helper
    }

    /// `helper` on this machine with other arguments, for the helper that runs there.
    pub(crate) fn owner(&self, host: &Host, arguments: &[&str]) -> Command {
        let mut command = self.command(host, &program("helper"));
        command.args(arguments);
        command
    }

    /// Lets a machine's owner say this in their policy.
    pub(crate) fn set_policy(&self, host: &Host, policy: &str) {
        let home = self.home(host);
        DirBuilder::new().recursive(true).mode(0o700).create(&home).unwrap();
        fs::write(home.join("policy.toml"), policy).unwrap();
    }

    /// `helper run` at a terminal on this machine, at which nobody answers.
    pub(crate) fn absent_owner(&self, host: &Host) -> AbsentOwner {
        let shown = self.kept.path().join(format!("{}.terminal", host.name()));
        let run =
            format!("'{}' run --accept ask --allow-net {ORIGINS}", program("helper").display());
        let mut command = self.command(host, Path::new("script"));
        command.args(["--quiet", "--flush", "--command", &run]).arg(&shown);
        let terminal = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let owner = AbsentOwner { terminal, shown };
        let began = Instant::now();
        while !owner.shown().contains("waiting for asks") {
            assert!(began.elapsed() < PATIENCE, "{}", owner.shown());
            thread::sleep(Duration::from_millis(10));
        }
        owner
    }

    /// `helper run --accept always` on every machine that is there to help.
    pub(crate) fn helpers(&self) -> Vec<Process> {
        self.lan.helpers().iter().map(|host| self.helper(host, "always", &[])).collect()
    }

    /// `leader get URL --json` with further arguments, saving into a folder of its own.
    pub(crate) fn get(&self, url: &str, more: &[&str]) -> Get {
        self.get_at(self.lan.leader(), url, more)
    }

    /// The same on another machine.
    pub(crate) fn get_at(&self, host: &Host, url: &str, more: &[&str]) -> Get {
        let folder = TempDir::new_in(self.kept.path()).unwrap();
        let mut command = self.command(host, Path::new(LEADER));
        command.args(["get", url, "--json", "--dir"]).arg(folder.path()).args(more);
        let process = Process::spawn(&mut command).unwrap();
        Get { process, began: Instant::now(), folder }
    }

    /// `leader get URL --json` of a leader that may have so many files open.
    pub(crate) fn get_with_files(&self, url: &str, files: u64) -> Get {
        let folder = TempDir::new_in(self.kept.path()).unwrap();
        let mut command = self.command(self.lan.leader(), Path::new("prlimit"));
        command.arg(format!("--nofile={files}:{files}")).arg(LEADER);
        command.args(["get", url, "--json", "--dir"]).arg(folder.path());
        let process = Process::spawn(&mut command).unwrap();
        Get { process, began: Instant::now(), folder }
    }

    /// A program's command on this machine, run to its end.
    pub(crate) fn run(&self, host: &Host, program: &Path, arguments: &[&str]) -> Ran {
        Ran::of(self.command(host, program).args(arguments))
    }

    /// A command on this machine, whose haul keeps its state apart from all others.
    fn command(&self, host: &Host, program: &Path) -> Command {
        let mut command = host.command(if self.ahead { Path::new("chrt") } else { program });
        if self.ahead {
            command.args(["--rr", "10"]).arg(program);
        }
        command.env("HAUL_HOME", self.home(host));
        command
    }

    /// Gives a machine the key of a group, as only its owner may read it.
    pub(crate) fn give_key(&self, host: &Host, key: &str) {
        let home = self.home(host);
        fs::create_dir_all(&home).unwrap();
        let mut file = File::options();
        let mut file =
            file.write(true).create(true).mode(0o600).open(home.join("group.key")).unwrap();
        file.write_all(key.as_bytes()).unwrap();
    }

    /// Where haul keeps its state on this machine.
    pub(crate) fn home(&self, host: &Host) -> PathBuf {
        self.kept.path().join(host.name())
    }
}

/// A terminal in which a helper runs. Dropping it closes the terminal, which ends the helper.
pub(crate) struct AbsentOwner {
    terminal: Child,
    shown: PathBuf,
}

impl AbsentOwner {
    /// What the terminal has shown.
    pub(crate) fn shown(&self) -> String {
        let shown = fs::read(&self.shown).unwrap_or_default();
        String::from_utf8_lossy(&shown).into_owned()
    }
}

impl Drop for AbsentOwner {
    fn drop(&mut self) {
        // Both fail only for a terminal that is closed already.
        let _ = self.terminal.kill();
        let _ = self.terminal.wait();
    }
}

/// A download under way.
pub(crate) struct Get {
    pub(crate) process: Process,
    pub(crate) began: Instant,
    folder: TempDir,
}

impl Get {
    /// Waits until so many bytes are stored.
    pub(crate) fn until_stored(&mut self, bytes: u64) {
        self.process.wait_for(PATIENCE, |out, _| stored(out) >= bytes).unwrap();
    }

    /// Waits for its end; what it saved goes with what this returns.
    pub(crate) fn ended(mut self) -> (Ran, Saved) {
        let ran = Ran::when_ended(&mut self.process, self.began);
        (ran, Saved(self.folder))
    }

    /// Waits for a good end, with `payload` saved as `file.bin` and nothing beside it.
    pub(crate) fn exact(self, payload: Payload) -> Ran {
        let (ran, saved) = self.ended();
        ran.done();
        assert_eq!(saved.names(), ["file.bin"]);
        assert_eq!(payload.first_difference(saved.path("file.bin")).unwrap(), None);
        ran
    }
}

/// What a download left in its folder.
pub(crate) struct Saved(TempDir);

impl Saved {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names of all files in it.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

/// What part of the file came to the leader twice, of which 1 % is the most.
pub(crate) fn came_twice(ran: &Ran) -> f64 {
    let done = ran.done();
    let workers = done["workers"].as_array().unwrap();
    let wasted: f64 = workers.iter().map(|worker| worker["wasted"].as_f64().unwrap()).sum();
    let part = wasted / done["bytes"].as_f64().unwrap();
    assert!(part <= 0.01, "{:.2} % came twice", 100.0 * part);
    part
}

/// The argument that demands this payload.
pub(crate) fn checksum(payload: Payload) -> String {
    format!("--checksum=sha-256={}", payload.sha256())
}

/// The middle one of an odd number of figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Prints past the test harness, which keeps what passing tests print to itself.
pub(crate) fn say(line: &str) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}
