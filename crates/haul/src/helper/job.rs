//! One help under way, held to its limits.

mod bookings;

use super::consent::Request;
use super::gate::{Basis, ENDED, Gate, IDLE, TAKEN_BACK, locked, now};
use super::history::{Helped, add};
use super::limits::fair::{Demand, Portion};
use super::limits::idle::{GIVEN_UP, Usage};
use super::policy::Rule;
use super::purse::Purse;
use super::surroundings::surroundings;
use crate::lanes::Appetite;
use crate::limits::party::Party;
use crate::trust::{JobId, Standing};
use bookings::{Bookings, book, chunk, settle};
use haul_fetch::{Client, Denied, Guard, Turn};
use haul_wire::ByeReason;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{interval, sleep};
use tracing::{info, warn};

/// What a leader is being helped with.
pub(crate) struct Job {
    pub(crate) request: Request,
    /// Whom the place counts for.
    pub(crate) who: Party,
    pub(crate) began: Instant,
    pub(crate) purse: Arc<Purse>,
    pub(crate) speed: Speed,
    /// How many bytes the leader was sent.
    pub(crate) sent: AtomicU64,
    usage: Mutex<Usage>,
    /// How much of the link it gets beside others.
    weight: u32,
    /// How many lanes it may use at present.
    lanes: watch::Sender<u8>,
    /// Whether it wants more, once its lanes are there.
    appetite: Mutex<Option<Appetite>>,
    /// Why it ended, once it has.
    ended: watch::Sender<Option<String>>,
    booked: Mutex<Bookings>,
    /// Which job it is, once its leader has said so.
    id: OnceLock<JobId>,
    /// What let the leader in.
    basis: OnceLock<Basis>,
}

/// How much was received in the last second.
#[derive(Debug, Default)]
pub(crate) struct Speed {
    before: AtomicU64,
    last: AtomicU64,
}

impl Speed {
    /// To be called once a second with all that was received.
    pub(crate) fn tick(&self, received: u64) {
        let before = self.before.swap(received, Ordering::Relaxed);
        self.last.store(received.saturating_sub(before), Ordering::Relaxed);
    }

    pub(crate) fn last_second(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

impl Job {
    /// For how long the leader has made no use of its place.
    pub(crate) fn idle(&self, now: Duration) -> Duration {
        locked(&self.usage).idle(now, self.sent.load(Ordering::Relaxed))
    }

    /// What it could make use of.
    pub(crate) fn demand(&self) -> Demand {
        let wants = locked(&self.appetite).as_ref().is_some_and(Appetite::wants_more);
        Demand { weight: self.weight, received: self.purse.received(), wants }
    }

    /// Lets it use so much from now on.
    pub(crate) fn give(&self, portion: Portion) {
        self.purse.set_rate(portion.rate);
        self.lanes
            .send_if_modified(|lanes| std::mem::replace(lanes, portion.lanes) != portion.lanes);
    }

    /// What let the leader in, once that is said.
    pub(crate) fn basis(&self) -> Option<&Basis> {
        self.basis.get()
    }

    /// Whether it ended because the leader made no use of it.
    fn was_idle(&self) -> bool {
        self.ended.borrow().as_deref() == Some(IDLE)
    }

    /// Whether the owner ended it, or took back the yes that it was under.
    fn was_withdrawn(&self) -> bool {
        self.ended.borrow().as_deref().is_some_and(|why| [ENDED, TAKEN_BACK].contains(&why))
    }

    /// Ends it: nothing more is received when this returns. The first reason counts.
    pub(crate) fn end(&self, why: &str) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| why.to_owned());
            first
        });
        // Whoever finds the purse closed finds why, too.
        self.purse.close();
    }
}

/// A yes, for as long as it is held. Dropping it closes its account and writes its history.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    id: u64,
    job: Arc<Job>,
}

impl Permit {
    /// Room for one more job of this leader, if there is any.
    pub(crate) fn take(gate: &Arc<Gate>, request: &Request, who: &Party) -> Option<Self> {
        let in_force = gate.in_force();
        let began = gate.steady();
        let mut jobs = locked(&gate.jobs);
        if !jobs.make_room(began, who, in_force.policy.at_once.into()) {
            return None;
        }
        let reserve = chunk(&in_force, request.size) / 2;
        let host = request.host.clone();
        // The offer's host was judged with the offer; those that it redirects to are judged here.
        let admits = move |other: &str| other == host || in_force.policy.admits_host(other);
        let job = Arc::new(Job {
            request: request.clone(),
            who: *who,
            began: Instant::now(),
            purse: Arc::new(Purse::new(reserve, admits, turns(gate, request.size, *who))),
            speed: Speed::default(),
            sent: AtomicU64::new(0),
            usage: Mutex::new(Usage::new(began)),
            weight: weight(&request.standing, who),
            lanes: watch::Sender::new(gate.connections()),
            appetite: Mutex::default(),
            ended: watch::Sender::new(None),
            booked: Mutex::default(),
            id: OnceLock::new(),
            basis: OnceLock::new(),
        });
        let id = jobs.next;
        jobs.next += 1;
        jobs.running.insert(id, Arc::clone(&job));
        drop(jobs);
        gate.share_out();
        Some(Self { gate: Arc::clone(gate), id, job })
    }

    /// Whether the leader was sent anything.
    pub(crate) fn has_sent(&self) -> bool {
        self.job.sent.load(Ordering::Relaxed) > 0
    }

    /// How many bytes the leader was sent.
    pub(crate) fn sent(&self) -> &AtomicU64 {
        &self.job.sent
    }

    /// What a leader is told whose job has ended here.
    pub(crate) fn farewell(&self) -> ByeReason {
        match () {
            () if self.job.was_idle() => ByeReason::Timeout,
            () if self.job.was_withdrawn() => ByeReason::Withdrawn,
            () => ByeReason::Stopped,
        }
    }

    /// Whether the owner's word about this leader has ended it, so that it is not to come back.
    pub(crate) fn was_withdrawn(&self) -> bool {
        self.job.was_withdrawn()
    }

    /// Whether a rule that will pass has ended it, and not the owner's word about this leader.
    pub(crate) fn was_interrupted(&self) -> bool {
        let ended = self.job.ended.borrow();
        ended.as_deref().is_some_and(|why| Rule::INTERRUPTING.iter().any(|rule| rule.name() == why))
    }

    /// Says what let the leader in.
    pub(crate) fn rest_on(&self, basis: Basis) {
        self.job.basis.get_or_init(|| basis);
    }

    /// Says which job it is: what was received for it before counts, unless somebody was asked now.
    /// As a key has one place, no other session of it uses any of it up meanwhile.
    pub(crate) fn is_for(&self, url: &str, length: u64) {
        let place = url.split(['?', '#']).next().unwrap_or_default();
        let id = JobId::of(&self.job.request.leader_id, place, length);
        let basis = self.job.basis().unwrap_or(&Basis::Policy);
        locked(&self.job.booked).before = self.gate.used_before(basis, &id);
        self.job.id.get_or_init(|| id);
    }

    /// Whether the leader may come back because of the same ask: neither side has ended it for good,
    /// or the leader made no use of it. `is_done` is whether it said that it has the file.
    pub(crate) fn note_return(&self, is_open: bool, is_done: bool) -> bool {
        let may_return = (is_open || self.job.was_idle()) && !self.job.was_withdrawn();
        let mut booked = locked(&self.job.booked);
        (booked.may_return, booked.is_done) = (may_return, is_done);
        may_return
    }

    /// The client that fetches for this job, and receives no more than it may.
    pub(crate) fn client(&self) -> Client {
        let allowed = self.gate.in_force().policy.networks.clone();
        let guard = Guard::Public { allowed, denied: Denied::asking(surroundings) };
        self.gate.client.under(guard, self.job.purse.clone())
    }

    /// How many connections to the origin there may come to be.
    pub(crate) fn lanes(&self) -> u8 {
        self.gate.connections()
    }

    /// How many there may be at each moment.
    pub(crate) fn lane_limit(&self) -> watch::Receiver<u8> {
        self.job.lanes.subscribe()
    }

    /// Shows how much its lanes have to do.
    pub(crate) fn show_appetite(&self, appetite: Appetite) {
        *locked(&self.job.appetite) = Some(appetite);
    }

    /// How much may be held back for this job, in bytes.
    pub(crate) fn held_back(&self) -> usize {
        held_back(self.gate.in_force().policy.at_once.into())
    }

    /// The most bytes that will be received for this job.
    pub(crate) fn budget(&self) -> u64 {
        self.gate.in_force().policy.job_limit(self.job.request.size).0
    }

    /// Why the job has ended, if it has.
    pub(crate) fn why_ended(&self) -> Option<String> {
        self.job.ended.borrow().clone()
    }

    /// Waits until the job has to end, and says why.
    pub(crate) async fn ended(&self) -> String {
        let mut ended = self.job.ended.subscribe();
        // It fails only when the sender is gone, and this permit holds it.
        let told = ended.wait_for(Option::is_some).await;
        told.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Books ahead of what is received, keeps to the rate, and ends the job when a rule wants it;
    /// returns a moment after that, so that the leader can be told.
    pub(crate) async fn supervise(&self) -> String {
        tokio::select! {
            why = self.hold_to_limits() => self.job.end(&why),
            _ = self.ended() => {}
        }
        sleep(GRACE).await;
        self.ended().await
    }

    /// Says why the job has to end.
    async fn hold_to_limits(&self) -> String {
        let mut seconds = interval(Duration::from_millis(500));
        let mut limited = self.job.purse.is_limited();
        loop {
            tokio::select! {
                () = self.job.purse.falls_short() => if let Err(why) = self.book().await {
                    return why;
                },
                () = sleep(TICK), if limited => self.job.purse.tick(),
                is_limited = self.job.purse.limit_changes() => limited = is_limited,
                _ = seconds.tick() => {
                    if let Some(rule) = self.gate.interrupts() {
                        return rule.name().to_owned();
                    }
                    if self.job.idle(self.gate.steady()) >= GIVEN_UP {
                        return IDLE.to_owned();
                    }
                }
            }
        }
    }

    /// Books the next bytes and puts them into the purse, or says why there are no more and all
    /// that was booked has been received.
    async fn book(&self) -> Result<(), String> {
        let (gate, job) = (Arc::clone(&self.gate), Arc::clone(&self.job));
        let booked = tokio::task::spawn_blocking(move || book(&gate, &job)).await;
        match booked.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => Ok(()),
            Err(why) if self.job.purse.left() == 0 => Err(why),
            // What is left of the purse may still be received.
            Err(_) => {
                self.job.purse.is_the_last();
                Ok(())
            }
        }
    }
}

/// How much of the link a leader gets beside others: the group's and the owner's more than
/// strangers, but never all of it.
const fn weight(standing: &Standing, who: &Party) -> u32 {
    match standing {
        Standing::Group => 4,
        _ if who.is_trusted => 2,
        _ => 1,
    }
}

/// When a job of this size may ask or connect to an origin.
fn turns(
    gate: &Arc<Gate>,
    size: u64,
    who: Party,
) -> impl Fn(Turn<'_>) -> Result<(), Duration> + Send + Sync + 'static {
    let gate = Arc::downgrade(gate);
    move |turn| match gate.upgrade() {
        Some(gate) => locked(&gate.requests).take(gate.steady(), &who, size, turn),
        // The helper has ended.
        None => Ok(()),
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Self { gate, job, .. } = self;
        job.end("the session ended");
        // Whoever has its place next must find what it has used up.
        settle(gate, job);
        gate.forget(self.id);
        let because = job.ended.borrow().clone().unwrap_or_default();
        write_history(gate, job, because);
    }
}

fn write_history(gate: &Gate, job: &Job, because: String) {
    let Request { leader, leader_id, host, .. } = job.request.clone();
    let (bytes, seconds) = (job.purse.received(), job.began.elapsed().as_secs());
    info!(bytes, seconds, because, leader = leader_id.get(..8), host, "helped");
    let helped = Helped { v: 1, at: now().unix, seconds, leader, leader_id, host, bytes, because };
    if let Err(error) = add(&gate.home, &helped) {
        warn!(%error, "the history could not be written");
    }
}

impl Permit {
    /// Notes why the session ended, unless a rule has ended it.
    pub(crate) fn note_end(&self, why: &str) {
        self.job.end(why);
    }
}

/// How much may be held back for each of so many jobs while proofs are awaited, in bytes: for all
/// together no more than for a single one, but so much that a proof stops no download.
fn held_back(at_once: usize) -> usize {
    (HELD_BACK / at_once.max(1)).max(HELD_BACK_LEAST)
}

const HELD_BACK: usize = 8 << 20;
const HELD_BACK_LEAST: usize = 512 << 10;

/// How often a limited job is let on.
const TICK: Duration = Duration::from_millis(10);

/// How long a leader may take to hear that its helper leaves.
const GRACE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_back_is_8_mib_for_all_places_but_no_less_than_512_kib_for_one() {
        assert_eq!(
            [0, 1, 4, 16, 17, 256].map(|it| held_back(it) >> 10),
            [8192, 8192, 2048, 512, 512, 512]
        );
        assert!((1..=16).all(|places| places * held_back(places) <= HELD_BACK));
    }
}
