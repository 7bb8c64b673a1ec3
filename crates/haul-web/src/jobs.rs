use crate::left;
use crate::name::FileName;
use crate::queue::{Job, Order, Queue, Stop};
use crate::record::Record;
use crate::reply::Refusal;
use haul::{Error, Event, Failed, Happening, Home, Leader, LeaderBuilder, Transfer, Url};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};

/// The downloads that the page asks for: one works at a time, and the others wait.
pub(crate) struct Jobs {
    folder: PathBuf,
    template: Box<Template>,
    /// Where it is known what former runs left.
    home: Option<Home>,
    on_end: Box<OnEnd>,
    record: watch::Sender<Record>,
    desk: Mutex<Desk>,
}

/// How every download begins, before the page says where it is saved.
pub(crate) type Template = dyn Fn(Url) -> LeaderBuilder + Send + Sync;

/// What is told the last event of every download that ended by itself.
pub(crate) type OnEnd = dyn Fn(&Event) + Send + Sync;

/// What the page sends to have a file downloaded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    url: String,
    save_as: String,
    /// `sha-256=HEX`, or nothing.
    #[serde(default)]
    checksum: String,
    /// The most that the own link may bring, such as `2M`, or nothing.
    #[serde(default)]
    limit: String,
    /// Whether servers on the internet may lead to addresses of this machine and its networks.
    #[serde(default)]
    allow_private: bool,
}

/// What the page is told of all downloads.
#[derive(Serialize)]
struct List<'a> {
    folder: &'a Path,
    jobs: &'a [Job],
}

#[derive(Default)]
struct Desk {
    queue: Queue,
    at_work: Option<AtWork>,
    given: Option<Given>,
    /// Nothing begins any more.
    closed: bool,
}

struct AtWork {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

/// The download that the program itself asked for.
struct Given {
    id: u32,
    /// How it begins, unless it goes on from another URL: what was said for the one, such as a
    /// password, is not for the other.
    leader: Option<LeaderBuilder>,
    ended: watch::Sender<Option<Event>>,
}

impl Jobs {
    pub(crate) fn new(
        folder: PathBuf,
        template: Box<Template>,
        home: Option<Home>,
        on_end: Box<OnEnd>,
    ) -> Self {
        let (record, _) = watch::channel(Record::default());
        let jobs = Self { folder, template, home, on_end, record, desk: Mutex::default() };
        jobs.tell_list(&jobs.desk());
        jobs
    }

    /// What is told of all downloads, and of the one at hand from its beginning.
    pub(crate) fn record(&self) -> watch::Receiver<Record> {
        self.record.subscribe()
    }

    pub(crate) fn list(&self) -> serde_json::Value {
        // A list is a plain record, which JSON can always write.
        serde_json::to_value(self.list_of(&self.desk())).unwrap_or_default()
    }

    /// Puts a download at the end of the line.
    ///
    /// What an earlier one left under the same name is gone on with, since a page has no `-c`.
    pub(crate) fn add(self: &Arc<Self>, wanted: &Wanted) -> Result<(), Refusal> {
        self.order(order(wanted)?)
    }

    /// Puts a download of the program's own at the end of the line; tells each time it has ended.
    pub(crate) fn give(
        self: &Arc<Self>,
        leader: LeaderBuilder,
        name: FileName,
    ) -> Result<watch::Receiver<Option<Event>>, Error> {
        let url = leader.url().clone();
        let order = Order { url, name, checksum: None, limit: None, allow_private: false };
        self.saved(leader.clone(), &order)?;
        let (ended, told) = watch::channel(None);
        let full = |_| Error::usage("too many downloads wait already");
        let given = self.change(|desk| {
            let (id, leader) = (desk.queue.add(order)?, Some(leader));
            desk.given = Some(Given { id, leader, ended });
            Ok(())
        });
        given.map(|()| told).map_err(full)
    }

    /// Goes on with what a former run left, from another URL of the same file if one is given.
    pub(crate) fn resume_left(
        self: &Arc<Self>,
        id: &str,
        url: Option<&str>,
    ) -> Result<(), Refusal> {
        let url = url.map(parse).transpose()?;
        let Some(home) = &self.home else {
            let because = "this page does not know what was left";
            return Err(Refusal::new(StatusCode::CONFLICT, because, "submit its link"));
        };
        self.order(left::order(home, &self.folder, id, url)?)
    }

    /// Looks what former runs left, and tells the page.
    pub(crate) fn look_for_left(self: &Arc<Self>) {
        let jobs = Arc::clone(self);
        spawn_blocking(move || {
            let Some(home) = &jobs.home else { return };
            let left = left::all(home, &jobs.folder, |name| jobs.desk().queue.names(name));
            jobs.record.send_modify(|record| record.left(&left));
        });
    }

    fn order(self: &Arc<Self>, order: Order) -> Result<(), Refusal> {
        self.leader(&order).map_err(|error| Refusal::from(&error))?;
        self.change(|desk| desk.queue.add(order).map(drop))
    }

    /// Stops a download; what there is of its file is kept.
    pub(crate) fn stop(self: &Arc<Self>, id: u32, why: Stop) -> Result<(), Refusal> {
        self.change(|desk| {
            if desk.queue.stop(id, why)?
                && let Some(AtWork { stop, .. }) = &desk.at_work
            {
                stop.notify_one();
            }
            Ok(())
        })
    }

    /// Goes on with a download that stopped, from another URL of the same file if one is given.
    pub(crate) fn resume(self: &Arc<Self>, id: u32, url: Option<&str>) -> Result<(), Refusal> {
        let url = url.map(parse).transpose()?;
        if let Some(url) = &url {
            let leader = (self.template)(url.clone()).build();
            leader.map_err(|error| Refusal::from(&error))?;
        }
        self.change(|desk| {
            let elsewhere = url.is_some();
            desk.queue.resume(id, url)?;
            if let Some(given) = desk.given.as_mut().filter(|given| given.id == id && elsewhere) {
                given.leader = None;
            }
            Ok(())
        })
    }

    /// Takes a download that has ended off the list.
    pub(crate) fn forget(self: &Arc<Self>, id: u32) -> Result<(), Refusal> {
        self.change(|desk| desk.queue.forget(id))
    }

    /// Asks the origin what the file is, and downloads nothing.
    pub(crate) async fn probe(&self, url: &str) -> Result<haul::Probed, Refusal> {
        let leader = (self.template)(parse(url)?).folder(&self.folder).build();
        let probed = match leader {
            Ok(leader) => leader.probe().await,
            Err(error) => Err(error),
        };
        probed.map_err(|error| Refusal::from(&error))
    }

    /// Lets nothing begin any more, and stops the download at work without waiting for its end.
    pub(crate) fn close(&self) {
        let mut desk = self.desk();
        desk.closed = true;
        if let Some(AtWork { stop, .. }) = &desk.at_work {
            stop.notify_one();
        }
    }

    /// Closes, and waits until the download at work has put everything away.
    pub(crate) async fn end(&self) {
        self.close();
        let at_work = self.desk().at_work.take();
        if let Some(AtWork { task, .. }) = at_work {
            // A panic in the task has been printed by its own thread.
            let _ = task.await;
        }
    }

    /// Changes the queue, tells so, and begins what can begin now.
    fn change(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Desk) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut desk = self.desk();
        change(&mut desk)?;
        self.tell_list(&desk);
        self.begin_next(&mut desk);
        self.look_for_left();
        Ok(())
    }

    fn begin_next(self: &Arc<Self>, desk: &mut Desk) {
        while !desk.closed && desk.at_work.is_none() {
            let Some((id, order)) = desk.queue.begin_next() else { return };
            self.tell_list(desk);
            self.record.send_modify(|record| record.begin(id, order.name.as_str()));
            let given = desk.given.as_ref().filter(|given| given.id == id);
            let begun = match given.and_then(|given| given.leader.clone()) {
                Some(leader) => self.saved(leader, &order),
                None => self.leader(&order),
            };
            match begun {
                Ok(leader) => desk.at_work = Some(Arc::clone(self).start(id, leader)),
                Err(error) => self.conclude(desk, id, &failed(&error)),
            }
        }
    }

    fn start(self: Arc<Self>, id: u32, leader: Leader) -> AtWork {
        let stop = Arc::new(Notify::new());
        let follow = self.follow(id, leader.start(), Arc::clone(&stop));
        AtWork { stop, task: tokio::spawn(follow) }
    }

    /// Writes down what the download tells, and lets the next begin when it has ended.
    async fn follow(self: Arc<Self>, id: u32, mut transfer: Transfer, stop: Arc<Notify>) {
        let mut last = None;
        loop {
            tokio::select! {
                event = transfer.next_event() => match event {
                    Some(event) if is_last(&event) => last = Some(event),
                    Some(event) => self.tell(id, &event),
                    None => break,
                },
                () = stop.notified() => transfer.cancel(),
            }
        }
        let ended = transfer.finish().await;
        let last = last.or_else(|| ended.err().map(|error| failed(&error)));
        let mut desk = self.desk();
        desk.at_work = None;
        if let Some(last) = last {
            self.conclude(&mut desk, id, &last);
        }
        self.begin_next(&mut desk);
    }

    /// Passes on what a download tells while it works.
    pub(crate) fn tell(&self, id: u32, event: &Event) {
        self.desk().queue.note(id, &event.what);
        self.record.send_modify(|record| record.tell(event));
    }

    fn conclude(&self, desk: &mut Desk, id: u32, last: &Event) {
        if desk.queue.end(id, &last.what) && !desk.closed {
            (self.on_end)(last);
        }
        if let Some(given) = desk.given.as_ref().filter(|given| given.id == id) {
            given.ended.send_replace(Some(last.clone()));
        }
        self.tell_list(desk);
        self.record.send_modify(|record| record.tell(last));
    }

    fn leader(&self, order: &Order) -> Result<Leader, Error> {
        self.saved((self.template)(order.url.clone()), order)
    }

    /// A download that is saved where it was ordered to be.
    fn saved(&self, leader: LeaderBuilder, order: &Order) -> Result<Leader, Error> {
        let mut wanted = leader.folder(&self.folder);
        if order.allow_private {
            wanted = wanted.allow_private();
        }
        if let Some(checksum) = &order.checksum {
            wanted = wanted.checksum(checksum);
        }
        if let Some(limit) = order.limit {
            wanted = wanted.limit_rate(limit);
        }
        wanted.save_as(order.name.as_str()).resume().build()
    }

    fn tell_list(&self, desk: &Desk) {
        self.record.send_modify(|record| record.list(&self.list_of(desk)));
    }

    fn list_of<'a>(&'a self, desk: &'a Desk) -> List<'a> {
        List { folder: &self.folder, jobs: desk.queue.jobs() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn order(wanted: &Wanted) -> Result<Order, Refusal> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let unreadable =
        |because: &str, remedy| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, because, remedy);
    let name = FileName::parse(&wanted.save_as)
        .map_err(|because| unreadable(because, "give the file a plain name, such as image.iso"))?;
    let limit = given(&wanted.limit).map(|limit| limit.parse()).transpose();
    let limit = limit.map_err(|_: Error| {
        unreadable("the limit cannot be read", "write it as 500k, 2M or 16Mbit")
    })?;
    let (url, checksum) = (parse(&wanted.url)?, given(&wanted.checksum));
    Ok(Order { url, name, checksum, limit, allow_private: wanted.allow_private })
}

fn parse(url: &str) -> Result<Url, Refusal> {
    url.trim().parse().map_err(|error| {
        let because = format!("the URL cannot be read: {error}");
        let remedy = "copy the whole link; one looks like https://example.org/file.iso";
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, &because, remedy)
    })
}

const fn is_last(event: &Event) -> bool {
    matches!(event.what, Happening::Done(_) | Happening::Failed(_))
}

/// The last word of a job that ended before it could say it.
fn failed(error: &Error) -> Event {
    Event { at: Duration::ZERO, what: Happening::Failed(Failed::from(error)) }
}
