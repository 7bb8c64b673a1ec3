//! On a terminal there are bars, off it lines every ten seconds, and with `-q` neither.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

#[path = "common/neighbours.rs"]
mod neighbours;

use haul::Decision;
use haul_lab::lan::{Process, skip_or_fail};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use neighbours::Neighbours;
use std::process::{Command, Output, id};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_terminal_shows_a_bar_for_the_file_and_a_line_for_every_worker() {
    let (place, mut helpers) = (Place::new(8 << 20, 16), Neighbours::new());
    helpers.add("asha", Decision::Yes);
    helpers.add("ben", Decision::No);
    let Some(screen) = Screen::new("bars", &place, &place.get(&helpers.addresses())) else {
        return;
    };
    let shown = screen.wait(|shown| {
        let is_of = |line: &str, who| line.trim().starts_with(who) && line.contains("connection");
        let works = |who| shown.lines().any(|line| is_of(line, who));
        works("own link") && works("asha") && shown.contains(" % ") && shown.contains("/s")
    });
    assert!(shown.contains("file.bin: 8.0 MiB"), "{shown}");
    let shown = screen.wait(|shown| shown.contains("END 0"));
    assert!(shown.contains("times as fast as alone with one helper"), "{shown}");
    assert!(shown.contains("sampled: "), "{shown}");
    assert!(shown.contains("ben cannot help"), "{shown}");
    assert!(shown.lines().any(|line| line.ends_with("file.bin")), "{shown}");
    assert!(!shown.contains("connections"), "the bars are gone at the end: {shown}");
    assert!(place.is_exact());
}

#[test]
fn a_terminal_without_colours_gets_none() {
    let place = Place::new(2 << 20, 16);
    let command = format!("export NO_COLOR=1; {}", place.get("none"));
    let Some(screen) = Screen::new("plain", &place, &command) else { return };
    screen.wait(|shown| shown.contains(" % ") || shown.contains("END 0"));
    let colours = |shown: &str| (30..38).any(|colour| shown.contains(&format!("\u{1b}[{colour}m")));
    assert!(!colours(&screen.capture(&["-e"])));
    screen.wait(|shown| shown.contains("END 0"));
}

#[test]
fn ctrl_c_on_a_terminal_leaves_what_can_be_gone_on_with() {
    let place = Place::new(8 << 20, 8);
    let Some(screen) = Screen::new("stop", &place, &place.get("none")) else { return };
    screen.wait(|shown| shown.contains(" % "));
    screen.keys("C-c");
    let shown = screen.wait(|shown| shown.contains("END "));
    assert!(shown.contains("END 7") && shown.contains("-c"), "{shown}");
    assert!(place.folder.path().join("file.bin.part").exists());
}

#[test]
fn cancel_asks_and_only_a_yes_removes_anything() {
    let place = Place::new(8 << 20, 8);
    place.leave();
    let part = place.folder.path().join("file.bin.part");
    let cancel = format!("{} cancel", env!("CARGO_BIN_EXE_leader"));
    for (name, keys, goes) in [
        ("enter", &["Enter"][..], false),
        ("n", &["n", "Enter"], false),
        ("yonder", &["yonder", "Enter"], false),
        ("closed", &["C-d"], false),
        ("y", &["y", "Enter"], true),
    ] {
        let Some(screen) = Screen::new(&format!("cancel-{name}"), &place, &cancel) else { return };
        let shown = screen.wait(|shown| shown.contains("[y/N]"));
        assert!(shown.contains("Remove") && part.exists(), "{shown}");
        for key in keys {
            screen.keys(key);
        }
        screen.wait(|shown| shown.contains("END 0"));
        assert_eq!(part.exists(), !goes, "{name}");
    }
    assert!(!part.with_extension("haul").exists());
}

#[test]
fn enter_makes_another_link_to_the_page() {
    let place = Place::new(1, 8);
    let ui = format!("{} ui --port 0 --helpers none", env!("CARGO_BIN_EXE_leader"));
    let Some(screen) = Screen::new("ui", &place, &ui) else { return };
    screen.wait(|shown| shown.contains("press Enter"));
    screen.keys("Enter");
    let shown = screen.wait(|shown| shown.replace('\n', "").matches("/#t=").count() == 2);
    assert!(shown.contains("Open http://127.0.0.1:"), "{shown}");
    screen.keys("C-c");
    screen.wait(|shown| shown.contains("END 0"));
}

#[test]
fn off_a_terminal_there_is_a_line_every_ten_seconds() {
    let place = Place::new(3 << 20, 1);
    let mut leader = place.run(&[]);
    let began = Instant::now();
    for lines in 1..=2 {
        let is_there = |_: &str, said: &str| said.matches(" at work").count() as u64 >= lines;
        leader.wait_for(PATIENCE, is_there).unwrap();
        let after = began.elapsed().as_secs();
        assert!((8..=14).contains(&(after / lines)), "line {lines} after {after} s");
    }
    let said = leader.stderr();
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said:?}");
    let line = said.lines().find(|line| line.contains("at work")).unwrap();
    assert!(
        line.contains(" of 3.0 MiB ") && line.contains("/s") && line.contains("left"),
        "{line}"
    );
    leader.interrupt().unwrap();
    assert!(leader.wait_within(PATIENCE).unwrap().is_some());
}

#[test]
fn quiet_means_the_path_and_no_more() {
    let place = Place::new(1 << 20, 80);
    let mut leader = place.run(&["-q"]);
    assert!(leader.wait_within(PATIENCE).unwrap().unwrap().success());
    assert_eq!(leader.stderr(), "");
    assert!(leader.stdout().ends_with("file.bin\n") && leader.stdout().lines().count() == 1);
    let mut leader = place.run(&["-q"]);
    assert_eq!(leader.wait_within(PATIENCE).unwrap().unwrap().code(), Some(13));
    assert!(leader.stdout().is_empty() && leader.stderr().contains("try"));
}

/// An origin with one file, and a folder to save it in.
struct Place {
    folder: TempDir,
    origin: Origin,
    payload: Payload,
}

impl Place {
    /// A file of `size` bytes, over links of so many Mbit/s.
    fn new(size: u64, mbit: u64) -> Self {
        let payload = Payload::new(9, size);
        let shape = Shape::by_peer(Rate::mbit(mbit));
        let origin = Origin::builder().serve("/file.bin", Resource::of(payload)).shape(shape);
        Self { folder: TempDir::new().unwrap(), origin: origin.start().unwrap(), payload }
    }

    /// The command that downloads it.
    fn get(&self, helpers: &str) -> String {
        let (leader, url) = (env!("CARGO_BIN_EXE_leader"), self.origin.url("/file.bin"));
        format!("{leader} get {url} --no-scan --helpers {helpers}")
    }

    /// The same without a terminal.
    fn run(&self, more: &[&str]) -> Process {
        let mut leader = Command::new(env!("CARGO_BIN_EXE_leader"));
        leader.args(["get", &self.origin.url("/file.bin"), "--no-scan", "--helpers", "none"]);
        leader.args(more).current_dir(self.folder.path());
        Process::spawn(leader.env("HAUL_HOME", self.folder.path().join(".home"))).unwrap()
    }

    /// Downloads until something of it is durable, and then interrupts.
    fn leave(&self) {
        let mut leader = self.run(&["--json"]);
        let is_durable =
            |line: &str| line.contains("\"durable\":") && !line.contains("\"durable\":0,");
        leader.wait_for(PATIENCE, |out, _| out.lines().any(is_durable)).unwrap();
        leader.interrupt().unwrap();
        assert!(leader.wait_within(PATIENCE).unwrap().is_some());
    }

    fn is_exact(&self) -> bool {
        self.payload.first_difference(self.folder.path().join("file.bin")).unwrap().is_none()
    }
}

/// A terminal of a tmux server of its own, which ends with it.
struct Screen {
    socket: String,
}

impl Screen {
    /// Runs a command in the folder of `place`, then says how it ended. `None` without tmux.
    fn new(name: &str, place: &Place, command: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skip_or_fail("`tmux` is not installed");
            return None;
        }
        let screen = Self { socket: format!("haul-{name}-{}", id()) };
        let folder = place.folder.path().to_str().unwrap();
        let home = format!("HAUL_HOME={folder}/.home");
        let script = format!("{command}; echo \"END $?\"; exec sleep 300");
        let size = ["-x", "110", "-y", "40"];
        let begun = ["-f", "/dev/null", "new-session", "-d", "-c", folder, "-e", &home];
        let done = screen.tmux(&[&begun[..], &size, &["bash", "-c", &script]].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Some(screen)
    }

    /// Waits until the screen looks so, and gives what it shows.
    fn wait(&self, looks: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let shown = self.capture(&[]);
            if looks(&shown) {
                return shown;
            }
            assert!(began.elapsed() < PATIENCE, "it shows: {shown}");
            sleep(Duration::from_millis(50));
        }
    }

    fn capture(&self, more: &[&str]) -> String {
        let shown = self.tmux(&[&["capture-pane", "-p"], more].concat()).stdout;
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn keys(&self, keys: &str) {
        self.tmux(&["send-keys", keys]);
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
