//! What was said yes to before: whom it lets in without a question, and what ends with it.

use super::{Gate, Judged, locked, now};
use crate::Error;
use crate::helper::blocked::is_blocked;
use crate::helper::consent::{Decision, Lasts, Request};
use crate::helper::control::Refused as Told;
use crate::helper::limits::prompts::Refused;
use crate::helper::policy::{Cares, Facts, LEAST_HELP};
use crate::trust::{Covers, Grant, JobId, Key, Role, Sought, Standing};
use haul_link::PeerId;
use std::time::Duration;

/// Why help ends whose yes was taken back.
pub(crate) const TAKEN_BACK: &str = "the owner took the yes back";

/// Why help ends that its owner ended.
pub(crate) const ENDED: &str = "ended by the owner";

/// For how long a leader may come back for a file that an app has said yes to, in seconds, after
/// its session ended by no will of the owner.
const RETURN: i64 = 600;

/// What lets a leader in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Somebody was asked just now; the yes may last.
    Asked(Option<Key>),
    /// A yes of before.
    Granted(Key),
    /// The policy, or being known.
    #[default]
    Policy,
}

impl Basis {
    /// The yes that it is about, if that lasts.
    pub(crate) const fn key(&self) -> Option<&Key> {
        match self {
            Self::Asked(key) => key.as_ref(),
            Self::Granted(key) => Some(key),
            Self::Policy => None,
        }
    }
}

/// What a job has used up when it ends.
pub(crate) struct Settled<'a> {
    pub(crate) request: &'a Request,
    pub(crate) basis: &'a Basis,
    /// Which job it is, once its leader has said so.
    pub(crate) job: Option<&'a JobId>,
    /// Bytes that were counted for it ahead, of this time.
    pub(crate) noted: u64,
    /// Bytes that it has used up this time.
    pub(crate) used: u64,
    /// Its leader said that it has the file.
    pub(crate) is_done: bool,
    /// It ended by no will of anybody, and its leader may come back.
    pub(crate) may_return: bool,
}

impl Gate {
    /// The yes of before that covers what is asked for, in no new circumstance that calls for a
    /// person.
    pub(crate) fn grant_of(
        &self,
        leader_id: &str,
        sought: Sought<'_>,
        facts: &Facts,
    ) -> Option<Grant> {
        let in_force = self.in_force();
        let cares = in_force.policy.cares(facts);
        let has_room = |grant: &&Grant| match grant.covers {
            Covers::All => true,
            Covers::File { size, .. } => {
                grant.bytes.saturating_add(LEAST_HELP) <= in_force.policy.job_limit(size).0
            }
        };
        let book = self.grants.read();
        let covering = book.covering(now().unix, leader_id, sought, cares).filter(has_room);
        covering.min_by_key(|grant| grant.covers != Covers::All).cloned()
    }

    /// A yes that somebody said, which may last.
    pub(super) fn said_yes(&self, request: &Request, cares: Cares, judged: Judged) -> Judged {
        let grant = match judged.decision {
            Decision::YesFor(lasts) => self.give(request, lasts, cares),
            _ => None,
        };
        let told = grant.as_ref().map(|grant| format!("; {}", grant.said(now().offset)));
        Judged {
            decision: Decision::Yes,
            because: judged.because + &told.unwrap_or_default(),
            basis: Basis::Asked(grant.as_ref().map(Grant::key)),
            ..judged
        }
    }

    /// Takes down a person's yes. Where that cannot be kept it is good for this time.
    fn give(&self, request: &Request, lasts: Lasts, cares: Cares) -> Option<Grant> {
        let grant = Grant::to(request, lasts, cares, now());
        let given = self.grants.change(|book| book.give(grant.clone()));
        given
            .inspect_err(|error| tracing::warn!(%error, "a yes is good for this time only"))
            .ok()?;
        Some(grant)
    }

    /// What was received for a job before; a person who was asked just now said yes to all of it,
    /// so that it begins anew.
    pub(crate) fn used_before(&self, basis: &Basis, job: &JobId) -> u64 {
        let book = match basis {
            Basis::Asked(_) => {
                is_noted(self.grants.change(|book| book.forget(job)));
                return 0;
            }
            Basis::Granted(_) | Basis::Policy => self.grants.read(),
        };
        // Whatever its leader calls the file, it is one.
        let of_file = basis.key().map_or(0, |key| book.of_file(key));
        book.used(now().unix, job).max(of_file)
    }

    /// Notes ahead what is about to be received for a job, so that no crash forgets it: `ahead` in
    /// place of `noted`. Says whether that was kept.
    pub(crate) fn use_ahead(&self, basis: &Basis, job: &JobId, noted: u64, ahead: u64) -> bool {
        is_noted(self.grants.change(|book| {
            book.use_up(now().unix, job, noted, ahead);
            if let Some(key) = basis.key() {
                book.count(key, 0, noted, ahead);
            }
        }))
    }

    /// Settles what a job has used up, and what becomes of the yes that it was under.
    pub(crate) fn settle(&self, settled: &Settled<'_>) {
        let Settled { request, basis, job, noted, used, is_done, may_return } = *settled;
        let (at, files) = (now().unix, u64::from(used > 0));
        is_noted(self.grants.change(|book| {
            match job {
                Some(job) if is_done => book.forget(job),
                Some(job) => book.use_up(at, job, noted, used),
                None => {}
            }
            if let Some(key) = basis.key() {
                book.count(key, files, noted, used);
                book.take_back(|grant| {
                    is_done && grant.covers != Covers::All && grant.key() == *key
                });
            } else if may_return && *basis == Basis::Asked(None) {
                let cares = self.in_force().policy.cares(&self.facts(now()));
                let grant = Grant::to(request, Lasts::File, cares, now());
                let until = at.saturating_add(RETURN);
                book.give(Grant { until, files, bytes: used, ..grant });
            }
        }));
    }

    /// Takes back every yes to a leader of which one help is under way, and ends it.
    pub(crate) fn end_one(&self, help: u64) {
        let job = locked(&self.jobs).running.get(&help).cloned();
        if let Some(job) = job {
            job.end(ENDED);
            self.withdraw(&job.request.leader_id);
        }
    }

    /// Takes back every yes to a leader, and ends the help that is under way because of it.
    pub(super) fn withdraw(&self, leader_id: &str) {
        let taken = self.grants.change(|book| book.take_back(|grant| grant.leader_id == leader_id));
        if let Err(error) = taken {
            tracing::warn!(%error, "a yes could not be taken back");
        }
        self.review();
    }

    /// Ends every help that would not be given any more: its yes was taken back, or its leader is
    /// not known any more, or blocked.
    pub(crate) fn review(&self) {
        let jobs: Vec<_> = locked(&self.jobs).running.values().cloned().collect();
        if jobs.is_empty() {
            return;
        }
        let (at, book) = (now(), self.grants.read());
        // Whom the policy wants a person for is not helped because of being known.
        let is_calm = self.in_force().policy.cares(&self.facts(at)).are_none();
        // What cannot be read knows nobody.
        let known = self.trust.list().unwrap_or_default();
        for job in jobs {
            let Request { leader_id, standing, .. } = &job.request;
            let is_known =
                || known.iter().any(|one| one.role == Role::Leader && one.id == *leader_id);
            let is_gone = match job.basis() {
                Some(Basis::Policy) => matches!(standing, Standing::Known { .. }) && !is_known(),
                Some(basis) => {
                    let taken_back =
                        basis.key().is_some_and(|key| book.was_taken_back(at.unix, key));
                    taken_back && !(is_calm && self.trusts(leader_id, standing))
                }
                None => false,
            };
            if is_gone || is_blocked(&self.home, leader_id) {
                job.end(TAKEN_BACK);
            }
        }
    }

    /// Who was refused at a prompt and is not asked about yet.
    pub(crate) fn refused(&self) -> Vec<Told> {
        let (steady, unix) = (self.steady(), now().unix);
        let told = |(key, refused, until): (PeerId, &Refused, Duration)| Told {
            leader: refused.leader.clone(),
            leader_id: key.to_string(),
            until: unix.saturating_add_unsigned(until.saturating_sub(steady).as_secs()),
        };
        locked(&self.prompts).refused(steady).map(told).collect()
    }

    /// Notes who was refused by a person.
    pub(crate) fn name_refused(&self, key: PeerId, leader: &str, ask: [u8; 16]) {
        locked(&self.prompts).name(key, Refused { leader: leader.to_owned(), ask });
    }

    /// Takes a refusal back, so that the leader is asked about the next time that it comes, also
    /// because of the ask that was refused.
    pub(crate) fn lift(&self, leader_id: &str) {
        let key = leader_id.parse().ok();
        let lifted = key.and_then(|key| Some((key, locked(&self.prompts).lift(key)?.ask)));
        locked(&self.lifted).extend(lifted);
    }

    /// Those whose refusal was taken back since this was asked last, with the ask that was refused.
    pub(crate) fn take_lifted(&self) -> Vec<(PeerId, [u8; 16])> {
        std::mem::take(&mut *locked(&self.lifted))
    }
}

/// Whether what a job uses up was kept.
fn is_noted(kept: Result<(), Error>) -> bool {
    kept.inspect_err(|error| tracing::warn!(%error, "what a job uses up is not noted")).is_ok()
}
