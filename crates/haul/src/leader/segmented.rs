//! The way with parts: the own link from the first second, and whoever joins.

mod repair;
mod trouble;

use super::crew::Crew;
use super::former::Former;
use super::invite::look_for_helpers;
use super::job::{Fetch, Fetched};
use super::peer::{Joined, News, Said};
use super::setback;
use super::single::OWN;
use super::strip::Strip;
use super::transfer::{Snapshot, Stop, Telling, interrupted};
use crate::disk::{Disk, Stored};
use crate::event::Happening;
use crate::lanes::{Lanes, Order, Word};
use crate::{Error, ErrorKind, Verified};
use bytes::Bytes;
use haul_fetch::ways::Pieces;
use haul_fetch::{Lane, Source};
use haul_plan::{Cause, Config, LeaseId, Output, Planner, WorkerId};
use haul_span::Span;
use haul_wire::{ByeReason, Frame};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};

/// How many lanes the own link may come to use.
const OWN_LANES: u8 = 8;

/// How many helpers are at work at a time. More would each add too little to be kept, and cost the
/// leader more than they bring.
const AT_WORK: usize = 64;

/// Pieces that may wait to be taken in.
const QUEUE: usize = 64;

/// How long a leader that must have helpers waits for the first to be heard of.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits while owners are being asked.
const PATIENCE_ASKED: Duration = Duration::from_secs(60);

/// How long farewells may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// A job at work.
pub(crate) struct Segmented<'a> {
    telling: &'a Telling,
    source: Source,
    disk: &'a Disk,
    /// The digests of the file's pieces, if somebody states them.
    pieces: Option<Pieces>,
    planner: Planner,
    crew: Crew,
    strip: Strip,
    durable: u64,
    /// Helpers that wait for enough others, and how many that is.
    waiting: Option<(usize, Vec<Joined>)>,
    /// Helpers that are ready and step in when another leaves.
    spare: VecDeque<Joined>,
    /// Machines whose owner has not answered yet.
    undecided: usize,
    own: Option<OwnStart>,
    /// How many lanes the own link may use at present.
    own_lanes: u8,
    own_since: Duration,
    /// The lease for which the own link brought bytes last.
    flowing: Option<LeaseId>,
    /// The last thing that went wrong on the own link.
    trouble: Option<Error>,
    repaired: bool,
}

/// What the own link needs to start.
struct OwnStart {
    lanes: Lanes,
    most: u8,
    open_at: Option<u64>,
}

/// Where the plan has led.
enum Plan {
    Goes,
    Done(Verified),
    /// What is missing can only come in one stream.
    WithoutParts,
}

impl<'a> Segmented<'a> {
    /// Fetches the whole file and checks it. Returns nothing, and leaves what is there in `fetch`,
    /// if the origin turns out to serve no parts and nobody else can fetch any.
    pub(crate) async fn run(
        fetch: &mut Fetch<'a>,
        length: u64,
        lane: Lane,
        stop: &mut Stop,
    ) -> Result<Option<Fetched>, Error> {
        let Fetch { settings, telling, source, stored, disk, news, workers } = fetch;
        let (telling, disk, most) = (*telling, *disk, source.connections(OWN_LANES));
        let (say, mut words) = mpsc::channel(QUEUE);
        let (tell, mut heard) = mpsc::channel(QUEUE);
        let lanes = Lanes::start(source, most, Some(lane), &say, None);
        let open_at = stored.is_empty().then_some(0);
        let mut tasks = JoinSet::new();
        look_for_helpers(settings, telling, source, length, tell, &mut tasks);
        let mut job = Self {
            telling,
            source: source.clone(),
            disk,
            pieces: settings.pieces.clone(),
            strip: Strip::new(length, stored),
            planner: Planner::new(length, std::mem::take(stored), Config::default()),
            crew: Crew::default(),
            durable: 0,
            waiting: Some((settings.min_helpers, Vec::new())),
            spare: VecDeque::new(),
            undecided: 0,
            own: Some(OwnStart { lanes, most, open_at }),
            own_lanes: most,
            own_since: Duration::ZERO,
            flowing: None,
            trouble: None,
            repaired: false,
        };
        job.start_if_enough();
        let mut ticks = interval(Duration::from_millis(250));
        loop {
            match job.follow_plan().await? {
                Plan::Goes => {}
                Plan::Done(verified) => {
                    job.show();
                    let former = Former::of(&settings.home).note(job.crew.helped());
                    tokio::join!(job.farewell(ByeReason::Done, &mut heard), former);
                    return Ok(Some(job.fetched(verified, length)));
                }
                Plan::WithoutParts => {
                    *stored = job.planner.received().clone();
                    *workers = job.crew.reports();
                    return Ok(None);
                }
            }
            tokio::select! {
                Some(word) = words.recv() => job.take_word(word).await?,
                Some(told) = heard.recv() => job.take_news(told).await,
                Some(done) = news.recv() => job.take_stored(done)?,
                () = sleep_until(job.wake_at()) => job.planner.wake(telling.now()),
                _ = ticks.tick() => job.tick().await?,
                () = stop.requested() => {
                    job.farewell(ByeReason::Cancelled, &mut heard).await;
                    return Err(interrupted());
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.telling.now()
    }

    fn wake_at(&self) -> Instant {
        let now = self.now();
        let wait =
            self.planner.wake_at().map_or(Duration::from_secs(1), |at| at.saturating_sub(now));
        Instant::now() + wait
    }

    /// Lets everybody begin once as many machines help as must.
    fn start_if_enough(&mut self) {
        let Some((wanted, ready)) = &self.waiting else { return };
        if ready.len() < *wanted {
            return;
        }
        let ready = self.waiting.take().map(|(_, ready)| ready).unwrap_or_default();
        self.own_since = self.now();
        if let Some(OwnStart { lanes, most, open_at }) = self.own.take() {
            self.crew.add_own(lanes);
            self.planner.join_own(self.own_since, WorkerId(OWN), most, open_at);
        }
        for joined in ready {
            self.join(joined);
        }
    }

    /// Lets a helper begin, or wait until there is work for it.
    fn join(&mut self, joined: Joined) {
        if self.crew.helping() >= AT_WORK {
            return self.spare.push_back(joined);
        }
        let Joined { worker, name, address, hears_at, code, peer, lanes, frames } = joined;
        self.telling.tell(Happening::Joined { worker, name: name.clone(), address, code });
        self.crew.add_helper(worker, name, address, hears_at, peer, frames);
        self.planner.join(self.now(), WorkerId(worker), lanes);
    }

    /// Does what the planner wants done.
    async fn follow_plan(&mut self) -> Result<Plan, Error> {
        while let Some(output) = self.planner.poll_output() {
            match output {
                Output::Grant { worker, lease, span } => {
                    self.crew.order(worker.0, Order::Grant { lease: lease.0, span });
                }
                Output::Trim { worker, lease, end } => {
                    self.crew.order(worker.0, Order::Trim { lease: lease.0, end });
                }
                Output::Revoke { worker, lease } => {
                    self.crew.order(worker.0, Order::Revoke { lease: lease.0 });
                }
                Output::Lanes { worker, lanes } => {
                    self.own_lanes = if worker.0 == OWN { lanes } else { self.own_lanes };
                    self.crew.order(worker.0, Order::Lanes { lanes });
                }
                Output::Release { worker, cause } => self.release(worker.0, cause),
                Output::Stuck if !self.source.ranges() => return Ok(Plan::WithoutParts),
                Output::Stuck => return Err(self.stuck()),
                Output::Complete => {
                    if let Some(verified) = self.check().await? {
                        return Ok(Plan::Done(verified));
                    }
                }
            }
        }
        Ok(Plan::Goes)
    }

    fn release(&mut self, worker: u32, cause: Cause) {
        if worker != OWN {
            let (reason, because) = setback::parting(cause);
            self.lose(worker, reason, because);
        }
    }

    fn lose(&mut self, worker: u32, reason: ByeReason, because: String) {
        let Some(name) = self.crew.get(worker).map(|member| member.name.clone()) else { return };
        if self.crew.dismiss(worker, reason) {
            self.telling.tell(Happening::Lost { worker, name, because });
            if let Some(next) = self.spare.pop_front() {
                self.join(next);
            }
        }
    }

    async fn take_word(&mut self, word: Word) -> Result<(), Error> {
        match word {
            Word::Data { lease, offset, bytes, .. } => {
                self.flowing = Some(LeaseId(lease));
                self.take_data(OWN, lease, offset, bytes).await;
            }
            Word::Done { lease } => self.planner.done(self.now(), WorkerId(OWN), LeaseId(lease)),
            Word::Failed { lease, error } => self.take_failure(lease, &error)?,
        }
        Ok(())
    }

    async fn take_data(&mut self, worker: u32, lease: u32, offset: u64, bytes: Bytes) {
        let Some(span) = Span::of_len(offset, bytes.len() as u64) else { return };
        let arrival = self.planner.arrive(self.now(), WorkerId(worker), LeaseId(lease), span);
        self.crew.count(worker, arrival.fresh.map_or(0, Span::len), arrival.wasted);
        if let Some(fresh) = arrival.fresh {
            self.strip.add(worker, fresh);
            let within = |at: u64| usize::try_from(at - offset).unwrap_or(bytes.len());
            let part = bytes.slice(within(fresh.start())..within(fresh.end()));
            self.disk.write(worker, fresh.start(), part).await;
        }
    }

    async fn take_news(&mut self, news: News) {
        match news {
            News::Told(happening) => self.telling.tell(happening),
            News::Offered => self.undecided += 1,
            News::Declined(happening) => {
                self.undecided = self.undecided.saturating_sub(1);
                self.telling.tell(happening);
            }
            News::Joined(joined) => self.take_joined(joined),
            News::Said { worker, said } => self.take_said(worker, said).await,
        }
    }

    fn take_joined(&mut self, joined: Joined) {
        self.undecided = self.undecided.saturating_sub(1);
        if self.crew.has(joined.peer) {
            let reason = ByeReason::NotWanted;
            return drop(joined.frames.send(Frame::Bye { reason }));
        }
        match &mut self.waiting {
            Some((_, ready)) => ready.push(joined),
            None => self.join(joined),
        }
        self.start_if_enough();
    }

    async fn take_said(&mut self, worker: u32, said: Said) {
        let now = self.now();
        match said {
            Said::Data { lease, offset, bytes } => {
                self.take_data(worker, lease, offset, bytes).await;
            }
            Said::Done { lease } => self.planner.done(now, WorkerId(worker), LeaseId(lease)),
            Said::Failed { lease, failure } => {
                self.planner.fail(
                    now,
                    WorkerId(worker),
                    LeaseId(lease),
                    setback::of_helper(failure),
                );
            }
            Said::Gone { because } => {
                if let Some((_, ready)) = &mut self.waiting {
                    ready.retain(|joined| joined.worker != worker);
                }
                self.spare.retain(|joined| joined.worker != worker);
                self.planner.leave(now, WorkerId(worker));
                self.lose(worker, ByeReason::Done, because);
            }
        }
    }

    fn take_stored(&mut self, stored: Stored) -> Result<(), Error> {
        match stored {
            Stored::Written { worker, bytes } => self.crew.pay(worker, bytes),
            Stored::Durable(bytes) => self.durable = bytes,
            Stored::Broken(error) => return Err(error),
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), Error> {
        self.disk.sync(self.now()).await;
        self.show();
        self.check_patience()
    }

    fn show(&self) {
        let workers = self.crew.progress(&self.planner);
        let rate = workers.iter().map(|worker| worker.rate).sum();
        let stored = self.planner.received().bytes();
        let size = self.source.length();
        let (durable, map) = (self.durable, self.strip.stretches());
        self.telling.progress(Snapshot { size, stored, durable, rate, workers, map });
    }

    fn check_patience(&self) -> Result<(), Error> {
        let Some((wanted, ready)) = &self.waiting else { return Ok(()) };
        let patience = if self.undecided > 0 { PATIENCE_ASKED } else { PATIENCE };
        if self.now() < patience {
            return Ok(());
        }
        let because = format!("{} of the {wanted} machines that must help are ready", ready.len());
        Err(Error::new(ErrorKind::TooFewHelpers, "too few machines help", because).with_remedy(
            "start `helper run` on more machines of this network, or lower --min-helpers",
        ))
    }

    /// Tells everybody that it is over and gives the words time to leave.
    async fn farewell(&mut self, reason: ByeReason, heard: &mut mpsc::Receiver<News>) {
        for spare in self.spare.drain(..) {
            // Whoever has gone hears it no more.
            let _ = spare.frames.send(Frame::Bye { reason });
        }
        let mut parting = self.crew.dismiss_helpers(reason);
        let parted = async {
            while !parting.is_empty() {
                match heard.recv().await {
                    Some(News::Said { worker, said: Said::Gone { .. } }) => {
                        parting.retain(|&helper| helper != worker);
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        // Whoever does not take the word by then finds the connection closed.
        let _ = timeout(FAREWELL, parted).await;
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    fn fetched(&self, verified: Verified, bytes: u64) -> Fetched {
        let seconds = self.now().saturating_sub(self.own_since).as_secs_f64().max(1e-3);
        let own_rate = self.crew.own_bytes() as f64 / seconds;
        Fetched { verified, workers: self.crew.reports(), own_rate, bytes }
    }
}
