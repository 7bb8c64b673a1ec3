//! The question at a real terminal, as tmux draws it: every answer, none at all, one prompt at a
//! time, and nothing of a stranger's name that could deceive.

use crate::common::{PATIENCE, write_policy};
use crate::job::Job;
use haul::{Answer, Home};
use haul_lab::lan::skip_or_fail;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const QUESTION: &str = "Can you help in download? Yes/No";

/// An address is answered once in two seconds.
const PAUSE: Duration = Duration::from_millis(2100);

#[test]
fn yes_helps_and_no_does_not() {
    let Some(screen) = Screen::open() else { return };
    let job = Job::start(&screen.address(), "asha");
    screen.shows("asha wants to download a file of 1.0 MiB from 127.0.0.1 (http).");
    screen.shows(QUESTION);
    screen.types("y");
    job.ends_helped();
    screen.shows("done for asha");
    let job = Job::start(&screen.address(), "ben");
    screen.shows("ben wants to download");
    screen.types("no");
    job.ends_refused();
}

#[test]
fn always_takes_the_code_of_the_leaders_screen_and_asks_no_more() {
    let Some(screen) = Screen::open() else { return };
    let kept = TempDir::new().unwrap();
    let home = || Home::at(kept.path());
    let job = Job::start_as(&screen.address(), "asha", home(), TempDir::new().unwrap());
    screen.shows(QUESTION);
    screen.types("p");
    screen.shows("Type the six digits that asha's screen shows.");
    let code = job.code();
    assert!(!screen.text().contains(&code), "whoever types it has to read it elsewhere");
    screen.types(&code);
    screen.shows("asha is known from now on.");
    job.ends_helped();
    let again = Job::start_as(&screen.address(), "asha", home(), TempDir::new().unwrap());
    again.ends_helped();
    assert_eq!(screen.count("asha wants to download"), 1);
}

#[test]
fn a_plain_yes_is_good_for_the_next_file_until_it_is_taken_back() {
    let Some(screen) = Screen::open() else { return };
    let kept = TempDir::new().unwrap();
    let job = || {
        thread::sleep(PAUSE);
        let home = Home::at(kept.path());
        Job::start_as(&screen.address(), "asha", home, TempDir::new().unwrap())
    };
    let first = job();
    screen.shows("yes: for 2 hours; F: with this file, T: today, P: always; B: block");
    screen.types("y");
    screen.shows("asha is helped for 2 hours");
    first.ends_helped();
    job().ends_helped();
    screen.shows("(granted until ");
    assert_eq!(screen.count("asha wants to download"), 1);
    let told = screen.trust(&[]);
    assert!(told.contains("granted  ") && told.contains(" in 2 files so far"), "{told}");
    assert!(screen.trust(&["forget", "asha"]).contains("granted no more"));
    assert_eq!(screen.trust(&["list"]), "");
    let asked = job();
    screen.shows("asha wants to download");
    let began = Instant::now();
    while screen.count("asha wants to download") < 2 {
        assert!(began.elapsed() < PATIENCE, "{}", screen.text());
        thread::sleep(Duration::from_millis(50));
    }
    screen.types("f");
    screen.shows("asha is helped with this file");
    asked.ends_helped();
}

#[test]
fn a_no_and_a_block_are_listed_and_taken_back() {
    let Some(screen) = Screen::open() else { return };
    let kept = TempDir::new().unwrap();
    let job = || {
        thread::sleep(PAUSE);
        let home = Home::at(kept.path());
        Job::start_as(&screen.address(), "asha", home, TempDir::new().unwrap())
    };
    let mut asked = 0;
    let mut answered = |job: Job, answer: &str| {
        asked += 1;
        let began = Instant::now();
        while screen.count("asha wants to download") < asked {
            assert!(began.elapsed() < PATIENCE, "{}", screen.text());
            thread::sleep(Duration::from_millis(50));
        }
        screen.types(answer);
        job
    };
    answered(job(), "n").ends_refused();
    assert_eq!(job().refusal(), Answer::Later);
    assert!(screen.trust(&[]).contains("refused  "), "{}", screen.trust(&[]));
    assert!(screen.trust(&["lift", "asha"]).contains("refused no more"));
    answered(job(), "b").ends_refused();
    assert_eq!(job().refusal(), Answer::No);
    assert!(screen.trust(&["--json"]).contains("\"is\":\"blocked\""));
    assert!(screen.trust(&["unblock", "asha"]).contains("blocked no more"));
    answered(job(), "t").ends_helped();
    screen.shows("asha is helped until midnight");
}

#[test]
fn block_refuses_for_good() {
    let Some(screen) = Screen::open() else { return };
    let kept = TempDir::new().unwrap();
    let home = || Home::at(kept.path());
    let job = Job::start_as(&screen.address(), "asha", home(), TempDir::new().unwrap());
    screen.shows(QUESTION);
    screen.types("b");
    screen.shows("asha is blocked from now on.");
    job.ends_refused();
    let again = Job::start_as(&screen.address(), "another", home(), TempDir::new().unwrap());
    again.ends_refused();
    assert_eq!(screen.count(QUESTION), 1);
}

#[test]
fn no_answer_is_a_no_and_the_question_goes_away() {
    let Some(screen) = Screen::open() else { return };
    let job = Job::start(&screen.address(), "asha");
    screen.shows(QUESTION);
    job.ends_refused();
    screen.shows("nobody answered within 45 s");
    screen.types("yes");
    let job = Job::start(&screen.address(), "ben");
    screen.shows("ben wants to download");
    screen.types("n");
    job.ends_refused();
}

#[test]
fn a_second_ask_while_a_prompt_is_open_is_told_to_come_later() {
    let Some(screen) = Screen::open() else { return };
    let first = Job::start(&screen.address(), "asha");
    screen.shows(QUESTION);
    let second = Job::start(&screen.address(), "ben");
    assert_eq!(second.refusal(), Answer::Later);
    assert_eq!((screen.count(QUESTION), screen.count("ben")), (1, 0));
    screen.types("yes");
    first.ends_helped();
}

#[test]
fn a_hostile_name_is_shown_as_plain_letters_and_few_of_them() {
    let bidi = "asha\u{202e}\u{2066}\u{200b}nimda".to_owned();
    let escapes = "eve\u{1b}[2J\u{1b}]0;x\u{7}\u{1b}[31m\r\nCan you help? y".to_owned();
    let long = "x".repeat(10_000);
    for (name, shown) in [
        (bidi, "ashanimda".to_owned()),
        (escapes, "eve2J0x31mCan you help y".into()),
        (long, "x".repeat(32)),
    ] {
        let Some(screen) = Screen::open() else { return };
        let job = Job::start(&screen.address(), &name);
        screen.shows(&format!("{shown} wants to download"));
        let text = screen.text();
        assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text:?}");
        assert!(text.contains("waiting for asks on"), "what stood there is gone: {text}");
        screen.types("n");
        job.ends_refused();
    }
}

/// A terminal of tmux, with a server of its own, in which a helper runs.
struct Screen {
    server: String,
    home: TempDir,
}

impl Screen {
    /// Runs `helper run` in a new terminal; `None` where there is no tmux.
    fn open() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            skip_or_fail("`tmux` is not installed");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let server = format!("haul-{}-{number}", std::process::id());
        let home = TempDir::new().unwrap();
        write_policy(home.path(), "ask", "");
        let screen = Self { server, home };
        let helper = format!(
            "HAUL_HOME='{}' '{}' run --allow-net 127.0.0.0/8 --listen 127.0.0.1:0",
            screen.home.path().display(),
            env!("CARGO_BIN_EXE_helper")
        );
        let made = screen.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "60",
            &helper,
        ]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        screen.shows("Ctrl-C to stop");
        Some(screen)
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-L", &self.server]).args(arguments).env("TERM", "xterm-256color");
        tmux.output().unwrap()
    }

    /// What stands on the screen.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-J"]).stdout).into_owned()
    }

    fn count(&self, text: &str) -> usize {
        self.text().matches(text).count()
    }

    /// Waits until this stands on the screen; longer than it takes until silence is a no.
    fn shows(&self, text: &str) {
        let began = Instant::now();
        while !self.text().contains(text) {
            assert!(began.elapsed() < PATIENCE * 2, "no {text:?}:\n{}", self.text());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What `helper trust` says of this helper.
    fn trust(&self, arguments: &[&str]) -> String {
        let mut trust = Command::new(env!("CARGO_BIN_EXE_helper"));
        trust.arg("trust").args(arguments).env("HAUL_HOME", self.home.path());
        let told = trust.output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    /// Types a line.
    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Where the helper hears asks.
    fn address(&self) -> String {
        let text = self.text();
        let rest = text.split("waiting for asks on ").nth(1).unwrap();
        rest.split(';').next().unwrap().to_owned()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The server is this screen's own; the helper ends with its terminal.
        self.tmux(&["kill-server"]);
    }
}
