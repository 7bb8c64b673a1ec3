//! The way with parts: the own link from the first second, and whoever joins.

mod muster;
mod repair;
mod spot;
mod trouble;
mod yielding;

use super::crew::Crew;
use super::former::Former;
use super::invite::{Limits, look_for_helpers};
use super::job::{Fetch, Fetched};
use super::peer::{Joined, News, Said};
use super::setback;
use super::single::OWN;
use super::strip::Strip;
use super::transfer::{Snapshot, Stop, Telling, interrupted};
use crate::disk::{Disk, Stored};
use crate::event::Happening;
use crate::lanes::{Lanes, Order, Word};
use crate::{Error, Verified};
use bytes::Bytes;
use haul_fetch::ways::Pieces;
use haul_fetch::{Lane, Source};
use haul_plan::{Cause, Config, LeaseId, Output, Planner, WorkerId};
use haul_span::Span;
use haul_wire::ByeReason;
use muster::{OwnStart, Remainder};
use repair::Repair;
use spot::{Ending, Spots};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};
use trouble::Heard;
use yielding::Yielding;

/// How many lanes the own link may come to use.
const OWN_LANES: u8 = 8;

/// Pieces that may wait to be taken in.
const QUEUE: usize = 64;

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
    /// Whether it was told that no more helpers are taken.
    told_enough: bool,
    remainder: Remainder,
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
    spots: Spots,
    limits: Limits,
    yielding: Yielding,
    ending: Ending,
    repair: Repair,
    heard: Heard,
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
        let Fetch { settings, telling, source, stored, earlier, disk, news, workers } = fetch;
        let (telling, disk, most) = (*telling, *disk, source.connections(OWN_LANES));
        let (say, mut words) = mpsc::channel(QUEUE);
        let (tell, mut heard) = mpsc::channel(QUEUE);
        let (look, mut seen) = mpsc::channel(QUEUE);
        let lanes = Lanes::start(source, most, Some(lane), &say, None);
        let open_at = stored.is_empty().then_some(0);
        let (limits, mut tasks) = (Limits::default(), JoinSet::new());
        look_for_helpers(settings, telling, source, length, &limits, tell, &mut tasks);
        let mut spots = Spots::start(source, &look);
        spots.note_earlier(earlier);
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
            told_enough: false,
            remainder: Remainder::default(),
            undecided: 0,
            own: Some(OwnStart { lanes, most, open_at }),
            own_lanes: most,
            own_since: Duration::ZERO,
            flowing: None,
            trouble: None,
            spots,
            limits,
            yielding: Yielding::default(),
            ending: Ending::NotYet,
            repair: Repair::default(),
            heard: Heard::default(),
        };
        job.start_if_enough();
        let mut ticks = interval(Duration::from_millis(250));
        let mut answering = job.limits.proofs.answering();
        loop {
            match job.follow_plan().await? {
                Plan::Goes => {}
                Plan::Done(verified) => {
                    job.show();
                    let former = Former::of(&settings.search.home).note(job.crew.helped());
                    tokio::join!(job.farewell(ByeReason::Done, &mut heard), former);
                    return Ok(Some(job.fetched(verified, length)));
                }
                Plan::WithoutParts => {
                    *stored = job.planner.received().clone();
                    job.crew.waste_helpers();
                    *workers = job.crew.reports();
                    return Ok(None);
                }
            }
            tokio::select! {
                Some(word) = words.recv() => job.take_word(word).await?,
                Some(told) = heard.recv() => job.take_news(told).await,
                Some(word) = seen.recv() => job.take_sample(word).await?,
                Some(done) = news.recv() => job.take_stored(done)?,
                () = sleep_until(job.wake_at()) => job.planner.wake(telling.now()),
                Ok(()) = answering.changed() => job.yield_to_proofs(*answering.borrow_and_update()),
                _ = ticks.tick() => {
                    job.yield_to_proofs(*answering.borrow());
                    job.tick().await?;
                }
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
                Output::Complete => self.begin_ending(),
            }
        }
        let verified = if self.is_at_end()? { self.check().await? } else { None };
        Ok(verified.map_or(Plan::Goes, Plan::Done))
    }

    fn release(&mut self, worker: u32, cause: Cause) {
        if worker != OWN {
            if let Cause::Shares { .. } = cause {
                self.crew.note_shared_link(worker);
            }
            let (reason, because) = setback::parting(cause);
            self.lose(worker, reason, because);
        }
    }

    fn lose(&mut self, worker: u32, reason: ByeReason, because: String) {
        let Some(name) = self.crew.get(worker).map(|member| member.name.clone()) else { return };
        if self.crew.dismiss(worker, reason) {
            self.telling.tell(Happening::Lost { worker, name, because });
        }
    }

    async fn take_word(&mut self, word: Word) -> Result<(), Error> {
        match word {
            Word::Data { lease, offset, bytes, .. } => {
                self.flowing = Some(LeaseId(lease));
                self.limits.proofs.note_own(bytes.len() as u64);
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
        self.extend_credit(worker);
        if let Some(fresh) = arrival.fresh {
            self.strip.add(worker, fresh);
            if worker != OWN {
                self.spots.note(self.now(), worker, fresh);
                self.order_samples();
            }
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

    async fn take_said(&mut self, worker: u32, said: Said) {
        let now = self.now();
        match said {
            Said::Data { lease, offset, bytes } => {
                self.take_data(worker, lease, offset, bytes).await;
            }
            Said::Shown => self.planner.expect_from(now, WorkerId(worker), now),
            Said::Done { lease } => self.planner.done(now, WorkerId(worker), LeaseId(lease)),
            Said::Failed { lease, failure } => {
                self.planner.fail(
                    now,
                    WorkerId(worker),
                    LeaseId(lease),
                    setback::of_helper(failure),
                );
            }
            Said::LaneLimit { lanes, is_shared } => {
                // All leaders of a helper use what they may, so that each has as many connections.
                self.planner.cap_lanes(now, WorkerId(worker), lanes);
                if is_shared {
                    self.planner.widen(now, WorkerId(worker), lanes);
                }
            }
            Said::Held { share } => self.crew.note_held(worker, share, now),
            Said::Gone { because } => {
                if let Some((_, ready)) = &mut self.waiting {
                    ready.retain(|joined| joined.worker != worker);
                }
                self.planner.leave(now, WorkerId(worker));
                self.lose(worker, ByeReason::Done, because);
            }
        }
    }

    fn take_stored(&mut self, stored: Stored) -> Result<(), Error> {
        match stored {
            Stored::Written { worker, bytes } => {
                self.crew.settle(worker, bytes);
                self.extend_credit(worker);
            }
            Stored::Durable(bytes) => self.durable = bytes,
            Stored::Broken(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives a helper the credit that there is room for, as far as its bytes were checked.
    fn extend_credit(&mut self, worker: u32) {
        let allowance = self.spots.allowance(worker, self.now());
        self.crew.extend_credit(worker, allowance);
    }

    async fn tick(&mut self) -> Result<(), Error> {
        self.disk.sync(self.now()).await;
        self.remainder.note(self.now(), self.planner.time_left());
        self.show();
        self.order_samples();
        self.crew.helpers().into_iter().for_each(|worker| self.extend_credit(worker));
        self.watch_silence();
        self.check_patience()
    }

    fn show(&self) {
        let workers = self.crew.progress(&self.planner, self.now());
        let rate = workers.iter().map(|worker| worker.rate).sum();
        let stored = self.planner.received().bytes();
        let size = self.source.length();
        let (durable, map) = (self.durable, self.strip.stretches());
        self.telling.progress(Snapshot { size, stored, durable, rate, workers, map });
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    fn fetched(&self, verified: Verified, bytes: u64) -> Fetched {
        let seconds = self.now().saturating_sub(self.own_since).as_secs_f64().max(1e-3);
        let own_rate = self.crew.bytes_of_own_link() as f64 / seconds;
        let checks = (verified == Verified::Sampled).then(|| self.spots.checks());
        Fetched { verified, checks, workers: self.crew.reports(), own_rate, bytes }
    }
}
