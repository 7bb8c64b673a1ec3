//! The leaders that are being helped.

use crate::helper::job::Job;
use crate::helper::limits::idle::SPARE;
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
}

impl Jobs {
    /// How many places are taken by leaders that make use of them.
    pub(crate) fn in_use(&self, now: Duration) -> usize {
        self.running.values().filter(|job| job.idle(now) < SPARE).count()
    }

    /// Ends the job that was of no use for longest, so that another can have its place.
    pub(crate) fn give_up_one(&mut self, now: Duration) {
        let idle = |job: &Arc<Job>| job.idle(now);
        let spare = self.running.iter().filter(|(_, job)| idle(job) >= SPARE);
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

/// Why a leader loses its place.
pub(crate) const IDLE: &str = "it made no use of the help for a while";
