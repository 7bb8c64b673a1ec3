use super::builder::Settings;
use super::job;
use crate::event::{Event, Happening, Stretch, WorkerProgress};
use crate::reader::{Grown, Reader};
use crate::{Error, ErrorKind, Report};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A job at work. Dropping it stops the job and leaves it resumable.
pub struct Transfer {
    events: mpsc::UnboundedReceiver<Event>,
    snapshot: watch::Receiver<Snapshot>,
    stop: watch::Sender<bool>,
    grown: watch::Receiver<Grown>,
    job: JoinHandle<Result<Report, Error>>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Length of the file in bytes, once and if the origin told it.
    pub size: Option<u64>,
    /// Bytes written.
    pub stored: u64,
    /// Bytes that survive a power cut.
    pub durable: u64,
    /// Bytes per second, all together.
    pub rate: u64,
    /// Everybody who fetches; the first is the own link.
    pub workers: Vec<WorkerProgress>,
    /// Who delivered which part of the file; see [`Happening::Progress`].
    pub map: Vec<Stretch>,
}

impl Transfer {
    pub(crate) fn start(settings: Settings) -> Self {
        let (teller, events) = mpsc::unbounded_channel();
        let (shower, snapshot) = watch::channel(Snapshot::default());
        let (stop, stopped) = watch::channel(false);
        let telling = Telling { began: Instant::now(), events: teller, snapshot: shower };
        let (grow, grown) = watch::channel(Grown::default());
        let job = tokio::spawn(job::run(settings, telling, Stop(stopped), grow));
        Self { events, snapshot, stop, grown, job }
    }

    /// The next event; `None` after the last. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// How far the job is.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Reads the file from its first byte on while it grows.
    pub fn reader(&self) -> Reader {
        Reader::new(self.grown.clone())
    }

    /// Stops the job and leaves it resumable; [`finish`](Self::finish) then tells so.
    pub fn cancel(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end.
    pub async fn finish(self) -> Result<Report, Error> {
        let Self { events, stop, job, .. } = self;
        drop(events);
        let ended = job.await;
        drop(stop);
        ended.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Other, "the job ended early", error.to_string()))
        })
    }
}

/// Whether the job is to stop: it was told to, or nobody holds its handle any more.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the job is to stop. Cancel safe.
    pub(crate) async fn requested(&mut self) {
        // An error means that the handle was dropped.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Waits so long, unless the job is to stop.
    pub(crate) async fn sleep(&mut self, pause: Duration) -> Result<(), Error> {
        tokio::select! {
            () = sleep(pause) => Ok(()),
            () = self.requested() => Err(interrupted()),
        }
    }
}

pub(crate) fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "the download was stopped", "you asked for it")
        .with_remedy("run the same command with -c to go on where it was")
}

/// The job's way to tell what happens.
pub(crate) struct Telling {
    began: Instant,
    events: mpsc::UnboundedSender<Event>,
    snapshot: watch::Sender<Snapshot>,
}

impl Telling {
    /// Since the job began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells whoever listens, if anybody does.
    pub(crate) fn tell(&self, what: Happening) {
        let _ = self.events.send(Event { at: self.now(), what });
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.tell(Happening::Note { text: text.into() });
    }

    pub(crate) fn progress(&self, snapshot: Snapshot) {
        let Snapshot { stored, durable, rate, workers, map, .. } = snapshot.clone();
        self.snapshot.send_replace(snapshot);
        self.tell(Happening::Progress { stored, durable, rate, workers, map });
    }
}
