//! The leaders that are being helped.

use crate::helper::job::Job;
use crate::helper::limits::fair::FairShares;
use crate::helper::limits::idle::SPARE;
use crate::limits::party::{Bound, Party, Share};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The jobs that are being helped.
#[derive(Default)]
pub(crate) struct Jobs {
    pub(crate) running: BTreeMap<u64, Arc<Job>>,
    pub(crate) next: u64,
    /// Bytes that were received for jobs that have ended.
    pub(crate) received: u64,
    shares: FairShares,
}

impl Jobs {
    /// How many places are taken by leaders that make use of them.
    pub(crate) fn in_use(&self, now: Duration) -> usize {
        self.running.values().filter(|job| job.idle(now) < SPARE).count()
    }

    /// Divides so many connections and the rate among them.
    pub(crate) fn share_out(&mut self, now: Duration, connections: u8, whole: Option<u64>) {
        let demands = self.running.iter().map(|(&id, job)| (id, job.demand())).collect();
        for (id, portion) in self.shares.divide(now, &demands, connections, whole) {
            if let Some(job) = self.running.get(&id) {
                job.give(portion);
            }
        }
    }

    /// Whether there is a place for one more of this leader, of so many in all, or one that is of
    /// no use could be given up for it.
    pub(crate) fn may_admit(&self, now: Duration, who: &Party, at_once: usize) -> bool {
        let used = || self.running.values().filter(|job| job.idle(now) < SPARE);
        let of_others = used().map(|job| &job.who);
        used().count() < at_once && share_of_places(at_once).room(who, &of_others).is_ok()
    }

    /// Gives up what is of no use and stands in the way of one more of this leader, as far as that
    /// takes; says whether there is a place for it.
    pub(crate) fn make_room(&mut self, now: Duration, who: &Party, at_once: usize) -> bool {
        if let Err(bound) = self.room(who, at_once) {
            self.give_up_one(now, |other| bound.counts(who, other));
        }
        if self.running.len() >= at_once {
            self.give_up_one(now, |_| true);
        }
        self.running.len() < at_once && self.room(who, at_once).is_ok()
    }

    fn room(&self, who: &Party, at_once: usize) -> Result<(), Bound> {
        share_of_places(at_once).room(who, &self.running.values().map(|job| &job.who))
    }

    /// Ends the job that was of no use for longest, of those whose place another can have.
    fn give_up_one(&mut self, now: Duration, may_go: impl Fn(&Party) -> bool) {
        let idle = |job: &Arc<Job>| job.idle(now);
        let of_others = self.running.iter().filter(|(_, job)| may_go(&job.who));
        let spare = of_others.filter(|(_, job)| idle(job) >= SPARE);
        if let Some(id) = spare.max_by_key(|(_, job)| idle(job)).map(|(&id, _)| id) {
            self.end(id, IDLE);
        }
    }

    /// Nothing more is received for this job when it returns.
    fn end(&mut self, id: u64, why: &'static str) {
        if let Some(job) = self.running.remove(&id) {
            job.end(why);
            self.received += job.purse.received();
        }
    }
}

/// Of so many places, a key has one, and the strangers of an address at most half.
const fn share_of_places(at_once: usize) -> Share {
    let half = at_once.div_ceil(2);
    let address = if half > 0 { half } else { 1 };
    Share { key: 1, address, network: usize::MAX, all: usize::MAX }
}

/// Why a leader loses its place.
pub(crate) const IDLE: &str = "it made no use of the help for a while";
