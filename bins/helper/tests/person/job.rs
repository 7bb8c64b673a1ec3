//! Downloads that ask a helper for help.

use crate::common::PATIENCE;
use haul::{Answer, ErrorKind, Event, Happening, Helpers, Home, Leader, Report};
use haul_lab::Payload;
use haul_lab::origin::{Origin, Resource};
use std::sync::mpsc;
use std::thread;
use tempfile::TempDir;

/// A download of 1 MiB that does not begin before a helper says yes.
pub(crate) struct Job {
    thread: thread::JoinHandle<(Vec<Event>, Result<Report, haul::Error>)>,
    /// The code, once it is on the leader's screen.
    code: mpsc::Receiver<String>,
}

impl Job {
    /// Starts one that asks the helper at this address, as a machine of its own, under this name.
    pub(crate) fn start(helper: &str, name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path().join("home"));
        Self::start_as(helper, name, home, folder)
    }

    /// Starts one as the machine with this home.
    pub(crate) fn start_as(helper: &str, name: &str, home: Home, folder: TempDir) -> Self {
        let (name, helper) = (name.to_owned(), helper.to_owned());
        let (shows, code) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(run(name, helper, home, folder, shows))
        });
        Self { thread, code }
    }

    /// What the leader's screen shows.
    pub(crate) fn code(&self) -> String {
        self.code.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn ended(self) -> (Vec<Event>, Result<Report, haul::Error>) {
        self.thread.join().unwrap()
    }

    /// Waits until it ended with the helper's help.
    pub(crate) fn ends_helped(self) {
        assert!(self.ended().1.unwrap().workers[1].bytes > 0);
    }

    /// Waits until it ended because nobody helps.
    pub(crate) fn ends_refused(self) {
        assert_eq!(self.refusal(), Answer::No);
    }

    /// What it was answered when it ended because nobody helps.
    pub(crate) fn refusal(self) -> Answer {
        let (events, report) = self.ended();
        assert_eq!(report.unwrap_err().kind(), ErrorKind::TooFewHelpers);
        let answer = events.iter().find_map(|event| match event.what {
            Happening::Answered { answer, .. } => Some(answer),
            _ => None,
        });
        answer.unwrap_or_else(|| panic!("{events:?}"))
    }
}

pub(crate) fn code_of(event: &Event) -> Option<String> {
    match &event.what {
        Happening::Offered { code, .. } => Some(code.clone()),
        _ => None,
    }
}

async fn run(
    name: String,
    helper: String,
    home: Home,
    folder: TempDir,
    shows: mpsc::Sender<String>,
) -> (Vec<Event>, Result<Report, haul::Error>) {
    let payload = Resource::of(Payload::new(23, 1 << 20));
    let origin = Origin::builder().serve("/file.bin", payload).start().unwrap();
    let leader = Leader::builder(origin.url("/file.bin").parse().unwrap())
        .helpers(Helpers::only([helper]))
        .min_helpers(1)
        .home(home)
        .folder(folder.path())
        .name(name);
    let mut transfer = leader.build().unwrap().start();
    let mut events = Vec::new();
    while let Some(event) = transfer.next_event().await {
        // Most tests do not look at it.
        let _ = code_of(&event).map(|code| shows.send(code));
        events.push(event);
    }
    (events, transfer.finish().await)
}
