//! The stage on which every test plays: `leader ui`, helpers on links of their own, an origin, and
//! a browser. One test plays at a time, as each has a browser and some measure time.

use crate::neighbours::Neighbours;
use haul::Decision;
use haul_lab::browser::{self, Browser};
use haul_lab::lan::{Process, skip_or_fail};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// The leader's program.
const LEADER: &str = env!("CARGO_BIN_EXE_leader");

/// How long the program may take to open its page, or to end.
const SOON: Duration = Duration::from_secs(30);

/// The file that the origin serves under `/file.bin` and `/mirror.bin`.
const SIZE: u64 = 6 << 20;

static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Stage {
    pub(crate) browser: Browser,
    pub(crate) folder: TempDir,
    pub(crate) origin: Origin,
    pub(crate) payload: Payload,
    program: Option<Process>,
    /// The link that the program showed last.
    pub(crate) link: String,
    asked: String,
    home: TempDir,
    pub(crate) helpers: Neighbours,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// The page, opened in a browser by its link, with nobody to help; `None` where there can be no
    /// browser.
    pub(crate) fn open() -> Option<Self> {
        Self::with(&[])
    }

    /// The same, with helpers that answer so. Each has a link of its own.
    pub(crate) fn with(helpers: &[(&str, Decision)]) -> Option<Self> {
        let stage = Self::set(helpers)?;
        stage.browser.open(&stage.link).unwrap();
        stage.browser.wait("document.querySelector('#folder').textContent").unwrap();
        Some(stage)
    }

    /// The same, without the page being open yet.
    pub(crate) fn set(helpers: &[(&str, Decision)]) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = browser::missing() {
            skip_or_fail(&reason);
            return None;
        }
        let payload = Payload::new(9, SIZE);
        let home = TempDir::new().unwrap();
        let mut stage = Self {
            browser: Browser::start().unwrap(),
            folder: TempDir::new().unwrap(),
            origin: origin(payload),
            payload,
            program: None,
            link: String::new(),
            asked: "none".to_owned(),
            helpers: Neighbours::new(),
            home,
            _turn: turn,
        };
        for &(name, says) in helpers {
            stage.helpers.add(name, says);
        }
        if !helpers.is_empty() {
            stage.asked = stage.helpers.addresses();
        }
        stage.start(0);
        Some(stage)
    }

    /// Starts the program, on a free port if that is zero.
    pub(crate) fn start(&mut self, port: u16) {
        let mut ui = Command::new(LEADER);
        ui.arg("ui").arg("--dir").arg(self.folder.path()).arg("--helpers").arg(&self.asked);
        ui.arg("--no-scan").arg("--port").arg(port.to_string()).env("HAUL_HOME", self.home.path());
        let mut program = Process::spawn(&mut ui).unwrap();
        program.wait_for(SOON, |_, said| link(said).is_some()).unwrap();
        self.link = link(&program.stderr()).unwrap();
        self.program = Some(program);
    }

    /// Starts `leader get --ui` with these arguments, and opens its page.
    pub(crate) fn get(&mut self, arguments: &[&str]) {
        let mut get = Command::new(LEADER);
        get.args(["get", "--ui", "--no-scan", "--helpers", &self.asked]).args(arguments);
        get.arg("--dir").arg(self.folder.path()).env("HAUL_HOME", self.home.path());
        let mut program = Process::spawn(&mut get).unwrap();
        program.wait_for(SOON, |_, said| link(said).is_some()).unwrap();
        self.link = link(&program.stderr()).unwrap();
        self.program = Some(program);
        self.browser.open(&self.link).unwrap();
        self.browser.wait("document.querySelector('#folder').textContent").unwrap();
    }

    /// Ends the program as Ctrl-C does; gives what it wrote to stdout and how it ended.
    pub(crate) fn end(&mut self) -> (String, Option<i32>) {
        let mut program = self.program.take().unwrap();
        program.interrupt().unwrap();
        let status = program.wait_within(SOON).unwrap().unwrap();
        (program.stdout(), status.code())
    }

    /// Ends the program as Ctrl-C does; gives the port that it had.
    pub(crate) fn stop(&mut self) -> u16 {
        let mut program = self.program.take().unwrap();
        program.interrupt().unwrap();
        assert!(program.wait_within(SOON).unwrap().is_some(), "it does not end");
        let (_, port) = self.address().rsplit_once(':').unwrap();
        port.parse().unwrap()
    }

    /// The page's address without the token.
    pub(crate) fn address(&self) -> &str {
        self.link.split("/#").next().unwrap()
    }

    /// Submits a URL of the origin through the form, to be saved under this name.
    pub(crate) fn submit(&self, path: &str, name: &str, extension: &str) {
        let fill = |id: &str, text: &str| self.browser.find(id).unwrap().fill(text).unwrap();
        fill("#url", &self.origin.url(path));
        fill("#save-as", name);
        fill("#extension", extension);
        self.click("#submit");
    }

    pub(crate) fn click(&self, selector: &str) {
        let browser = &self.browser;
        let enabled = format!("document.querySelector({})?.disabled === false", json!(selector));
        browser.wait(&enabled).unwrap();
        browser.find(selector).unwrap().click().unwrap();
    }

    /// Waits until the download at hand is in this state.
    pub(crate) fn wait_phase(&self, phase: &str) {
        self.browser
            .wait(&format!("document.querySelector('#job:not([hidden])[data-phase={phase}]')"))
            .unwrap();
    }

    /// Waits until so much of the file is there, in percent.
    pub(crate) fn wait_percent(&self, percent: u64) {
        let value = "document.querySelector('#bar').value";
        self.browser.wait(&format!("{value} * 100 >= {percent}")).unwrap();
    }

    /// Whether the file is there under this name, byte by byte.
    pub(crate) fn is_exact(&self, name: &str) {
        assert_eq!(self.payload.first_difference(self.folder.path().join(name)).unwrap(), None);
    }

    /// The home of the programs.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        self.browser.text(selector).unwrap()
    }
}

fn origin(payload: Payload) -> Origin {
    Origin::builder()
        .serve("/file.bin", Resource::of(payload))
        .serve("/mirror.bin", Resource::of(payload))
        .serve("/whole.bin", Resource::of(payload).without_ranges())
        .shape(Shape::by_peer(Rate::mbit(8)))
        .start()
        .unwrap()
}

fn link(said: &str) -> Option<String> {
    let (_, after) = said.split_once("Open ")?;
    Some(after.split_once(' ')?.0.to_owned())
}
