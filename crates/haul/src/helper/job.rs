//! One help under way, held to its limits.

use super::accounts::Booked;
use super::consent::Request;
use super::gate::{Gate, IDLE, locked, now};
use super::history::{Helped, add};
use super::limits::idle::{GIVEN_UP, Usage};
use super::policy::{InForce, Rule};
use super::purse::Purse;
use super::surroundings::surroundings;
use crate::limits::party::Party;
use haul_fetch::{Client, Denied, Guard, Turn};
use haul_wire::ByeReason;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{interval, sleep};
use tracing::{info, warn};

/// What a leader is being helped with.
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) began: Instant,
    pub(crate) purse: Arc<Purse>,
    pub(crate) speed: Speed,
    /// How many bytes the leader was sent.
    pub(crate) sent: AtomicU64,
    usage: Mutex<Usage>,
    /// Why it ended, once it has.
    ended: watch::Sender<Option<String>>,
    booked: Mutex<Bookings>,
}

#[derive(Debug, Default)]
struct Bookings {
    total: u64,
    last: Option<Booked>,
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

    /// Whether it ended because the leader made no use of it.
    fn was_idle(&self) -> bool {
        self.ended.borrow().as_deref() == Some(IDLE)
    }

    /// Ends it: nothing more is received when this returns. The first reason counts.
    pub(crate) fn end(&self, why: &str) {
        self.purse.close();
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| why.to_owned());
            first
        });
    }
}

/// A yes, for as long as it is held. Dropping it closes its account and writes its history.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    id: u64,
    job: Arc<Job>,
}

impl Permit {
    /// Room for one more job, if there is any.
    pub(crate) fn take(gate: &Arc<Gate>, request: &Request, who: &Party) -> Option<Self> {
        let in_force = gate.in_force();
        let began = gate.steady();
        let received = locked(&gate.agreed).received(began, request).unwrap_or(0);
        let mut jobs = locked(&gate.jobs);
        if jobs.running.len() >= usize::from(in_force.policy.at_once) {
            jobs.give_up_one(began);
        }
        if jobs.running.len() >= usize::from(in_force.policy.at_once) {
            return None;
        }
        let reserve = chunk(&in_force, request.size) / 2;
        let host = request.host.clone();
        // The offer's host was judged with the offer; those that it redirects to are judged here.
        let admits = move |other: &str| other == host || in_force.policy.admits_host(other);
        let job = Arc::new(Job {
            request: request.clone(),
            began: Instant::now(),
            purse: Arc::new(Purse::new(reserve, admits, turns(gate, request.size, *who))),
            speed: Speed::default(),
            sent: AtomicU64::new(0),
            usage: Mutex::new(Usage::new(began)),
            ended: watch::Sender::new(None),
            booked: Mutex::new(Bookings { total: received, last: None }),
        });
        let id = jobs.next;
        jobs.next += 1;
        jobs.running.insert(id, Arc::clone(&job));
        Some(Self { gate: Arc::clone(gate), id, job })
    }

    /// How many bytes the leader was sent.
    pub(crate) fn sent(&self) -> &AtomicU64 {
        &self.job.sent
    }

    /// What a leader is told whose job has ended here.
    pub(crate) fn farewell(&self) -> ByeReason {
        if self.job.was_idle() { ByeReason::Timeout } else { ByeReason::Stopped }
    }

    /// Whether the leader may come back for the same without a question: `is_broken` is whether
    /// the connection broke.
    pub(crate) fn note_return(&self, is_broken: bool) -> bool {
        let may_return = is_broken || self.job.was_idle();
        let mut agreed = locked(&self.gate.agreed);
        let request = &self.job.request;
        if may_return {
            agreed.keep(self.gate.steady(), request.clone(), locked(&self.job.booked).total);
        } else {
            agreed.forget(request);
        }
        may_return
    }

    /// The client that fetches for this job, and receives no more than it may.
    pub(crate) fn client(&self) -> Client {
        let allowed = self.gate.in_force().policy.networks.clone();
        let guard = Guard::Public { allowed, denied: Denied::asking(surroundings) };
        self.gate.client.under(guard, self.job.purse.clone())
    }

    /// How many connections to the origin there may be.
    pub(crate) fn lanes(&self) -> u8 {
        u8::try_from(self.gate.in_force().policy.connections).unwrap_or(1)
    }

    /// The most bytes that will be received for this job.
    pub(crate) fn budget(&self) -> u64 {
        self.gate.in_force().policy.job_limit(self.job.request.size).0
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
        let mut limited = false;
        loop {
            tokio::select! {
                () = self.job.purse.falls_short() => if let Err(why) = self.book().await {
                    return why;
                },
                () = sleep(TICK), if limited => self.job.purse.tick(),
                _ = seconds.tick() => {
                    if let Some(rule) = self.gate.interrupts() {
                        return rule.name().to_owned();
                    }
                    if self.job.idle(self.gate.steady()) >= GIVEN_UP {
                        return IDLE.to_owned();
                    }
                    let rate = self.gate.rate();
                    limited = rate.is_some();
                    self.job.purse.set_rate(rate);
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

/// Makes a booking and puts it into the job's purse.
fn book(gate: &Gate, job: &Job) -> Result<(), String> {
    let in_force = gate.in_force();
    let mut bookings = locked(&job.booked);
    let mut accounts = locked(&gate.accounts);
    let spent = accounts.spent(now(), gate.steady());
    let (of_job, rule) = in_force.policy.job_limit(job.request.size);
    let rooms = [
        (of_job.saturating_sub(bookings.total), rule),
        (in_force.policy.per_day.saturating_sub(spent.today), Rule::PerDay),
        (in_force.policy.per_30_days.saturating_sub(spent.last_30_days), Rule::Per30Days),
    ];
    let (room, rule) = rooms.into_iter().min_by_key(|(room, _)| *room).unwrap_or((0, rule));
    let bytes = chunk(&in_force, job.request.size).min(room);
    if bytes == 0 {
        return Err(rule.name().to_owned());
    }
    let booked = accounts.book(now(), gate.steady(), bytes);
    let booked = booked.map_err(|error| format!("the account cannot be written: {error}"))?;
    bookings.total += bytes;
    bookings.last = Some(booked);
    job.purse.fill(bytes);
    Ok(())
}

/// How much is booked at a time: so little that a crash costs next to nothing of any budget, and
/// so much that it is not booked all the time.
fn chunk(in_force: &InForce, size: u64) -> u64 {
    let policy = &in_force.policy;
    let least = policy.job_limit(size).0.min(policy.per_day).min(policy.per_30_days);
    (least / 1000).clamp(64 << 10, 1 << 20)
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Self { gate, job, .. } = self;
        job.end("the session ended");
        gate.forget(self.id);
        if let Some(last) = locked(&job.booked).last.take() {
            let left = Booked { bytes: job.purse.left(), ..last };
            locked(&gate.accounts).close(left, job.purse.owed());
        }
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

/// How often a limited job is let on.
const TICK: Duration = Duration::from_millis(10);

/// How long a leader may take to hear that its helper leaves.
const GRACE: Duration = Duration::from_millis(200);
