use crate::name::FileName;
use crate::record::Record;
use crate::reply::Refusal;
use haul::{Error, Event, Failed, Happening, Leader, LeaderBuilder, Transfer, Url};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// The downloads that the page starts, one at a time.
pub(crate) struct Jobs {
    folder: PathBuf,
    template: Box<Template>,
    record: watch::Sender<Record>,
    at_work: Mutex<Option<AtWork>>,
}

/// How every download begins, before the page says where it is saved.
pub(crate) type Template = dyn Fn(Url) -> LeaderBuilder + Send + Sync;

/// What the page sends to start a download.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    url: String,
    save_as: String,
}

/// What the page is told when it opens.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    folder: PathBuf,
    busy: bool,
}

struct AtWork {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Jobs {
    pub(crate) fn new(folder: PathBuf, template: Box<Template>) -> Self {
        let (record, _) = watch::channel(Record::default());
        Self { folder, template, record, at_work: Mutex::new(None) }
    }

    /// What the job at hand tells, from its beginning.
    pub(crate) fn record(&self) -> watch::Receiver<Record> {
        self.record.subscribe()
    }

    pub(crate) fn state(&self) -> State {
        State { folder: self.folder.clone(), busy: self.at_work().is_some() }
    }

    /// Starts a download, unless one is at work.
    ///
    /// What an earlier one left under the same name is gone on with, since a page has no `-c`.
    pub(crate) fn start(self: &Arc<Self>, wanted: &Wanted) -> Result<(), Refusal> {
        let name = FileName::parse(&wanted.save_as).map_err(|because| {
            let remedy = "give the file a plain name, such as image.iso";
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, because, remedy)
        })?;
        let leader = self.leader(&wanted.url, &name)?;
        let mut at_work = self.at_work();
        if at_work.is_some() {
            return Err(conflict("a download is at work", "wait for its end, or cancel it"));
        }
        self.record.send_modify(|record| record.begin(name.as_str()));
        let stop = Arc::new(Notify::new());
        let follow = Arc::clone(self).follow(leader.start(), Arc::clone(&stop));
        *at_work = Some(AtWork { stop, task: tokio::spawn(follow) });
        Ok(())
    }

    /// Stops the download at work; what there is of the file is kept.
    pub(crate) fn cancel(&self) -> Result<(), Refusal> {
        let at_work = self.at_work();
        let Some(AtWork { stop, .. }) = &*at_work else {
            return Err(conflict("no download is at work", "start one"));
        };
        stop.notify_one();
        Ok(())
    }

    /// Stops the download at work, if there is one, and waits until it has put everything away.
    pub(crate) async fn end(&self) {
        let at_work = self.at_work().take();
        if let Some(AtWork { stop, task }) = at_work {
            stop.notify_one();
            // A panic in the task has been printed by its own thread.
            let _ = task.await;
        }
    }

    fn leader(&self, url: &str, name: &FileName) -> Result<Leader, Refusal> {
        let url = url.trim().parse().map_err(|error| {
            let because = format!("the URL cannot be read: {error}");
            let remedy = "copy the whole link; one looks like https://example.org/file.iso";
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, &because, remedy)
        })?;
        let wanted = (self.template)(url).folder(&self.folder).save_as(name.as_str());
        wanted.resume().build().map_err(|error| Refusal::from(&error))
    }

    /// Writes down what the download tells. Whoever hears its last word can start the next one.
    async fn follow(self: Arc<Self>, mut transfer: Transfer, stop: Arc<Notify>) {
        let mut last = None;
        loop {
            tokio::select! {
                event = transfer.next_event() => match event {
                    Some(event) if is_last(&event) => last = Some(event),
                    Some(event) => self.record.send_modify(|record| record.tell(&event)),
                    None => break,
                },
                () = stop.notified() => transfer.cancel(),
            }
        }
        let ended = transfer.finish().await;
        *self.at_work() = None;
        if let Some(event) = last.or_else(|| ended.err().map(|error| failed(&error))) {
            self.record.send_modify(|record| record.tell(&event));
        }
    }

    fn at_work(&self) -> MutexGuard<'_, Option<AtWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn is_last(event: &Event) -> bool {
    matches!(event.what, Happening::Done(_) | Happening::Failed(_))
}

/// The last word of a job that ended before it could say it.
fn failed(error: &Error) -> Event {
    Event { at: Duration::ZERO, what: Happening::Failed(Failed::from(error)) }
}

fn conflict(because: &str, remedy: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, because, remedy)
}
