//! What is booked for one job, on the accounts of the helper and on those of the job itself.

use super::Job;
use crate::helper::accounts::Booked;
use crate::helper::gate::{Basis, Gate, Settled, locked, now};
use crate::helper::policy::{InForce, Rule};

/// What a job uses up is noted ahead by this part of what it may use up.
const AHEAD: u64 = 32;

#[derive(Debug, Default)]
pub(super) struct Bookings {
    /// For this job in former sessions.
    pub(super) before: u64,
    /// For this job in this session.
    own: u64,
    last: Option<Booked>,
    /// How much of `own` would be known after a crash.
    noted: u64,
    /// Its leader said that it has the file.
    pub(super) is_done: bool,
    /// It ended by no will of anybody.
    pub(super) may_return: bool,
}

/// Makes a booking and puts it into the job's purse.
pub(super) fn book(gate: &Gate, job: &Job) -> Result<(), String> {
    let in_force = gate.in_force();
    let mut bookings = locked(&job.booked);
    let mut accounts = locked(&gate.accounts);
    let spent = accounts.spent(now(), gate.steady());
    let (of_job, rule) = in_force.policy.job_limit(job.request.size);
    let total = bookings.before.saturating_add(bookings.own);
    let rooms = [
        (of_job.saturating_sub(total), rule),
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
    drop(accounts);
    bookings.own += bytes;
    bookings.last = Some(booked);
    bookings.note_ahead(gate, job, of_job);
    job.purse.fill(bytes);
    Ok(())
}

impl Bookings {
    /// Notes what is booked and a little more, unless that is noted; a little is not worth a note.
    fn note_ahead(&mut self, gate: &Gate, job: &Job, of_job: u64) {
        let ahead = of_job / AHEAD;
        if self.own <= self.noted.max(ahead) {
            return;
        }
        if let Some(id) = job.id.get() {
            let noted = self.own + ahead;
            if gate.use_ahead(job.basis().unwrap_or(&Basis::Policy), id, self.noted, noted) {
                self.noted = noted;
            }
        }
    }
}

/// Closes the account of a job that has ended, and settles what it has used up.
pub(super) fn settle(gate: &Gate, job: &Job) {
    let mut bookings = locked(&job.booked);
    if let Some(last) = bookings.last.take() {
        let left = Booked { bytes: job.purse.left(), ..last };
        locked(&gate.accounts).close(left, job.purse.owed());
    }
    gate.settle(&Settled {
        request: &job.request,
        basis: job.basis().unwrap_or(&Basis::Policy),
        job: job.id.get(),
        noted: bookings.noted,
        used: bookings.own.saturating_sub(job.purse.left()).saturating_add(job.purse.owed()),
        is_done: bookings.is_done,
        may_return: bookings.may_return,
    });
}

/// How much is booked at a time: so little that a crash costs next to nothing of any budget, and
/// so much that it is not booked all the time.
pub(super) fn chunk(in_force: &InForce, size: u64) -> u64 {
    let policy = &in_force.policy;
    let least = policy.job_limit(size).0.min(policy.per_day).min(policy.per_30_days);
    (least / 1000).clamp(64 << 10, 1 << 20)
}
