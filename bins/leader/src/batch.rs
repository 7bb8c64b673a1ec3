//! Many downloads in one run.

use crate::get::{print_text, verdict};
use crate::tally::Tally;
use crate::tell;
use haul::{Error, ErrorKind, Event, Happening, Leader, LeaderBuilder, Report, Stops, Transfer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{IsTerminal, stderr};
use std::process::{self, ExitCode};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A file of this length or more comes alone; helpers are asked for such files only.
pub(crate) const LARGE: u64 = 8 << 20;

/// One download of many.
pub(crate) struct Item {
    /// How the user knows it before it has a name.
    pub(crate) label: String,
    pub(crate) leader: LeaderBuilder,
}

/// How many downloads are run and shown.
pub(crate) struct Manner {
    /// The most small files that come side by side.
    pub(crate) jobs: usize,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// Files that are there already are no failure.
    pub(crate) resume: bool,
}

impl Manner {
    /// Whether a download that ended so found its file there, as it may.
    fn is_there(&self, error: &Error) -> bool {
        self.resume && error.kind() == ErrorKind::Exists
    }
}

/// What a download says: an event, and at last how it ended.
enum Told {
    Event(Event),
    Ended(Box<Result<Report, Error>>),
}

/// Runs all downloads to their ends, or until it is told to stop. The error is that of the first in
/// the list that failed.
pub(crate) async fn run(items: Vec<Item>, manner: Manner) -> Result<ExitCode, Error> {
    let shared = match items.first() {
        Some(first) => first.leader.clone().build()?,
        None => return Err(Error::usage("there is no file in the list")),
    };
    let (say, mut heard) = mpsc::channel(64);
    let (stop, _) = watch::channel(false);
    let mut batch = Batch {
        tally: Tally::of(items.len()),
        queue: (1..).zip(items).collect(),
        at_work: BTreeMap::new(),
        small: false,
        face: Face::of(&manner),
        manner,
        shared,
        say,
        stop,
        tasks: JoinSet::new(),
    };
    let mut stops = Stops::listen();
    let mut interrupts = 0;
    batch.start_what_may();
    while !batch.at_work.is_empty() {
        tokio::select! {
            Some((number, told)) = heard.recv() => batch.take(number, told),
            () = stops.next() => {
                interrupts += 1;
                if interrupts > 1 {
                    process::exit(7);
                }
                batch.stop();
            }
        }
        batch.start_what_may();
    }
    batch.finish()
}

struct Batch {
    queue: VecDeque<(usize, Item)>,
    at_work: BTreeMap<usize, AtWork>,
    /// The file that told its length last was small, so the next is taken to be small as well.
    small: bool,
    manner: Manner,
    face: Face,
    tally: Tally,
    /// Lends its connections to all.
    shared: Leader,
    say: mpsc::Sender<(usize, Told)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// A download at work.
struct AtWork {
    name: String,
    large: bool,
    stored: u64,
    /// Its last event if it failed, which is shown when it is known why.
    failed: Option<Event>,
}

impl Batch {
    fn start_what_may(&mut self) {
        while self.may_start() {
            let Some((number, item)) = self.queue.pop_front() else { return };
            self.at_work
                .insert(number, AtWork { name: item.label, large: false, stored: 0, failed: None });
            match item.leader.helpers_from(LARGE).sharing(&self.shared).build() {
                Ok(leader) => {
                    let (say, stop) = (self.say.clone(), self.stop.subscribe());
                    self.tasks.spawn(follow(number, leader.start(), say, stop));
                }
                Err(error) => {
                    self.note(number, &failure(&error));
                    self.end(number, Err(error));
                }
            }
        }
        // Tasks that have ended have said all they had to say.
        while self.tasks.try_join_next().is_some() {}
    }

    fn may_start(&self) -> bool {
        let large = self.at_work.values().any(|work| work.large);
        let beside = self.small && !large && self.at_work.len() < self.manner.jobs;
        self.at_work.is_empty() || beside
    }

    /// Nothing new is begun, and what is at work stays resumable.
    fn stop(&mut self) {
        self.tally.leave(self.queue.len());
        self.queue.clear();
        self.stop.send_replace(true);
    }

    fn take(&mut self, number: usize, told: Told) {
        match told {
            Told::Event(event) => self.note(number, &event),
            Told::Ended(ended) => self.end(number, *ended),
        }
    }

    fn note(&mut self, number: usize, event: &Event) {
        if let Some(work) = self.at_work.get_mut(&number) {
            match &event.what {
                Happening::Probed { size, name, .. } => {
                    work.name.clone_from(name);
                    work.large = size.is_none_or(|size| size >= LARGE);
                    self.small = !work.large;
                }
                Happening::Progress { stored, .. } => work.stored = *stored,
                Happening::Failed(_) => {
                    work.failed = Some(event.clone());
                    return;
                }
                _ => {}
            }
        }
        let stored = self.at_work.values().map(|work| work.stored).sum::<u64>();
        self.face.show(number, event, self.tally.bytes() + stored);
    }

    fn end(&mut self, number: usize, ended: Result<Report, Error>) {
        let Some(work) = self.at_work.remove(&number) else { return };
        match ended {
            Ok(report) => {
                self.face.done(&work.name, &report, &self.tally);
                self.tally.done(report.bytes);
            }
            Err(error) if self.manner.is_there(&error) => {
                let what = Happening::Note { text: "it is there already".to_owned() };
                let at = work.failed.map_or(Duration::ZERO, |event| event.at);
                self.face.show(number, &Event { at, what }, 0);
                self.tally.skipped();
            }
            Err(error) => {
                let stored = self.tally.bytes();
                work.failed.iter().for_each(|event| self.face.show(number, event, stored));
                self.face.failed(&work.name, &error);
                self.tally.failed(number, error);
            }
        }
        self.face.count(&self.tally);
    }

    fn finish(self) -> Result<ExitCode, Error> {
        self.face.end(&self.tally);
        self.tally.verdict()
    }
}

/// Passes on what a download says, until it has ended.
async fn follow(
    number: usize,
    mut transfer: Transfer,
    say: mpsc::Sender<(usize, Told)>,
    mut stop: watch::Receiver<bool>,
) {
    let mut stopping = false;
    loop {
        tokio::select! {
            event = transfer.next_event() => match event {
                // Nobody listens any more only where the program ends.
                Some(event) => drop(say.send((number, Told::Event(event))).await),
                None => break,
            },
            Ok(()) = stop.changed(), if !stopping => {
                stopping = true;
                transfer.cancel();
            }
        }
    }
    let ended = Box::new(transfer.finish().await);
    let _ = say.send((number, Told::Ended(ended))).await;
}

/// How a run is shown.
enum Face {
    Json,
    Quiet,
    Lines { bar: ProgressBar, said: BTreeSet<String>, began: Instant },
}

impl Face {
    fn of(manner: &Manner) -> Self {
        match (manner.json, manner.quiet) {
            (true, _) => Self::Json,
            (_, true) => Self::Quiet,
            _ => Self::lines(),
        }
    }

    fn lines() -> Self {
        let target = if stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} files  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Lines { bar, said: BTreeSet::new(), began: Instant::now() }
    }

    fn show(&mut self, number: usize, event: &Event, stored: u64) {
        match self {
            Self::Json => print_of(number, event),
            Self::Quiet => {}
            Self::Lines { bar, said, .. } => match &event.what {
                // Of what holds for every file it is enough to say it once.
                Happening::Note { text } if said.insert(text.clone()) => say(bar, text),
                Happening::Nobody { causes } if said.insert(tell::nobody(causes)) => {
                    say(bar, &tell::nobody(causes));
                }
                Happening::Progress { rate, .. } => {
                    bar.set_message(format!("{}  {}/s", tell::size(stored), tell::size(*rate)));
                }
                _ => {}
            },
        }
    }

    fn done(&self, name: &str, report: &Report, tally: &Tally) {
        if !matches!(self, Self::Json) {
            print_text(&report.path.display().to_string());
        }
        if let Self::Lines { bar, .. } = self {
            say(bar, &format!("[{}] {name}: {}", tally.next(), verdict(report)));
        }
    }

    /// Whoever reads events has had its last one.
    fn failed(&self, name: &str, error: &Error) {
        match self {
            Self::Json => {}
            Self::Quiet => eprintln!("error: {name}: {error}"),
            Self::Lines { bar, .. } => say(bar, &format!("error: {name}: {error}")),
        }
    }

    fn count(&self, tally: &Tally) {
        if let Self::Lines { bar, .. } = self {
            bar.set_length(tally.files() as u64);
            bar.set_position(tally.ended() as u64);
        }
    }

    fn end(&self, tally: &Tally) {
        match self {
            Self::Json => print_text(&tally.last_event().to_string()),
            Self::Quiet => {}
            Self::Lines { bar, began, .. } => {
                bar.finish_and_clear();
                eprintln!("{}", tally.summary(began.elapsed()));
            }
        }
    }
}

fn say(bar: &ProgressBar, text: &str) {
    if bar.is_hidden() {
        eprintln!("{text}");
    } else {
        bar.println(text);
    }
}

/// An event with the number of the file that it is about.
fn print_of(number: usize, event: &Event) {
    let mut line = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = line.as_object_mut() {
        fields.insert("file".to_owned(), number.into());
    }
    print_text(&line.to_string());
}

/// The last event of a download that could not begin.
fn failure(error: &Error) -> Event {
    Event { at: Duration::ZERO, what: Happening::Failed(error.into()) }
}
