//! The stage on which every test plays: `helper run --ui` and a browser. One test plays at a time,
//! as each has a browser.

use crate::common::{PATIENCE, write_policy};
use crate::job::Job;
use haul::Home;
use haul::control::{Command as Tell, Status, tell};
use haul_lab::browser::{self, Browser};
use haul_lab::lan::{Process, skip_or_fail};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// The helper's program.
const HELPER: &str = env!("CARGO_BIN_EXE_helper");

pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const TAB: &str = "\u{e004}";

static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Stage {
    pub(crate) browser: Browser,
    pub(crate) home: TempDir,
    program: Option<Process>,
    /// The link that the program showed last.
    pub(crate) link: String,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// The page of a helper that asks its owner about everybody, opened in a browser by its link;
    /// `None` where there can be no browser.
    pub(crate) fn open() -> Option<Self> {
        let stage = Self::set()?;
        stage.browser.open(&stage.link).unwrap();
        stage.is_ready();
        Some(stage)
    }

    /// The same, without the page being open yet.
    pub(crate) fn set() -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = browser::missing() {
            skip_or_fail(&reason);
            return None;
        }
        let home = TempDir::new().unwrap();
        write_policy(home.path(), "ask", "");
        let (browser, program, link) = (Browser::start().unwrap(), None, String::new());
        let mut stage = Self { browser, home, program, link, _turn: turn };
        stage.start(0);
        Some(stage)
    }

    /// Starts the program, its page on a free port if that is zero.
    pub(crate) fn start(&mut self, port: u16) {
        let mut run = Command::new(HELPER);
        run.args(["run", "--allow-net", "127.0.0.0/8", "--listen", "127.0.0.1:0", "--ui"]);
        run.arg("--port").arg(port.to_string()).env("HAUL_HOME", self.home.path());
        let mut program = Process::spawn(&mut run).unwrap();
        program.wait_for(PATIENCE, |_, said| said.contains("waiting for asks on ")).unwrap();
        self.link = between(&program.stderr(), "Open ", " ");
        self.program = Some(program);
    }

    /// Ends the program as Ctrl-C does; gives the port that its page had.
    pub(crate) fn stop(&mut self) -> u16 {
        let mut program = self.program.take().unwrap();
        program.interrupt().unwrap();
        assert!(program.wait_within(PATIENCE).unwrap().is_some(), "it does not end");
        self.page().rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// The page's address without the token.
    pub(crate) fn page(&self) -> &str {
        self.link.split("/#").next().unwrap()
    }

    /// Where the helper hears asks.
    pub(crate) fn address(&self) -> String {
        between(&self.program.as_ref().unwrap().stderr(), "waiting for asks on ", ";")
    }

    /// A machine of this name asks for help, and its question is on the page.
    pub(crate) fn asked_by(&self, name: &str) -> Job {
        let job = Job::start(&self.address(), name);
        self.browser.find("#ask").unwrap();
        job
    }

    /// Waits until the page shows how the helper is.
    pub(crate) fn is_ready(&self) {
        self.browser.wait("document.querySelector('#lending:not([hidden])')").unwrap();
        self.browser.wait("document.querySelector('#today-text').textContent").unwrap();
    }

    pub(crate) fn click(&self, selector: &str) {
        let browser = &self.browser;
        let enabled = format!("document.querySelector({})?.disabled === false", json!(selector));
        browser.wait(&enabled).unwrap();
        browser.find(selector).unwrap().click().unwrap();
    }

    /// Presses a key once the question takes answers.
    pub(crate) fn press(&self, key: &str) {
        self.browser.wait("document.querySelector('#yes').disabled === false").unwrap();
        self.browser.press(key).unwrap();
    }

    /// Waits until no question is open.
    pub(crate) fn is_not_asked(&self) {
        self.browser.wait("document.querySelector('#ask').hidden").unwrap();
    }

    /// Waits until this stands there.
    pub(crate) fn shows(&self, selector: &str, text: &str) {
        let told = format!("document.querySelector({})?.textContent", json!(selector));
        self.browser.wait(&format!("({told} ?? '').includes({})", json!(text))).unwrap();
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        self.browser.text(selector).unwrap()
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.browser.run(script).unwrap()
    }

    /// A file of the helper's home.
    pub(crate) fn kept(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap_or_default()
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.home.path().join("policy.toml")
    }

    /// How the helper is, by its own word.
    pub(crate) fn status(&self) -> Status {
        tell(&Home::at(self.home.path()), Tell::Status).unwrap()
    }
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split(before).nth(1).unwrap();
    rest.split(after).next().unwrap().to_owned()
}
