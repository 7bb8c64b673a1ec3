use crate::Error;
use crate::jobs::{Jobs, OnEnd, Template};
use crate::leading::Leading;
use crate::name::FileName;
use crate::server::{Links, Server};
use haul::{Event, Home, Leader, LeaderBuilder, Url};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::sync::watch;

/// The leader's page, open on a port of 127.0.0.1. Dropping it stops the download at work and
/// leaves it resumable.
pub struct LeaderPage {
    server: Server<Leading>,
}

/// What a [`LeaderPage`] is to be.
#[must_use]
pub struct LeaderPageBuilder {
    folder: PathBuf,
    port: u16,
    template: Box<Template>,
    home: Option<Home>,
    on_end: Box<OnEnd>,
}

/// A download that the program began on its page.
#[derive(Clone)]
pub struct Begun(watch::Receiver<Option<Event>>);

impl Begun {
    /// Waits until it has ended, or ended once more after it was resumed, and gives its last event;
    /// `None` when the page is gone.
    pub async fn ended(&mut self) -> Option<Event> {
        self.0.changed().await.ok()?;
        self.0.borrow_and_update().clone()
    }

    /// The last event of it, if it has ended.
    pub fn last(&self) -> Option<Event> {
        self.0.borrow().clone()
    }
}

impl LeaderPage {
    /// A page on a free port that saves files in `folder` and nowhere else.
    pub fn builder(folder: impl Into<PathBuf>) -> LeaderPageBuilder {
        let (template, on_end) = (Box::new(Leader::builder), Box::new(|_: &Event| {}));
        LeaderPageBuilder { folder: folder.into(), port: 0, template, home: None, on_end }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The link that opens it, once: whoever has it may use the page, so it belongs in no log.
    /// When it has been used, only the address of the page is left of it.
    pub fn link(&self) -> String {
        self.server.site.gate.link()
    }

    /// A way to make further links while it is served.
    pub fn links(&self) -> Links {
        self.server.links()
    }

    /// Begins a download that is on the page from its beginning. It is saved under `name`, in the
    /// page's folder, and as it was told for the rest.
    pub fn begin(&self, leader: LeaderBuilder, name: &str) -> Result<Begun, Error> {
        let parsed = FileName::parse(name);
        let parsed = parsed.map_err(|because| Error::Name { name: name.to_owned(), because })?;
        self.server.site.face.jobs.give(leader, parsed).map(Begun).map_err(Error::Job)
    }

    /// Serves it until `stop` is ready, then stops the download at work and waits for its end.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        self.server.serve(stop).await;
        // Nobody is left who could start another download while the last one ends.
        self.server.site.face.jobs.end().await;
    }
}

impl Drop for LeaderPage {
    fn drop(&mut self) {
        self.server.site.face.jobs.close();
    }
}

impl LeaderPageBuilder {
    /// Listens on this port of 127.0.0.1, or on a free one if it is 0.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Begins every download with what `template` makes of its URL; folder and name are the
    /// page's.
    pub fn template(
        mut self,
        template: impl Fn(Url) -> LeaderBuilder + Send + Sync + 'static,
    ) -> Self {
        self.template = Box::new(template);
        self
    }

    /// Shows what former runs with this home left in the page's folder, and goes on with it.
    pub fn home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// Tells `told` the last event of every download that ended while the page is open, unless
    /// somebody paused or cancelled it there. `told` must not block.
    pub fn on_end(mut self, told: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_end = Box::new(told);
        self
    }

    /// Opens it; browsers can connect when this returns, and are answered once it is served.
    pub async fn open(self) -> Result<LeaderPage, Error> {
        let folder = match usable(&self.folder) {
            Ok(folder) => folder,
            Err(source) => return Err(Error::Folder { path: self.folder, source }),
        };
        let face = Leading::new(Jobs::new(folder, self.template, self.home, self.on_end));
        face.jobs.look_for_left();
        Ok(LeaderPage { server: Server::open(self.port, face).await? })
    }
}

/// The folder by its full name, which stays the same wherever the program goes.
fn usable(folder: &PathBuf) -> io::Result<PathBuf> {
    let folder = fs::canonicalize(folder)?;
    if !folder.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if folder.to_str().is_none() {
        let because = "its name is not Unicode, so that the page could not show it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, because));
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul::{Deliverer, Happening, Stretch, WorkerProgress};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;
    use tokio::time::sleep;

    /// As many as a large job may have.
    const WORKERS: u32 = 64;

    const UPDATES: u32 = 100;

    /// The least finely that a second of a core is shared: one in twenty parts, for four updates.
    const BUDGET: Duration = Duration::from_micros(12_500);

    #[test]
    fn four_updates_a_second_for_64_workers_cost_less_than_a_twentieth_of_a_core() {
        let folder = tempfile::TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cost = runtime.block_on(async {
            let page = LeaderPage::builder(folder.path()).open().await.unwrap();
            let (site, link) = (Arc::clone(&page.server.site), page.link());
            tokio::spawn(page.serve(std::future::pending()));
            let (ready, heard) = mpsc::channel();
            let tabs = thread::spawn(move || watch_in_two_tabs(&link, &ready));
            while heard.try_recv().is_err() {
                sleep(Duration::from_millis(1)).await;
            }
            let before = time_on_core();
            for update in 0..UPDATES {
                site.face.jobs.tell(1, &progress(update));
                sleep(Duration::from_millis(5)).await;
            }
            let cost = time_on_core().saturating_sub(before) / UPDATES;
            site.face.jobs.tell(1, &Event { at: Duration::ZERO, what: last() });
            while !tabs.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            cost
        });
        let share = cost.as_secs_f64() * 4.0 * 100.0;
        let told = format!("an update costs {cost:?}: {share:.2} % of a core at four a second\n");
        io::stderr().write_all(told.as_bytes()).unwrap();
        assert!(cost <= BUDGET, "{cost:?} for each update, of {BUDGET:?}");
    }

    /// A different look of everything each time, and the most cells that differ from their
    /// neighbours.
    fn progress(update: u32) -> Event {
        let worker = |worker| WorkerProgress {
            worker,
            name: format!("machine number {worker}"),
            bytes: u64::from(update) << 20,
            rate: u64::from(worker * update) << 10,
            lanes: 4,
            held: 0,
        };
        let cell = |at: u32| Stretch { cells: 1, by: Deliverer::Worker((at + update) % WORKERS) };
        let (workers, map) = ((0..WORKERS).map(worker).collect(), (0..240).map(cell).collect());
        let what = Happening::Progress { stored: 1, durable: 1, rate: 1, workers, map };
        Event { at: Duration::from_millis(250) * update, what }
    }

    fn last() -> Happening {
        Happening::Note { text: "the last word".to_owned() }
    }

    /// Time that the calling thread has spent on a core (Linux, `schedstat`).
    fn time_on_core() -> Duration {
        let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
    }

    /// Comes in by the link and reads two streams to the last word.
    fn watch_in_two_tabs(link: &str, ready: &mpsc::Sender<()>) {
        let (address, token) = link.strip_prefix("http://").unwrap().split_once("/#t=").unwrap();
        let body = format!("{{\"token\":\"{token}\"}}");
        let fields = format!(
            "Origin: http://{address}\r\nContent-Type: application/json\r\nX-Haul-Key:\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        ask(address, "POST /api/session", &fields).read_to_string(&mut answer).unwrap();
        let key = answer.rsplit('"').nth(1).unwrap();
        let cookie = answer.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
        let fields = format!("Cookie: {cookie}\r\nX-Haul-Key: {key}\r\n\r\n");
        let tabs = [(); 2].map(|()| BufReader::new(ask(address, "GET /api/events", &fields)));
        let tabs = tabs.map(|mut tab| {
            tab.read_line(&mut String::new()).unwrap();
            thread::spawn(move || {
                tab.lines().map(Result::unwrap).find(|line| line.contains("the last word"))
            })
        });
        ready.send(()).unwrap();
        assert!(tabs.into_iter().all(|tab| tab.join().unwrap().is_some()));
    }

    fn ask(address: &str, what: &str, fields: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{what} HTTP/1.1\r\nHost: {address}\r\n{fields}").unwrap();
        stream
    }
}
